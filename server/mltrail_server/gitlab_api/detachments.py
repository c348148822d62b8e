"""Detach a run from its job, for `mltrail detach`."""

import msgspec
from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.bodies import body_of
from mltrail_server.http.call import Call
from mltrail_server.services.context import links
from mltrail_server.services.tracking import detachments


class _Detach(msgspec.Struct, forbid_unknown_fields=True):
    seconds: int
    run_id: str | None = None
    experiment: str | None = None
    name: str | None = None


def create(call: Call) -> Response:
    body = body_of(call.request, _Detach)
    made = detachments.detach(
        call.scope, eid=body.run_id, experiment=body.experiment, name=body.name, for_ms=body.seconds * 1000
    )
    return json_answer(
        {
            "run_id": made.candidate.eid,
            "iid": made.candidate.iid,
            "name": made.candidate.name,
            "url": links.candidate(call.deps.settings, call.actor.project_path, made.candidate.iid),
            "token": made.token,
            "until_ms": made.until_ms,
        }
    )

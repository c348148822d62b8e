"""Delete traces for privacy: those of a person, a session or a run, or some by their ids."""

import msgspec
from flask import Response

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.traces import MAX_IDS
from mltrail_server.http.answers import json_answer
from mltrail_server.http.bodies import body_of
from mltrail_server.http.call import Call
from mltrail_server.services.traces import traces
from mltrail_server.store.traces.traces import Selection


class _Delete(msgspec.Struct, forbid_unknown_fields=True):
    trace_ids: list[str] | None = None
    run_id: str | None = None
    session: str | None = None
    user: str | None = None
    started_until_ms: int | None = None


def delete(call: Call) -> Response:
    body = body_of(call.request, _Delete)
    if not (body.trace_ids or body.run_id or body.session or body.user):
        raise invalid(
            "Say which traces to delete: `user`, `session`, `run_id` or `trace_ids`. If you give several, only traces "
            "that match all of them are deleted."
        )
    if len(body.trace_ids or ()) > MAX_IDS:
        raise invalid(f"A call takes at most {MAX_IDS} IDs; use several.")
    selection = Selection(
        ids=body.trace_ids or None,
        session=body.session or None,
        end_user=body.user or None,
        started_until_ms=body.started_until_ms,
    )
    return json_answer({"deleted": traces.delete(call.scope, selection, run_eid=body.run_id or None)})

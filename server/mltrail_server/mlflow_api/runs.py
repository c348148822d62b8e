"""Runs: https://mlflow.org/docs/latest/api_reference/rest-api.html#create-run."""

from typing import Annotated

import msgspec
from flask import Response

from mltrail_server.domain import limits
from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.errors import invalid
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.tracking import candidates

from . import run_shapes
from .messages import Message, message_of
from .wire import TagList, experiment_number, run_id_of


class _Create(Message):
    experiment_id: str
    user_id: Annotated[str, msgspec.Meta(max_length=limits.MAX_USER_NAME)] | None = None
    run_name: str | None = None
    start_time: int | None = None
    tags: TagList | None = None


class _Which(Message):
    run_id: str | None = None
    run_uuid: str | None = None  # clients before 1.0 send only this, later ones send both


class _Update(_Which):
    status: str | int | None = None
    end_time: int | None = None
    run_name: str | None = None


def create(call: Call) -> Response:
    body = message_of(call.request, _Create)
    made = candidates.create(
        call.scope,
        experiment_iid=experiment_number(body.experiment_id),
        name=body.run_name,
        user_name=body.user_id,
        started_ms=body.start_time,
        tags=[(tag.key, tag.value) for tag in body.tags or ()],
    )
    return json_answer({"run": run_shapes.run(made)})


def get(call: Call) -> Response:
    query = message_of(call.request, _Which)
    return json_answer({"run": run_shapes.run(candidates.get(call.scope, run_id_of(query)))})


def update(call: Call) -> Response:
    body = message_of(call.request, _Update)
    candidate = candidates.update(
        call.scope, run_id_of(body), status=_status(body.status), ended_ms=body.end_time, name=body.run_name
    )
    return json_answer({"run_info": run_shapes.info(candidate)})


def delete(call: Call) -> Response:
    candidates.change_stage(call.scope, run_id_of(message_of(call.request, _Which)), Stage.DELETED)
    return json_answer({})


def restore(call: Call) -> Response:
    candidates.change_stage(call.scope, run_id_of(message_of(call.request, _Which)), Stage.ACTIVE)
    return json_answer({})


def _status(given: str | int | None) -> Status | None:
    """Read a status by name or by MLflow's number.

    MLflow's server ignores a name that it does not know, and the run stays RUNNING for ever; here it is an error that
    lists the right names.
    """
    if given is None:
        return None
    text = str(given)
    if text in Status.__members__:
        return Status[text]
    if text.isascii() and text.isdigit() and len(text) == 1 and int(text) in list(Status):
        return Status(int(text))
    raise invalid(
        f"Invalid value '{given}' for parameter 'status' supplied: use one of {', '.join(Status.__members__)}."
    )

"""Experiments: https://mlflow.org/docs/latest/api_reference/rest-api.html#create-experiment."""

import msgspec
from flask import Response

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import invalid
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.tracking import experiments
from mltrail_server.store.tracking.experiments import Experiment

from .messages import Message, message_of
from .wire import Location, TagList, experiment_number, stage_name


class _Create(Message):
    name: str
    tags: TagList | None = None
    artifact_location: Location | None = None


class _ById(Message):
    experiment_id: str


class _ByName(Message):
    experiment_name: str


class _Update(Message):
    experiment_id: str
    new_name: str


class _SetTag(Message):
    experiment_id: str
    key: str
    value: str = ""


class _DeleteTag(Message):
    experiment_id: str
    key: str


def create(call: Call) -> Response:
    body = message_of(call.request, _Create)
    tags = [(tag.key, tag.value) for tag in body.tags or ()]
    iid = experiments.create(call.scope, name=body.name, tags=tags, artifact_location=body.artifact_location)
    return json_answer({"experiment_id": str(iid)})


def get(call: Call) -> Response:
    query = message_of(call.request, _ById)
    return json_answer({"experiment": shown(experiments.get(call.scope, experiment_number(query.experiment_id)))})


def get_by_name(call: Call) -> Response:
    query = message_of(call.request, _ByName)
    if not query.experiment_name:
        raise invalid("Missing value for required parameter 'experiment_name': name the experiment.")
    return json_answer({"experiment": shown(experiments.get_by_name(call.scope, query.experiment_name))})


def update(call: Call) -> Response:
    body = message_of(call.request, _Update)
    experiments.rename(call.scope, experiment_number(body.experiment_id), body.new_name)
    return json_answer({})


def delete(call: Call) -> Response:
    body = message_of(call.request, _ById)
    experiments.change_stage(call.scope, experiment_number(body.experiment_id), Stage.DELETED)
    return json_answer({})


def restore(call: Call) -> Response:
    body = message_of(call.request, _ById)
    experiments.change_stage(call.scope, experiment_number(body.experiment_id), Stage.ACTIVE)
    return json_answer({})


def set_tag(call: Call) -> Response:
    body = message_of(call.request, _SetTag)
    experiments.set_tag(call.scope, experiment_number(body.experiment_id), body.key, body.value)
    return json_answer({})


def delete_tag(call: Call) -> Response:
    body = message_of(call.request, _DeleteTag)
    experiments.delete_tag(call.scope, experiment_number(body.experiment_id), body.key)
    return json_answer({})


def shown(experiment: Experiment) -> dict[str, object]:
    return {
        "experiment_id": str(experiment.iid),
        "name": experiment.name,
        "artifact_location": experiment.artifact_location or f"mlflow-artifacts:/{experiment.iid}",
        "lifecycle_stage": stage_name(experiment.stage),
        "creation_time": experiment.created_ms,
        "last_update_time": experiment.updated_ms,
        "tags": msgspec.Raw(experiment.tags.json.encode()),
    }

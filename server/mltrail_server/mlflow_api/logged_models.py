"""Logged models of MLflow 3: https://mlflow.org/docs/latest/ml/mlflow-3/."""

import json
from typing import Annotated

from flask import Response
from msgspec import Meta

from mltrail_server.domain import filters, limits, paths
from mltrail_server.domain.errors import invalid
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.files import files
from mltrail_server.services.tracking import logged_models, logging
from mltrail_server.services.tracking.logged_models import LoggedModelData
from mltrail_server.store.tracking.inputs import Direction, ModelLink
from mltrail_server.store.tracking.logged_models import LoggedModelOrder, MeasuredOn, ModelStatus

from . import run_shapes
from .messages import Message, message_of
from .wire import Tag, TagList, check_length, experiment_number, run_id_of

_PREFIX = "LOGGED_MODEL_"
_MOST_DATASETS = 20
_Name = Annotated[str, Meta(max_length=limits.MAX_LOGGED_MODEL_NAME)]


class _Create(Message):
    experiment_id: str
    name: _Name | None = None
    model_type: _Name | None = None
    source_run_id: str | None = None
    params: TagList | None = None
    tags: TagList | None = None


class _Finish(Message):
    status: str | int


class _Tags(Message):
    tags: TagList | None = None


class _Params(Message):
    params: TagList | None = None


class _Dataset(Message):
    dataset_name: str
    dataset_digest: str | None = None


class _OrderBy(Message):
    field_name: str
    ascending: bool | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class _Search(Message):
    experiment_ids: list[str]
    filter: str | None = None
    max_results: int | None = None
    datasets: list[_Dataset] | None = None
    order_by: list[_OrderBy] | None = None
    page_token: str | None = None


class _Which(Message):
    allow_deleted: bool = False


class _Folder(Message):
    artifact_directory_path: str = ""
    page_token: str | None = None


class _ModelOutput(Message):
    model_id: str
    step: int = 0


class _Outputs(Message):
    models: Annotated[list[_ModelOutput], Meta(max_length=limits.MAX_LIST)]
    run_id: str | None = None
    run_uuid: str | None = None


class _LogModel(Message):
    model_json: str
    run_id: str | None = None
    run_uuid: str | None = None


def create(call: Call) -> Response:
    body = message_of(call.request, _Create)
    made = logged_models.create(
        call.scope,
        experiment_iid=experiment_number(body.experiment_id),
        name=body.name or "",
        model_type=body.model_type or "",
        source_eid=body.source_run_id or "",
        tags=_pairs(body.tags),
        params=_pairs(body.params),
    )
    return _answer(made)


def get(call: Call, model_id: str) -> Response:
    query = message_of(call.request, _Which)
    return _answer(logged_models.get(call.scope, model_id, deleted_too=query.allow_deleted))


def finish(call: Call, model_id: str) -> Response:
    body = message_of(call.request, _Finish)
    names = {f"{_PREFIX}{status.name}": status for status in ModelStatus}
    numbers = {str(status.value): status for status in ModelStatus}
    status = (names | numbers).get(str(body.status))
    if status is None:
        raise invalid(f"Invalid model status: '{body.status}'. Use one of {', '.join(names)}.")
    return _answer(logged_models.finish(call.scope, model_id, status))


def delete(call: Call, model_id: str) -> Response:
    logged_models.delete(call.scope, model_id)
    return json_answer({})


def set_tags(call: Call, model_id: str) -> Response:
    logged_models.set_tags(call.scope, model_id, _pairs(message_of(call.request, _Tags).tags))
    return json_answer({})


def delete_tag(call: Call, model_id: str, tag_key: str) -> Response:
    logged_models.delete_tag(call.scope, model_id, tag_key)
    return json_answer({})


def add_params(call: Call, model_id: str) -> Response:
    logged_models.add_params(call.scope, model_id, _pairs(message_of(call.request, _Params).params))
    return json_answer({})


def search(call: Call) -> Response:
    body = message_of(call.request, _Search)
    experiment_iids = [experiment_number(one) for one in body.experiment_ids]
    check_length("experiment_ids", body.experiment_ids, filters.MAX_LIST)
    check_length("datasets", body.datasets, _MOST_DATASETS)
    check_length("order_by", body.order_by, filters.MAX_ORDERS)
    found, token = logged_models.search(
        call.scope,
        experiment_iids=experiment_iids,
        filter_text=body.filter or "",
        datasets=[MeasuredOn(one.dataset_name, one.dataset_digest or "") for one in body.datasets or ()],
        orders=[_order(one) for one in body.order_by or ()],
        limit=50 if body.max_results is None else body.max_results,
        token=body.page_token or None,
    )
    answer: dict[str, object] = {"models": [shown(one) for one in found]} if found else {}
    return json_answer(answer | ({"next_page_token": token} if token else {}))


def _order(one: _OrderBy) -> LoggedModelOrder:
    dataset = MeasuredOn(one.dataset_name, one.dataset_digest or "") if one.dataset_name else None
    return LoggedModelOrder(one.field_name, one.ascending is not False, dataset)


def folder(call: Call, model_id: str) -> Response:
    model = logged_models.get(call.scope, model_id).model
    query = message_of(call.request, _Folder)
    inner = paths.clean(query.artifact_directory_path)
    root = f"{model.experiment_iid}/models/{model.model_id}/artifacts"
    entries, following = files.page(call.scope, paths.join(root, inner), query.page_token)
    listed = {"root_uri": f"mlflow-artifacts:/{root}", "files": [run_shapes.entry(one, inner) for one in entries]}
    return json_answer(listed | ({"next_page_token": following} if following else {}))


def outputs(call: Call) -> Response:
    body = message_of(call.request, _Outputs)
    links = [ModelLink(one.model_id, Direction.OUTPUT, one.step) for one in body.models]
    logging.log_inputs(call.scope, run_id_of(body), datasets=[], models=links)
    return json_answer({})


def log_model(call: Call) -> Response:
    body = message_of(call.request, _LogModel)
    try:
        model = json.loads(body.model_json)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Malformed model info: {body.model_json[:80]!r} is not valid JSON.") from error
    description = model if isinstance(model, dict) else {}
    missing = {"artifact_path", "flavors", "utc_time_created", "run_id"} - set(description)
    if missing:
        raise invalid(f"Model json is missing mandatory fields: {', '.join(sorted(missing))}")
    logged_models.add_to_history(call.scope, run_id_of(body), description)
    return json_answer({})


def shown(one: LoggedModelData) -> dict[str, object]:
    model = one.model
    info: dict[str, object] = {
        "model_id": model.model_id,
        "experiment_id": str(model.experiment_iid),
        "name": model.name,
        "creation_timestamp_ms": model.created_ms,
        "last_updated_timestamp_ms": model.updated_ms,
        "artifact_uri": model.elsewhere
        or f"mlflow-artifacts:/{model.experiment_iid}/models/{model.model_id}/artifacts",
        "status": f"{_PREFIX}{model.status.name}",
        "tags": run_shapes.pairs(one.tags),
    }
    if model.model_type:
        info["model_type"] = model.model_type
    if model.source_eid:
        info["source_run_id"] = model.source_eid
    if model.status_message:
        info["status_message"] = model.status_message
    if one.registrations:
        info["registrations"] = [{"name": name, "version": str(number)} for name, number in one.registrations]
    metrics = [
        run_shapes.metric(metric.point)
        | {"model_id": model.model_id, "run_id": metric.eid}
        | ({"dataset_name": metric.dataset_name} if metric.dataset_name else {})
        | ({"dataset_digest": metric.dataset_digest} if metric.dataset_digest else {})
        for metric in one.metrics
    ]
    return {"info": info, "data": {"params": run_shapes.pairs(one.params), "metrics": metrics}}


def _answer(one: LoggedModelData) -> Response:
    return json_answer({"model": shown(one)})


def _pairs(tags: list[Tag] | None) -> list[tuple[str, str]]:
    return [(tag.key, tag.value) for tag in tags or ()]

"""Log metrics, parameters, tags and inputs: https://mlflow.org/docs/latest/api_reference/rest-api.html#log-metric."""

import math
from typing import Annotated

from flask import Response
from msgspec import Meta

from mltrail_server.domain import limits
from mltrail_server.domain.candidate import Point
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.tracking import logging
from mltrail_server.store.tracking.inputs import Dataset, Direction, ModelLink
from mltrail_server.store.tracking.metrics import ModelPoint

from . import sentences
from .messages import Message, message_of
from .wire import MAX_INT64, Tag, TagList, run_id_of


class _Metric(Message):
    key: str
    value: float | str  # NaN and Infinity come as strings, since JSON lacks them
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None  # in a batch, the batch names the run


class _LogMetric(_Metric, kw_only=True):
    run_uuid: str | None = None


class _LogParam(Message):
    key: str
    value: str = ""
    run_id: str | None = None
    run_uuid: str | None = None


class _DeleteTag(Message):
    key: str
    run_id: str | None = None
    run_uuid: str | None = None


class _LogBatch(Message):
    run_id: str | None = None
    run_uuid: str | None = None
    metrics: list[_Metric] | None = None
    params: list[Tag] | None = None
    tags: list[Tag] | None = None


class _DatasetShape(Message):
    name: str
    digest: str
    source_type: Annotated[str, Meta(max_length=limits.MAX_DATASET_SOURCE_TYPE)]
    source: str
    schema: str | None = None
    profile: str | None = None


class _DatasetInput(Message):
    dataset: _DatasetShape
    tags: TagList | None = None


class _ModelInput(Message):
    model_id: str


class _LogInputs(Message):
    run_id: str | None = None
    run_uuid: str | None = None
    datasets: Annotated[list[_DatasetInput], Meta(max_length=limits.MAX_LIST)] | None = None
    models: Annotated[list[_ModelInput], Meta(max_length=limits.MAX_LIST)] | None = None


def log_metric(call: Call) -> Response:
    body = message_of(call.request, _LogMetric)
    logging.log_batch(call.scope, run_id_of(body), points=[_point(body, "")], of_models=_of_models([body]))
    return json_answer({})


def log_param(call: Call) -> Response:
    body = message_of(call.request, _LogParam)
    limits.check_key(body.key, "param")
    logging.log_batch(call.scope, run_id_of(body), new_params=[(body.key, body.value)])
    return json_answer({})


def set_tag(call: Call) -> Response:
    body = message_of(call.request, _LogParam)
    logging.log_batch(call.scope, run_id_of(body), tags=[_tag(body.key, body.value, "key")])
    return json_answer({})


def delete_tag(call: Call) -> Response:
    body = message_of(call.request, _DeleteTag)
    logging.delete_tag(call.scope, run_id_of(body), body.key)
    return json_answer({})


def log_batch(call: Call) -> Response:
    body = message_of(call.request, _LogBatch)
    metrics, params, tags = body.metrics or [], body.params or [], body.tags or []
    _check_size(len(metrics), len(params), len(tags))
    for number, param in enumerate(params):
        _naming(f"params[{number}].key", param.key, "param")
    logging.log_batch(
        call.scope,
        run_id_of(body),
        points=_points(metrics),
        new_params=[(param.key, param.value) for param in params],
        tags=[_tag(tag.key, tag.value, f"tags[{number}].key") for number, tag in enumerate(tags)],
        of_models=_of_models(metrics),
    )
    return json_answer({})


def log_inputs(call: Call) -> Response:
    body = message_of(call.request, _LogInputs)
    datasets = [
        Dataset(
            one.dataset.name,
            one.dataset.digest,
            one.dataset.source_type,
            one.dataset.source,
            one.dataset.schema,
            one.dataset.profile,
            tuple((tag.key, tag.value) for tag in one.tags or ()),
        )
        for one in body.datasets or ()
    ]
    models = [ModelLink(one.model_id, Direction.INPUT, 0) for one in body.models or ()]
    logging.log_inputs(call.scope, run_id_of(body), datasets=datasets, models=models)
    return json_answer({})


def _points(metrics: list[_Metric]) -> list[Point]:
    """Check a batch of metrics. Each name is checked once: a thousand values rarely have more than ten or so."""
    checked: set[str] = set()
    points = []
    for number, metric in enumerate(metrics):
        if metric.key not in checked:
            _naming(f"metrics[{number}].key", metric.key, "metric")
            checked.add(metric.key)
        points.append(_value(metric, f"metrics[{number}]."))
    return points


def _point(metric: _Metric, where: str) -> Point:
    _naming(f"{where}key", metric.key, "metric")
    return _value(metric, where)


def _value(metric: _Metric, where: str) -> Point:
    value, timestamp, step = metric.value, metric.timestamp, metric.step
    if isinstance(value, float) and 0 <= timestamp <= MAX_INT64 and -MAX_INT64 <= step <= MAX_INT64:
        return Point(metric.key, value, timestamp, step)
    if not 0 <= metric.timestamp <= MAX_INT64:
        raise invalid(
            f"Invalid value {metric.timestamp} for parameter '{where}timestamp' supplied: "
            "it is milliseconds since the epoch, so never negative."
        )
    if not -MAX_INT64 - 1 <= metric.step <= MAX_INT64:
        raise invalid(f"Invalid value {metric.step} for parameter '{where}step' supplied: it must fit 64 bits.")
    return Point(metric.key, _number(metric.value, where), metric.timestamp, metric.step)


def _number(value: float | str, where: str) -> float:
    if not isinstance(value, str):
        return float(value)
    try:
        number = float(value)
    except ValueError:
        number = 0.0
        if value:
            raise _no_number(value, where) from None
    if not value or "_" in value:
        raise _no_number(value, where)
    return math.nan if math.isnan(number) else number


def _no_number(value: str, where: str) -> MltrailError:
    return invalid(f"Invalid value '{value[:40]}' for parameter '{where}value' supplied: a metric is a number.")


def _tag(key: str, value: str, where: str) -> tuple[str, str]:
    _naming(where, key, "tag")
    # MLflow truncates long tags too (MLFLOW_TRUNCATE_LONG_VALUES), and clients rely on it.
    return key, value[: limits.MAX_TAG_VALUE]


def _naming(where: str, key: str, what: str) -> None:
    """Check a key, and say which one it was."""
    try:
        limits.check_key(key, what)
    except MltrailError as error:
        raise invalid(f"{sentences.of(error)} (parameter '{where}')") from error


def _check_size(metrics: int, params: int, tags: int) -> None:
    limit_of = {
        "metrics": (metrics, limits.MAX_BATCH_METRICS),
        "params": (params, limits.MAX_BATCH_PARAMS),
        "tags": (tags, limits.MAX_BATCH_TAGS),
    }
    for name, (count, limit) in limit_of.items():
        if count > limit:
            raise invalid(
                f"A batch logging request can contain at most {limit} {name}. Got {count} {name}. "
                f"Please split up {name} across multiple requests and try again."
            )
    if metrics + params + tags > limits.MAX_BATCH_TOTAL:
        raise invalid(
            f"A batch logging request can contain at most {limits.MAX_BATCH_TOTAL} metrics, params and tags together. "
            f"Got {metrics + params + tags}. Please split them across multiple requests and try again."
        )


def _of_models(metrics: list[_Metric] | list[_LogMetric]) -> list[ModelPoint]:
    return [
        ModelPoint(one.model_id, _point(one, ""), one.dataset_name or "", one.dataset_digest or "")
        for one in metrics
        if one.model_id
    ]

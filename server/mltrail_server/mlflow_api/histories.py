"""Histories of a metric over several runs, as MLflow's pages ask for them.

https://mlflow.org/docs/latest/api_reference/rest-api.html#get-metric-history
"""

import msgspec
from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.tracking import histories
from mltrail_server.services.tracking.histories import Points

from . import run_shapes
from .messages import Message, message_of


class _Bulk(Message):
    metric_key: str = ""
    run_id: list[str] = msgspec.field(default_factory=list)
    max_results: int = histories.MOST_POINTS


class _Interval(Message):
    metric_key: str = ""
    run_ids: list[str] = msgspec.field(default_factory=list)
    start_step: int | None = None
    end_step: int | None = None
    max_results: int | None = None


def bulk(call: Call) -> Response:
    query = message_of(call.request, _Bulk)
    return json_answer(
        {"metrics": _shown(histories.bulk(call.scope, query.run_id, query.metric_key, limit=query.max_results))}
    )


def interval(call: Call) -> Response:
    query = message_of(call.request, _Interval)
    found = histories.interval(
        call.scope,
        query.run_ids,
        query.metric_key,
        start=query.start_step,
        end=query.end_step,
        limit=query.max_results,
    )
    return json_answer({"metrics": _shown(found)} if found else {})


def _shown(points: Points) -> list[dict[str, object]]:
    return [run_shapes.metric(point) | {"run_id": eid} for eid, point in points]

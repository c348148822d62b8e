"""Histories of a metric over several runs, as MLflow's pages ask for them.

https://mlflow.org/docs/latest/api_reference/rest-api.html#get-metric-history
"""

import msgspec
from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.bodies import query_of
from mltrail_server.http.call import Call
from mltrail_server.services import histories
from mltrail_server.services.histories import Points

from . import run_shapes


class _Bulk(msgspec.Struct):
    metric_key: str = ""
    run_id: list[str] = []
    max_results: int = histories.MOST_POINTS


class _Interval(msgspec.Struct):
    metric_key: str = ""
    run_ids: list[str] = []
    start_step: int | None = None
    end_step: int | None = None
    max_results: int | None = None


def bulk(call: Call) -> Response:
    query = query_of(call.request, _Bulk, lists=frozenset({"run_id"}))
    return json_answer(
        {"metrics": _shown(histories.bulk(call.scope, query.run_id, query.metric_key, limit=query.max_results))}
    )


def interval(call: Call) -> Response:
    query = query_of(call.request, _Interval, lists=frozenset({"run_ids"}))
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

"""Histories of a metric over several runs, as MLflow's pages ask for them.

https://mlflow.org/docs/latest/api_reference/rest-api.html#get-metric-history
"""

from collections.abc import Sequence

import msgspec
from flask import Response

from mltrail_server.domain.errors import invalid
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
    _check(query.run_id, query.metric_key, "GetMetricHistoryBulk request", "cannot specify more than")
    return json_answer(
        {"metrics": _shown(histories.bulk(call.scope, query.run_id, query.metric_key, limit=query.max_results))}
    )


def interval(call: Call) -> Response:
    query = message_of(call.request, _Interval)
    _check(query.run_ids, query.metric_key, "GetMetricHistoryBulkInterval request", "must specify at most")
    _check_steps(query.start_step, query.end_step)
    limit = histories.MOST_PER_RUN if query.max_results is None else query.max_results
    if not 0 < limit <= histories.MOST_PER_RUN:
        raise invalid(f"max_results must be between 1 and {histories.MOST_PER_RUN}, not {limit}.")
    found = histories.interval(
        call.scope,
        query.run_ids,
        query.metric_key,
        start=query.start_step,
        end=query.end_step,
        limit=limit,
    )
    return json_answer({"metrics": _shown(found)} if found else {})


def _check(run_ids: Sequence[str], metric_key: str, request: str, at_most: str) -> None:
    if not run_ids:
        raise invalid(
            f"Missing value for required parameter 'run_ids'. {request} must specify at least one run_id; "
            "the parameter may be repeated."
        )
    if len(run_ids) > histories.MOST_RUNS:
        raise invalid(f"{request} {at_most} {histories.MOST_RUNS} run_ids. Received {len(run_ids)} run_ids.")
    if not metric_key:
        raise invalid(f"Missing value for required parameter 'metric_key'. {request} must specify a metric_key.")


def _check_steps(start: int | None, end: int | None) -> None:
    if (start is None) != (end is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if start is not None and end is not None and start > end:
        raise invalid(f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.")


def _shown(points: Points) -> list[dict[str, object]]:
    return [run_shapes.metric(point) | {"run_id": eid} for eid, point in points]

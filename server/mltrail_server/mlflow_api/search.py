"""Search runs and experiments, and metric histories.

https://mlflow.org/docs/latest/api_reference/rest-api.html#search-runs
"""

import re

from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.tracking import histories, search

from . import experiments, run_shapes
from .messages import Message, message_of
from .wire import experiment_number, orders_of, run_id_of, view_of

_MOST_AT_ONCE = 1000
"""The size of a page if the client asks for none."""

_METRIC_ALONE = re.compile(r"\s*metrics?\.\S+")


class _SearchRuns(Message):
    experiment_ids: list[str | int] | None = None  # numbers from GitLab's clients
    filter: str | None = None
    run_view_type: str | int | None = None
    max_results: int | None = None
    order_by: list[str] | str | None = None  # a list from MLflow's clients, a string from GitLab's
    page_token: str | None = None


class _SearchExperiments(Message):
    max_results: int | None = None
    filter: str | None = None
    order_by: list[str] | str | None = None
    view_type: str | int | None = None
    page_token: str | None = None


class _History(Message):
    metric_key: str
    run_id: str | None = None
    run_uuid: str | None = None
    max_results: int | None = None
    page_token: str | None = None


def runs(call: Call) -> Response:
    body = message_of(call.request, _SearchRuns)
    found = search.runs(
        call.scope,
        experiment_iids=[experiment_number(str(one)) for one in body.experiment_ids or ()],
        filter_text=body.filter or "",
        order_by=_orders(body.order_by),
        view=view_of(body.run_view_type),
        limit=_MOST_AT_ONCE if body.max_results is None else body.max_results,
        token=body.page_token or None,
    )
    return json_answer({"runs": [run_shapes.run(one) for one in found.items], "next_page_token": found.next_token})


def search_experiments(call: Call) -> Response:
    body = message_of(call.request, _SearchExperiments)
    found = search.experiments(
        call.scope,
        filter_text=body.filter or "",
        order_by=_orders(body.order_by),
        view=view_of(body.view_type),
        limit=_MOST_AT_ONCE if body.max_results is None else body.max_results,
        token=body.page_token or None,
    )
    shown = [experiments.shown(one) for one in found.items]
    return json_answer({"experiments": shown, "next_page_token": found.next_token})


def history(call: Call) -> Response:
    query = message_of(call.request, _History)
    shown, next_token = histories.page(
        call.scope,
        run_id_of(query),
        query.metric_key,
        limit=query.max_results,
        token=query.page_token or None,
    )
    return json_answer({"metrics": run_shapes.readings(query.metric_key, shown), "next_page_token": next_token})


def _orders(given: list[str] | str | None) -> list[str]:
    """Read `order_by`. GitLab's clients send one string, in which a metric without a direction is sorted in descending
    order.
    """
    if isinstance(given, str) and _METRIC_ALONE.fullmatch(given):
        return [f"{given} DESC"]
    return orders_of(given)

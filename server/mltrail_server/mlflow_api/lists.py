"""The list calls of MLflow 1.x and GitLab, which searches have since replaced."""

from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.registry import models
from mltrail_server.services.tracking import search

from . import experiments, registered_models
from .messages import Message, message_of
from .wire import view_of


class _List(Message):
    view_type: str | int | None = None
    max_results: int | None = None
    page_token: str | None = None


def of_experiments(call: Call) -> Response:
    """List experiments, newest first; all of them if no page is asked for."""
    query = message_of(call.request, _List)
    found = search.experiments(
        call.scope,
        view=view_of(query.view_type),
        limit=search.MAX_RESULTS if query.max_results is None else query.max_results,
        token=query.page_token or None,
    )
    answer: dict[str, object] = {"experiments": [experiments.shown(one) for one in found.items]}
    return json_answer(answer | ({"next_page_token": found.next_token} if found.next_token else {}))


def of_models(call: Call) -> Response:
    query = message_of(call.request, _List)
    limit = 100 if query.max_results is None else query.max_results
    found = models.search(call.scope, limit=limit, token=query.page_token or None)
    shown = [registered_models.shown(one) for one in found.items]
    answer: dict[str, object] = {"registered_models": shown}
    return json_answer(answer | ({"next_page_token": found.next_token} if found.next_token else {}))

"""Registered models and their aliases.

https://mlflow.org/docs/latest/api_reference/rest-api.html#create-registeredmodel
"""

from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.registry import aliases, models
from mltrail_server.services.registry.models import ModelWithVersions

from . import model_versions
from .messages import Message, message_of
from .wire import Description, TagList, check_length, orders_of


class _Create(Message):
    name: str
    tags: TagList | None = None
    description: Description | None = None


class _ByName(Message):
    name: str


class _Rename(Message):
    name: str
    new_name: str


class _Update(Message):
    name: str
    description: Description | None = None


class _Search(Message):
    filter: str | None = None
    max_results: int | None = None
    order_by: list[str] | str | None = None
    page_token: str | None = None


class _Latest(Message):
    name: str
    stages: list[str] | None = None


class _SetTag(Message):
    name: str
    key: str
    value: str = ""


class _DeleteTag(Message):
    name: str
    key: str


class _SetAlias(Message):
    name: str
    alias: str
    version: str | int


class _Alias(Message):
    name: str
    alias: str


def create(call: Call) -> Response:
    body = message_of(call.request, _Create)
    tags = {tag.key: tag.value for tag in body.tags or ()}
    return _answer(models.create(call.scope, name=body.name, description=body.description, tags=tags))


def get(call: Call) -> Response:
    return _answer(models.get(call.scope, message_of(call.request, _ByName).name))


def rename(call: Call) -> Response:
    body = message_of(call.request, _Rename)
    return _answer(models.rename(call.scope, body.name, body.new_name))


def update(call: Call) -> Response:
    body = message_of(call.request, _Update)
    return _answer(models.describe(call.scope, body.name, body.description))


def delete(call: Call) -> Response:
    models.delete(call.scope, message_of(call.request, _ByName).name)
    return json_answer({})


def search(call: Call) -> Response:
    query = message_of(call.request, _Search)
    found = models.search(
        call.scope,
        filter_text=query.filter or "",
        order_by=orders_of(query.order_by),
        limit=100 if query.max_results is None else query.max_results,
        token=query.page_token or None,
    )
    return json_answer({"registered_models": [shown(one) for one in found.items], "next_page_token": found.next_token})


def get_latest_versions(call: Call) -> Response:
    body = message_of(call.request, _Latest)
    check_length("stages", body.stages, models.MOST_VERSIONS)
    found = models.latest_versions(call.scope, body.name, body.stages or ())
    return json_answer({"model_versions": [model_versions.shown(one) for one in found]})


def set_tag(call: Call) -> Response:
    body = message_of(call.request, _SetTag)
    models.set_tag(call.scope, body.name, body.key, body.value)
    return json_answer({})


def delete_tag(call: Call) -> Response:
    body = message_of(call.request, _DeleteTag)
    models.delete_tag(call.scope, body.name, body.key)
    return json_answer({})


def set_alias(call: Call) -> Response:
    body = message_of(call.request, _SetAlias)
    aliases.put(call.scope, body.name, body.alias, str(body.version))
    return json_answer({})


def delete_alias(call: Call) -> Response:
    body = message_of(call.request, _Alias)
    aliases.delete(call.scope, body.name, body.alias)
    return json_answer({})


def get_by_alias(call: Call) -> Response:
    query = message_of(call.request, _Alias)
    version = aliases.resolve(call.scope, query.name, query.alias)
    return json_answer({"model_version": model_versions.shown(version)})


def shown(registered: ModelWithVersions) -> dict[str, object]:
    model = registered.model
    answer: dict[str, object] = {
        "name": model.name,
        "creation_timestamp": model.created_ms,
        "last_updated_timestamp": model.updated_ms,
        "user_id": model.user_name,
        "description": model.description or "",
        "tags": [{"key": key, "value": value} for key, value in model.tags],
    }
    if registered.latest:
        answer["latest_versions"] = [model_versions.shown(one) for one in registered.latest]
    if registered.aliases:
        answer["aliases"] = [{"alias": alias, "version": str(number)} for alias, number in registered.aliases]
    return answer


def _answer(registered: ModelWithVersions) -> Response:
    return json_answer({"registered_model": shown(registered)})

"""Model versions: https://mlflow.org/docs/latest/api_reference/rest-api.html#create-modelversion."""

from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.promotion import promote
from mltrail_server.services.registry import versions
from mltrail_server.store.registry.versions import Version

from .messages import Message, message_of
from .wire import Description, Location, TagList, orders_of


class _Create(Message):
    name: str
    source: Location | None = None
    run_id: str | None = None
    model_id: str | None = None
    run_link: Location | None = None
    description: Description | None = None
    tags: TagList | None = None


class _Which(Message):
    name: str
    version: str | int


class _Update(Message):
    name: str
    version: str | int
    description: Description | None = None


class _Transition(Message):
    name: str
    version: str | int
    stage: str
    archive_existing_versions: bool | None = None


class _Search(Message):
    filter: str | None = None
    max_results: int | None = None
    order_by: list[str] | str | None = None
    page_token: str | None = None


class _SetTag(Message):
    name: str
    version: str | int
    key: str
    value: str = ""


class _DeleteTag(Message):
    name: str
    version: str | int
    key: str


def create(call: Call) -> Response:
    body = message_of(call.request, _Create)
    request = versions.VersionRequest(
        source=body.source or "",
        eid=body.run_id or "",
        logged_model_id=body.model_id or "",
        run_link=body.run_link,
        description=body.description,
    )
    tags = {tag.key: tag.value for tag in body.tags or ()}
    return _answer(promote.register(call.scope, body.name, request, tags))


def get(call: Call) -> Response:
    query = message_of(call.request, _Which)
    return _answer(versions.get(call.scope, query.name, str(query.version)))


def update(call: Call) -> Response:
    body = message_of(call.request, _Update)
    return _answer(versions.describe(call.scope, body.name, str(body.version), body.description))


def transition_stage(call: Call) -> Response:
    body = message_of(call.request, _Transition)
    moved = versions.transition(
        call.scope,
        body.name,
        str(body.version),
        body.stage,
        archive_others=body.archive_existing_versions or False,
    )
    return _answer(moved)


def delete(call: Call) -> Response:
    body = message_of(call.request, _Which)
    versions.delete(call.scope, body.name, str(body.version))
    return json_answer({})


def search(call: Call) -> Response:
    query = message_of(call.request, _Search)
    found = versions.search(
        call.scope,
        filter_text=query.filter or "",
        order_by=orders_of(query.order_by),
        limit=versions.MAX_RESULTS if query.max_results is None else query.max_results,
        token=query.page_token or None,
    )
    answer: dict[str, object] = {"model_versions": [shown(one) for one in found.items]}
    if found.next_token:
        answer["next_page_token"] = found.next_token
    return json_answer(answer)


def get_download_uri(call: Call) -> Response:
    query = message_of(call.request, _Which)
    return json_answer({"artifact_uri": versions.uri_of(call.scope, query.name, str(query.version))})


def set_tag(call: Call) -> Response:
    body = message_of(call.request, _SetTag)
    versions.set_tag(call.scope, body.name, str(body.version), body.key, body.value)
    return json_answer({})


def delete_tag(call: Call) -> Response:
    body = message_of(call.request, _DeleteTag)
    versions.delete_tag(call.scope, body.name, str(body.version), body.key)
    return json_answer({})


def shown(version: Version) -> dict[str, object]:
    """Encode a version, with everything that GitLab shows of one. `aliases` also contains its semver, so that clients
    see it and can load by it.
    """
    answer: dict[str, object] = {
        "name": version.model_name,
        "version": str(version.number),
        "creation_timestamp": version.created_ms,
        "last_updated_timestamp": version.updated_ms,
        "user_id": version.user_name,
        "current_stage": version.stage,
        "description": version.description or "",
        "source": version.source,
        "run_link": version.run_link or "",
        "status": "READY",
        "status_message": "",
        "aliases": [*version.aliases, version.semver],
        "tags": [{"key": key, "value": value} for key, value in version.tags],
    }
    if version.eid is not None:  # a prompt has none
        answer["run_id"] = version.eid
    if version.logged_model_id:
        answer["model_id"] = version.logged_model_id
    return answer


def _answer(version: Version) -> Response:
    return json_answer({"model_version": shown(version)})

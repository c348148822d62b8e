"""What an administrator's or a group owner's token can create for mltrail in GitLab."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gitlab
import gitlab.exceptions

from mltrail_server.domain import webhook_secrets
from mltrail_server.domain.errors import MltrailError, conflict, forbidden
from mltrail_server.domain.identity import Role

from . import responses
from .connections import NO_WAITING, Connections
from .errors import translating_errors

SCOPES = "openid read_api"
"""The scopes that signing in to the pages asks for."""

_EVENTS = ("pipeline_events", "job_events", "merge_requests_events")
_MOST_QUOTED = 200


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    scopes: list[str]


@dataclass(frozen=True, slots=True)
class Group:
    id: int
    path: str


@dataclass(frozen=True, slots=True)
class Application:
    number: int
    client_id: str
    redirect_uri: str
    secret: str = ""  # GitLab tells it only once


@dataclass(frozen=True, slots=True)
class BotToken:
    id: int
    name: str
    expires_at: str | None
    text: str = ""  # GitLab tells it only once


@dataclass(frozen=True, slots=True)
class Hook:
    id: int
    url: str


class Provisioning:
    """Creates and finds. Raises `MltrailError`: FORBIDDEN or NOT_FOUND for what this token or this GitLab does not
    allow, CONFLICT with GitLab's own words for what it does not accept, UNAUTHENTICATED, UNAVAILABLE.
    """

    def __init__(self, sessions: Connections, token: str) -> None:
        self._sessions = sessions
        self._token = token

    def caller(self) -> Caller:
        """Return who the token belongs to. https://docs.gitlab.com/api/personal_access_tokens/"""
        with translating_errors("token"):
            session = self._sessions.bot(self._token)
            token = session.http_get("/personal_access_tokens/self", **NO_WAITING)
            scopes = responses.with_fields(token, "token", frozenset({"scopes"}))["scopes"]
            user = session.http_get("/user", **NO_WAITING)
        with responses.readable("token"):
            name = responses.with_fields(user, "user", frozenset({"username"}))["username"]
            return Caller(responses.text(name), [responses.text(scope) for scope in scopes])

    def group(self, path: str) -> Group:
        """https://docs.gitlab.com/api/groups/#retrieve-a-group"""
        got = self._get(f"/groups/{gitlab.utils.EncodedId(path)}", "group", {"id", "full_path"}, with_projects="false")
        with responses.readable("group"):
            return Group(int(got["id"]), responses.text(got["full_path"]))

    def applications(self) -> list[Application]:
        """List the applications of the GitLab instance. https://docs.gitlab.com/api/applications/"""
        got = self._list("/applications", "applications")
        with responses.readable("applications"):
            return [Application(int(one["id"]), str(one["application_id"]), str(one["callback_url"])) for one in got]

    def create_application(self, name: str, redirect_uri: str) -> Application:
        data = {"name": name, "redirect_uri": redirect_uri, "scopes": SCOPES, "confidential": True}
        got = self._post("/applications", "OAuth application", data, {"id", "application_id", "secret"})
        with responses.readable("OAuth application"):
            client_id, secret = responses.text(got["application_id"]), responses.text(got["secret"])
            return Application(int(got["id"]), client_id, redirect_uri, secret)

    def delete_application(self, number: int) -> None:
        self._delete(f"/applications/{number}", "OAuth application")

    def bot_tokens(self, group: Group) -> list[BotToken]:
        """List the group's access tokens that can still be used. https://docs.gitlab.com/api/group_access_tokens/"""
        got = self._list(f"/groups/{group.id}/access_tokens", "group access tokens")
        with responses.readable("group access tokens"):
            return [
                BotToken(int(one["id"]), str(one["name"]), one.get("expires_at"))
                for one in got
                if one.get("active") and not one.get("revoked")
            ]

    def create_bot_token(self, group: Group, name: str, expires_at: str) -> BotToken:
        """Create a group access token that lasts until a date, such as 2027-11-29."""
        data = {"name": name, "scopes": ["api"], "access_level": Role.DEVELOPER.value, "expires_at": expires_at}
        got = self._post(f"/groups/{group.id}/access_tokens", "group access token", data, {"id", "token"})
        with responses.readable("group access token"):
            return BotToken(
                int(got["id"]), name, str(got.get("expires_at") or expires_at), responses.text(got["token"])
            )

    def revoke_bot_token(self, group: Group, number: int) -> None:
        self._delete(f"/groups/{group.id}/access_tokens/{number}", "group access token")

    def hooks(self, group: Group) -> list[Hook]:
        """List a group's webhooks, which GitLab Premium has. https://docs.gitlab.com/api/group_webhooks/"""
        got = self._list(f"/groups/{group.id}/hooks", "group webhooks")
        with responses.readable("group webhooks"):
            return [Hook(int(one["id"]), str(one["url"])) for one in got]

    def create_hook(self, group: Group, url: str, secret: str) -> None:
        self._post(f"/groups/{group.id}/hooks", "group webhook", _hook(url, secret), {"id"})

    def update_hook(self, group: Group, hook: Hook, secret: str) -> None:
        """Give a webhook a new secret, and the events that mltrail wants."""
        with _telling_refusals("group webhook"):
            path = f"/groups/{group.id}/hooks/{hook.id}"
            self._sessions.bot(self._token).http_put(path, post_data=_hook(hook.url, secret), **NO_WAITING)

    def _get(self, path: str, what: str, fields: set[str], **query: str) -> dict[str, Any]:
        with _telling_refusals(what):
            got = self._sessions.bot(self._token).http_get(path, query_data=query, **NO_WAITING)
        return responses.with_fields(got, what, fields)

    def _list(self, path: str, what: str) -> list[dict[str, Any]]:
        with _telling_refusals(what), responses.readable(what):
            return list(self._sessions.bot(self._token).http_list(path, per_page=100, get_all=True, **NO_WAITING))

    def _post(self, path: str, what: str, data: dict[str, Any], fields: set[str]) -> dict[str, Any]:
        with _telling_refusals(what):
            got = self._sessions.bot(self._token).http_post(path, post_data=data, **NO_WAITING)
        return responses.with_fields(got, what, fields)

    def _delete(self, path: str, what: str) -> None:
        with _telling_refusals(what):
            self._sessions.bot(self._token).http_delete(path, **NO_WAITING)


def _hook(url: str, secret: str) -> dict[str, Any]:
    kind = "signing_token" if secret.startswith(webhook_secrets.SIGNING_PREFIX) else "token"
    return {"url": url, kind: secret, "push_events": False, **dict.fromkeys(_EVENTS, True)}


@contextmanager
def _telling_refusals(what: str) -> Iterator[None]:
    """Translate errors as elsewhere, but quote what GitLab does not accept; the token itself is known to be good."""
    try:
        with translating_errors(what):
            yield
    except MltrailError as error:
        cause = error.__cause__
        if not isinstance(cause, gitlab.exceptions.GitlabError):
            raise
        if cause.response_code in (400, 409, 422):
            words = " ".join(str(cause.error_message).split())[:_MOST_QUOTED]
            raise conflict(f"GitLab does not accept the {what}: {words}") from cause
        if cause.response_code == 401:
            raise forbidden(
                f"GitLab denies this token access to the {what}. A scope or role may be missing."
            ) from cause
        raise

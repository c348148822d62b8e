"""Personal, project and group access tokens: GitLab says whose they are and what they may do in a project.

https://docs.gitlab.com/api/personal_access_tokens/
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import gitlab
from gitlab.utils import EncodedId

from mltrail_server.domain.errors import Code, MltrailError, forbidden, unauthenticated, unavailable
from mltrail_server.domain.identity import Access, Role, access_of
from mltrail_server.domain.ids import ProjectId

from .errors import telling
from .session import NO_WAITING, Sessions

_WRITE_SCOPE = "api"
_READ_SCOPE = "read_api"
_MAX_TOKEN = 1024


@dataclass(frozen=True, slots=True)
class Membership:
    """What the bearer of a token is in one project; `access` is None when GitLab gives no role there."""

    project_id: ProjectId
    project_path: str
    user_id: int
    user_name: str
    access: Access | None


class AccessTokens:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def membership(self, token: str, project: str) -> Membership:
        """Ask GitLab about the bearer of `token` in `project` (number or path): three calls, four for invited groups.

        Raises UNAUTHENTICATED for a token that GitLab does not know, FORBIDDEN for one without a useful scope,
        NOT_FOUND for a project that the bearer may not see, UNAVAILABLE when GitLab does not answer.
        """
        _check_form(token)
        with self._sessions.of(token) as session:
            scopes = self._scopes(session)
            if not {_WRITE_SCOPE, _READ_SCOPE} & scopes:
                raise forbidden(
                    f"This token has the scopes {', '.join(sorted(scopes)) or 'of nothing'}; "
                    "it needs `api` to log, or `read_api` to read. Make a new one in GitLab."
                )
            user = _get(session, "/user", "user of this token", {"id", "username"})
            found = _get(session, f"/projects/{EncodedId(project)}", "project", {"id", "path_with_namespace"})
            access = access_of(self._role(session, found, user["id"]))
        if access is Access.WRITE and _WRITE_SCOPE not in scopes:
            access = Access.READ
        return Membership(ProjectId(found["id"]), found["path_with_namespace"], user["id"], user["username"], access)

    def _scopes(self, session: gitlab.Gitlab) -> set[str]:
        try:
            with telling("token"):
                got = session.http_get("/personal_access_tokens/self", **NO_WAITING)
        except MltrailError as error:
            # GitLab tells tokens that it knows, but that are of another kind, by this status.
            if getattr(error.__cause__, "response_code", None) == 400:
                raise unauthenticated(
                    "This is not a personal, project or group access token. OAuth tokens are not taken here yet; "
                    "make an access token with the scope `api` in GitLab."
                ) from error
            raise
        return set(_fields(got, "token", {"scopes"})["scopes"])

    def _role(self, session: gitlab.Gitlab, project: dict[str, Any], user_id: int) -> Role:
        permissions = project.get("permissions") or {}
        levels = [(permissions.get(name) or {}).get("access_level") or 0 for name in ("project_access", "group_access")]
        if not any(levels):
            # Groups that are invited to the project do not show in its permissions.
            try:
                member = _get(session, f"/projects/{project['id']}/members/all/{user_id}", "member")
            except MltrailError as error:
                if error.code not in (Code.NOT_FOUND, Code.FORBIDDEN):
                    raise
            else:
                levels.append(member.get("access_level") or 0)
        return max((role for role in Role if role <= max(levels)), default=Role.NONE)


def _check_form(token: str) -> None:
    """Refuse what can't be a token, and what no HTTP header can carry, before GitLab is asked."""
    if len(token) > _MAX_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise unauthenticated(
            "This is no token that GitLab makes: it is too long, or holds spaces or odd characters. "
            "Copy it again, without quotes and line ends."
        )


def _get(session: gitlab.Gitlab, path: str, what: str, fields: AbstractSet[str] = frozenset()) -> dict[str, Any]:
    with telling(what):
        got = session.http_get(path, **NO_WAITING)
    return _fields(got, what, fields)


def _fields(got: object, what: str, fields: AbstractSet[str]) -> dict[str, Any]:
    """Take an answer that holds at least these fields."""
    if not isinstance(got, dict) or not got.keys() >= fields:
        raise unavailable(f"GitLab's answer for the {what} can't be read.")
    return got

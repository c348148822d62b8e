"""Personal, project and group access tokens, and OAuth's: GitLab says whose they are and what they may do.

https://docs.gitlab.com/api/personal_access_tokens/ and https://docs.gitlab.com/api/oauth2/
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import gitlab
from gitlab.utils import EncodedId

from mltrail_server.domain.clock import Clock, system_clock
from mltrail_server.domain.errors import MltrailError, forbidden
from mltrail_server.domain.identity import Access, Role, access_of, title_of
from mltrail_server.domain.ids import ProjectId

from . import roles
from .answers import get, holding
from .errors import telling
from .session import NO_WAITING, Sessions

_WRITE_SCOPE = "api"
_READ_SCOPE = "read_api"


@dataclass(frozen=True, slots=True)
class Membership:
    """What the bearer of a token is in one project; `access` is None when GitLab gives no role there."""

    project_id: ProjectId
    project_path: str
    user_id: int
    user_name: str
    access: Access | None
    limit: str = ""  # why it is for reading only, although another token, role or project would do
    oauth: bool = False
    role: Role = Role.NONE


_PAGE, _MOST_PAGES = 100, 5


class AccessTokens:
    def __init__(self, sessions: Sessions, clock: Clock = system_clock) -> None:
        self._sessions = sessions
        self._clock = clock

    def membership(self, token: str, project: str) -> Membership:
        """Ask GitLab about the bearer of `token` in `project` (number or path): three calls, up to six for readers.

        Raises UNAUTHENTICATED for a token that GitLab does not know, FORBIDDEN for one without a useful scope or of a
        blocked user, NOT_FOUND for a project that the bearer may not see, UNAVAILABLE when GitLab does not answer.
        """
        with telling("token"), self._sessions.of(token) as session:
            scopes, oauth = self._scopes(session)
            _check_scopes(scopes)
            user = get(session, "/user", "user of this token", {"id", "username"})
            if user.get("state", "active") != "active":
                raise forbidden(f"GitLab tells that {user['username']} is {user['state']}: such a user has no access.")
            found = get(session, f"/projects/{EncodedId(project)}", "project", {"id", "path_with_namespace"})
            role = roles.role_in(session, found, user, today=self._today())
        access, limit = _judged(found, role, scopes, user["username"])
        path = found["path_with_namespace"]
        return Membership(ProjectId(found["id"]), path, user["id"], user["username"], access, limit, oauth, role)

    def projects(self, token: str) -> dict[ProjectId, str]:
        """List the projects that the bearer is a member of, paths by number; the first five hundred."""
        found: dict[ProjectId, str] = {}
        with telling("projects"), self._sessions.of(token) as session:
            _check_scopes(self._scopes(session)[0])
            for _ in range(_MOST_PAGES):
                got = session.http_list(
                    "/projects",
                    min_access_level=Role.GUEST.value,
                    simple=True,
                    order_by="id",
                    sort="asc",
                    id_after=max(found, default=0),
                    per_page=_PAGE,
                    page=1,
                    get_all=False,
                    **NO_WAITING,
                )
                page = {ProjectId(one["id"]): one["path_with_namespace"] for one in got}
                found |= page
                if len(page) < _PAGE:
                    break
        return found

    def check(self, token: str) -> None:
        """Raise UNAUTHENTICATED for a token that GitLab does not know, FORBIDDEN for one that could not even read."""
        with telling("token"), self._sessions.of(token) as session:
            _check_scopes(self._scopes(session)[0])

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock() / 1000, UTC).date()

    def _scopes(self, session: gitlab.Gitlab) -> tuple[set[str], bool]:
        """Tell a token's scopes, and whether it is one of OAuth's."""
        try:
            with telling("token"):
                got = session.http_get("/personal_access_tokens/self", **NO_WAITING)
        except MltrailError as error:
            # So GitLab tells tokens that it knows, but that are of another kind.
            if getattr(error.__cause__, "response_code", None) != 400:
                raise
        else:
            return set(holding(got, "token", {"scopes"})["scopes"]), False
        with telling("token"):
            info = session.http_get(f"{self._sessions.url}/oauth/token/info", **NO_WAITING)
        scopes = holding(info, "token", {"scope"})["scope"]
        return set(scopes.split() if isinstance(scopes, str) else scopes), True


def _check_scopes(scopes: set[str]) -> None:
    if not {_WRITE_SCOPE, _READ_SCOPE} & scopes:
        raise forbidden(
            f"This token has the scopes {', '.join(sorted(scopes)) or 'of nothing'}; "
            "it needs `api` to log, or `read_api` to read. Make a new one in GitLab."
        )


def _judged(project: dict[str, Any], role: Role, scopes: set[str], name: str) -> tuple[Access | None, str]:
    """Answer what role, scope and state of the project allow together, and what stands in the way of more."""
    access = access_of(role)
    path = project["path_with_namespace"]
    if access is None:
        limit = f"{name} is no member of {path}, which GitLab lets everybody read."
        return (Access.READ, limit) if roles.shows_to_everybody(project) else (None, "")
    if access is Access.READ:
        return access, f"The role {title_of(role)} may only read: ask for the Developer role in that project."
    if _WRITE_SCOPE not in scopes:
        return Access.READ, "This token has the scope `read_api`, which may read only; to log it needs `api`."
    limit = roles.read_only_reason(project)
    return (Access.READ, limit) if limit else (access, "")

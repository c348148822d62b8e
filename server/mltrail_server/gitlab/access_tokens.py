"""Personal, project, group and OAuth access tokens: GitLab says whose they are and what they allow.

https://docs.gitlab.com/api/personal_access_tokens/ and https://docs.gitlab.com/api/oauth2/
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mltrail_server.domain.clock import Clock, system_clock
from mltrail_server.domain.errors import MltrailError, forbidden
from mltrail_server.domain.identity import Access, Role, access_of, title_of
from mltrail_server.domain.ids import ProjectId

from . import roles
from .connections import NO_WAITING, Connections, library_error
from .errors import translating_errors
from .responses import get, with_fields

if TYPE_CHECKING:
    import gitlab

_WRITE_SCOPE = "api"
_READ_SCOPE = "read_api"


@dataclass(frozen=True, slots=True)
class Membership:
    """What the bearer of a token can do in one project; `access` is None if GitLab gives no role there."""

    project_id: ProjectId
    project_path: str
    user_id: int
    user_name: str
    access: Access | None
    limit: str = ""  # why it is read-only, where another token, role or project would not be
    oauth: bool = False
    role: Role = Role.NONE


@dataclass(frozen=True, slots=True)
class ListedProject:
    """A project that the bearer of a token is a member of. `is_reporter` is set from the Reporter role upwards, however
    the role was given; GitLab does not list which role it is.
    """

    project_id: ProjectId
    path: str
    is_reporter: bool


_PAGE, _MOST_PAGES = 100, 5


class AccessTokens:
    def __init__(self, sessions: Connections, clock: Clock = system_clock) -> None:
        self._sessions = sessions
        self._clock = clock

    def membership(self, token: str, project: str) -> Membership:
        """Ask GitLab about the bearer of `token` in `project` (number or path): three calls, up to six for readers.

        Raises UNAUTHENTICATED for a token that GitLab does not know, FORBIDDEN for one without a useful scope or of a
        blocked user, NOT_FOUND for a project that the bearer can't see, UNAVAILABLE when GitLab does not respond.
        """
        with translating_errors("token"), self._sessions.of(token) as session:
            scopes, oauth = self._scopes(session)
            _check_scopes(scopes)
            user = get(session, "/user", "user of this token", {"id", "username"})
            if user.get("state", "active") != "active":
                raise forbidden(f"GitLab says that {user['username']} is {user['state']}: such a user has no access.")
            found = get(session, f"/projects/{quote(project, safe='')}", "project", {"id", "path_with_namespace"})
            role = roles.role_in(session, found, user, today=self._today())
        access, limit = _judged(found, role, scopes, user["username"])
        path = found["path_with_namespace"]
        return Membership(ProjectId(found["id"]), path, user["id"], user["username"], access, limit, oauth, role)

    def projects(self, token: str) -> list[ListedProject]:
        """List the bearer's projects by number; the first five hundred. Two calls for up to a hundred projects.

        Raises FORBIDDEN for a token without a useful scope.
        """
        with translating_errors("projects"), self._sessions.of(token) as session:
            try:
                paths = _listed_from(session, Role.GUEST)
                reporter = _listed_from(session, Role.REPORTER) if paths else {}
            except library_error() as error:
                if error.response_code == 403:
                    _check_scopes(self._scopes(session)[0])  # it says which scope is missing
                raise
        return [ListedProject(number, path, number in reporter) for number, path in paths.items()]

    def check(self, token: str) -> None:
        """Raise UNAUTHENTICATED for a token that GitLab does not know, FORBIDDEN for one that can't even read."""
        with translating_errors("token"), self._sessions.of(token) as session:
            _check_scopes(self._scopes(session)[0])

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock() / 1000, UTC).date()

    def _scopes(self, session: "gitlab.Gitlab") -> tuple[set[str], bool]:
        """Return a token's scopes, and whether it is an OAuth token."""
        try:
            with translating_errors("token"):
                got = session.http_get("/personal_access_tokens/self", **NO_WAITING)
        except MltrailError as error:
            # GitLab's response to a token that it knows, but that is of another kind.
            if getattr(error.__cause__, "response_code", None) != 400:
                raise
        else:
            return set(with_fields(got, "token", {"scopes"})["scopes"]), False
        with translating_errors("token"):
            info = session.http_get(f"{self._sessions.url}/oauth/token/info", **NO_WAITING)
        scopes = with_fields(info, "token", {"scope"})["scope"]
        return set(scopes.split() if isinstance(scopes, str) else scopes), True


def _listed_from(session: "gitlab.Gitlab", role: Role) -> dict[ProjectId, str]:
    """Map the numbers of the projects in which the session's user has at least this role to their paths."""
    found: dict[ProjectId, str] = {}
    for _ in range(_MOST_PAGES):
        got = session.http_list(
            "/projects",
            min_access_level=role.value,
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


def _check_scopes(scopes: set[str]) -> None:
    if not {_WRITE_SCOPE, _READ_SCOPE} & scopes:
        raise forbidden(
            f"This token has {_listed(scopes)}; it needs `api` to log, or `read_api` to read. Create another in GitLab."
        )


def _listed(scopes: set[str]) -> str:
    return f"the scopes {', '.join(sorted(scopes))}" if scopes else "no scopes"


def _judged(project: dict[str, Any], role: Role, scopes: set[str], name: str) -> tuple[Access | None, str]:
    """Return what the role, the scope and the project's state allow together, and what prevents more."""
    access = access_of(role)
    path = project["path_with_namespace"]
    if access is None:
        limit = f"{name} is not a member of {path}, which GitLab lets everybody read."
        return (Access.READ, limit) if roles.shows_to_everybody(project) else (None, "")
    if access is Access.READ:
        return access, f"The {title_of(role)} role is read-only: ask for the Developer role in that project."
    if _WRITE_SCOPE not in scopes:
        return Access.READ, "This token has the scope `read_api`, which is read-only; to log, it needs `api`."
    limit = roles.read_only_reason(project)
    return (Access.READ, limit) if limit else (access, "")

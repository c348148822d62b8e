"""Which projects a person may see, for pages that cover several."""

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.gitlab.access_tokens import ListedProject
from mltrail_server.services.context.deps import Deps, TeamMode
from mltrail_server.services.context.memberships import Memberships
from mltrail_server.store.identity import projects as store

from . import authentication
from . import projects as projects_service


def visible(deps: Deps, token: str) -> list[ListedProject]:
    """List the projects that the bearer of a token is a member of and that were used here, by path.

    GitLab is asked twice for up to a hundred projects, and at most once a minute. A public project is not among them
    unless the bearer is a member: GitLab has too many of those to list. In local mode, these are all projects.
    """
    if deps.team is None:
        authentication.check_local(deps, token)
        with deps.db.read() as connection:
            return [ListedProject(number, path, is_reporter=True) for number, path in store.known(connection, None)]
    allowed = {one.project_id: one for one in _memberships(deps, deps.team, token) if _is_allowed(deps, one)}
    with deps.db.read() as connection:
        used_here = store.known(connection, sorted(allowed))
    # GitLab's path is the newer one: a project may have moved since it was used here.
    return sorted((allowed[number] for number, _ in used_here), key=lambda one: one.path.lower())


def beginning_with(deps: Deps, token: str, project: str) -> list[ListedProject]:
    """List the same with `project` first, which may also be a public one. Raises NOT_FOUND if it can't be seen."""
    actor = authentication.admit(deps, token, project)
    own = ListedProject(actor.project_id, actor.project_path, actor.sees_merge_requests)
    return [own, *(one for one in visible(deps, token) if one.project_id != own.project_id)]


def caller(token: str) -> bytes:
    """Return a key for the bearer of a token, by which the calls of one person are limited."""
    return Memberships.key(token)


def _memberships(deps: Deps, team: TeamMode, token: str) -> tuple[ListedProject, ...]:
    key, now = team.memberships.key(token), deps.clock()
    known = team.memberships.fresh(key, now)
    if known is not None:
        return known
    try:
        with team.lookup_limit.hold():
            found = tuple(team.access_tokens.projects(token))
    except MltrailError as error:
        stale = team.memberships.stale(key, now) if error.code is Code.UNAVAILABLE else None
        if stale is None:
            if error.code is not Code.UNAVAILABLE:
                team.memberships.forget(key)
            raise
        return stale
    team.memberships.keep(key, found, now)
    return found


def _is_allowed(deps: Deps, project: ListedProject) -> bool:
    return projects_service.is_allowed(deps.settings.namespaces, project.path)

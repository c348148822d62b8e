"""Find the projects that a history goes into."""

from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.identity import projects

_MOST_DIGITS = 18


def find(deps: Deps, project: str) -> tuple[ProjectId, str]:
    """Return the number and path of a project. In local mode it is any number; otherwise GitLab's, or its path.

    Raises INVALID or NOT_FOUND for a project that can't be.
    """
    if project.isascii() and project.isdigit() and 0 < len(project) <= _MOST_DIGITS and int(project) > 0:
        return _by_number(deps, ProjectId(int(project)))
    if deps.team is None:
        raise invalid(
            f"{project[:80]!r} is not a project number. In local mode, a project is a number, for example 1; to use "
            "paths, set MLTRAIL_GITLAB_URL and the server's other variables."
        )
    found = deps.team.gitlab.project_named(project)
    return ProjectId(found.id), found.path


def _by_number(deps: Deps, number: ProjectId) -> tuple[ProjectId, str]:
    with deps.db.read() as connection:
        known = dict(projects.known(connection, [number]))
    if number in known:
        return number, known[number]
    if deps.team is None:
        return number, str(number)
    try:
        return number, deps.team.gitlab.project(number).path
    except MltrailError as error:
        if error.code is Code.UNAVAILABLE:
            return number, str(number)
        raise

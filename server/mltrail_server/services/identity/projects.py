"""Which projects may use this server, and what it keeps about those that do.

On gitlab.com anybody can create a project, and a token with our audience for it, so an operator can limit the groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.errors import forbidden, not_found
from mltrail_server.domain.identity import Actor
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.project import Project
from mltrail_server.store.identity import projects as store


def is_allowed(allowed: Sequence[str], path: str) -> bool:
    """Return whether a project is in one of the allowed groups; if there are none, all projects are allowed."""
    return not allowed or any(path.lower().startswith(f"{namespace.lower()}/") for namespace in allowed)


def check_allowed(allowed: Sequence[str], path: str) -> None:
    """Raise FORBIDDEN for a project outside the allowed groups.

    It does not reveal whether the project exists: the path alone decides.
    """
    if not is_allowed(allowed, path):
        raise forbidden(
            f"This server does not take projects of '{path.rpartition('/')[0]}'. Its operator names the groups that "
            "may come in MLTRAIL_ALLOWED_NAMESPACES."
        )


def ensure(deps: Deps, actor: Actor) -> None:
    """Make sure that the actor's project has its rows, the default experiment among them, and its present path."""
    if deps.known_projects.get(actor.project_id) == actor.project_path:
        return
    with deps.project(actor.project_id).write() as tx:
        store.ensure(tx, path=actor.project_path)
    deps.known_projects[actor.project_id] = actor.project_path


def path_of(project: Project) -> str | None:
    """Return the path of a project; None where it has not been used here."""
    with project.read() as tx:
        return store.path_of(tx)


@dataclass(frozen=True, slots=True)
class NamedProject:
    project_id: ProjectId
    path: str


def named(deps: Deps, project: str) -> NamedProject:
    """Find a project that has been used here by its path or number. Raises NOT_FOUND."""
    with deps.db.read() as connection:
        known = store.known(connection, None)
    found = [NamedProject(number, path) for number, path in known if project in (path, str(number))]
    if not found:
        raise not_found(f"No project '{project}' has been used here.")
    return found[-1]

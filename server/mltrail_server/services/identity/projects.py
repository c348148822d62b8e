"""Make a project known when it is first used.

Which projects may come at all: on gitlab.com anybody can make a project, and a token with our audience for it.
"""

from collections.abc import Sequence

from mltrail_server.domain.errors import forbidden
from mltrail_server.domain.identity import Actor
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.project import Project
from mltrail_server.store.identity import projects as store


def is_allowed(allowed: Sequence[str], path: str) -> bool:
    """Tell whether a project is in one of the allowed groups; none given means all are allowed."""
    return not allowed or any(path.lower().startswith(f"{namespace.lower()}/") for namespace in allowed)


def check_allowed(allowed: Sequence[str], path: str) -> None:
    """Refuse a project outside the allowed groups; none given means all are allowed.

    Raises FORBIDDEN. Nobody learns from it whether the project exists: the path alone decides.
    """
    if not is_allowed(allowed, path):
        raise forbidden(
            f"This server does not take projects of '{path.rpartition('/')[0]}'. Its operator names the groups that "
            "may come in MLTRAIL_ALLOWED_NAMESPACES."
        )


def ensure(deps: Deps, actor: Actor) -> None:
    """Make sure that the actor's project has its rows, among them the default experiment."""
    mark = (actor.project_id, actor.project_path)
    if mark in deps.known_projects:
        return
    with deps.project(actor.project_id).write() as tx:
        store.ensure(tx, path=actor.project_path)
    deps.known_projects.add(mark)


def path_of(project: Project) -> str | None:
    """Tell the path of a project that has been used here."""
    with project.read() as tx:
        return store.path_of(tx)

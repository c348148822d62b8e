"""Make a project known when it is first used."""

from mltrail_server.domain.identity import Actor
from mltrail_server.store import projects as store

from .deps import Deps


def ensure(deps: Deps, actor: Actor) -> None:
    """Make sure that the actor's project has its rows, among them the default experiment."""
    mark = (actor.project_id, actor.project_path)
    if mark in deps.known_projects:
        return
    with deps.db.write() as connection:
        store.ensure(connection, actor.project_id, path=actor.project_path, now=deps.clock())
    deps.known_projects.add(mark)

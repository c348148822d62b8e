"""Make a project known when it is first used."""

from mltrail_server.domain.identity import Actor
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import projects as store
from mltrail_server.store.db import Database

from .deps import Deps


def ensure(deps: Deps, actor: Actor) -> None:
    """Make sure that the actor's project has its rows, among them the default experiment."""
    mark = (actor.project_id, actor.project_path)
    if mark in deps.known_projects:
        return
    with deps.db.write() as connection:
        store.ensure(connection, actor.project_id, path=actor.project_path, now=deps.clock())
    deps.known_projects.add(mark)


def path_of(database: Database, project_id: ProjectId) -> str | None:
    """Tell the path of a project that has been used here."""
    with database.read() as connection:
        return store.path_of(connection, project_id)

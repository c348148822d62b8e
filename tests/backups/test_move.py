"""A database moves to another one and back: the rows are the same, and nobody's writes get lost unseen."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.backups import move
from mltrail_server.store import schema
from mltrail_server.store.archives import rows, target
from mltrail_server.store.archives.target import Unfinished
from mltrail_server.store.db import migrate, partitions, revisions
from mltrail_server.store.db.database import Database
from tests.backups.world import ONE, World, ignore
from tests.databases import Databases
from tests.rows import fill

BACKENDS = ("sqlite",)


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as connection:
        return {table.name: [row for batch in rows.read(connection, table) for row in batch] for table in rows.TABLES}


def test_from_sqlite_to_postgresql_and_back(world: World, new_postgresql: str, tmp_path: Path) -> None:
    with world.deps.db.write() as connection:
        fill(connection, ONE)
        session = schema.web_session
        connection.execute(sa.insert(session).values(id_sha256="a" * 64, sealed="x", refresh_ms=1, expires_ms=2))
        connection.execute(sa.update(schema.metric).where(schema.metric.c.project_id == ONE).values(value=-0.0))
    before = everything(world.deps.db)
    there, back = Database(new_postgresql), Database(f"sqlite:///{tmp_path / 'back.db'}")
    migrate.create(there)
    partitions.partition(there, 3)
    moved = move.move(world.deps.db, there, progress=ignore)
    assert (moved.done, moved.different, moved.changed) == (True, [], False)
    assert sum(moved.tables.values()) == sum(map(len, before.values()))
    assert everything(there) == before
    assert move.move(there, back, progress=ignore).done
    assert everything(back) == before
    with there.read() as connection:
        parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'metric'::regclass"
        assert connection.exec_driver_sql(parts).scalar_one() == 3  # the operator's partitions stay
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_sequences").scalar_one() == 0  # none to set
    for database in (there, back):
        migrate.prepare(database)
        database.dispose()


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_writes_meanwhile_are_found(world: World, tmp_path: Path) -> None:
    goal = Database(f"sqlite:///{tmp_path / 'new.db'}")
    late = [{"project_id": ONE, "name": "late", "value": 1}]

    def write_once(*_: object) -> None:
        while late:
            with world.deps.db.write() as connection:
                connection.execute(sa.insert(schema.counter).values(**late.pop()))

    moved = move.move(world.deps.db, goal, progress=write_once)
    assert (moved.done, moved.changed, moved.different) == (False, True, [])
    with pytest.raises(MltrailError, match="is incomplete"):
        migrate.prepare(goal)
    assert move.move(world.deps.db, goal, progress=ignore).done
    assert everything(goal) == everything(world.deps.db)
    goal.dispose()


def test_a_database_that_is_not_empty_is_refused(world: World, tmp_path: Path, sqlite_databases: Databases) -> None:
    with sqlite_databases.lent(tmp_path / "other") as url:
        goal = Database(url)
        with goal.write() as connection:
            connection.execute(sa.insert(schema.project).values(project_id=7, created_ms=1))
        with pytest.raises(MltrailError, match="not empty") as caught:
            move.move(world.deps.db, goal, progress=ignore)
        assert caught.value.code is Code.CONFLICT
        target.begin(goal, Unfinished("restore", "some backup"), str(revisions.newest()))
        with pytest.raises(MltrailError, match="restore was interrupted"):
            move.move(world.deps.db, goal, progress=ignore)
        goal.dispose()


def test_a_difference_is_found(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.deps.db.write() as connection:
        fill(connection, ONE)
    goal = Database(f"sqlite:///{tmp_path / 'new.db'}")
    migrate.create(goal)
    with goal.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER broken AFTER INSERT ON param BEGIN "
            "UPDATE param SET value = 'other' WHERE key = NEW.key; END"
        )
    moved = move.move(world.deps.db, goal, progress=ignore)
    assert (moved.done, moved.different) == (False, ["param"])
    goal.dispose()

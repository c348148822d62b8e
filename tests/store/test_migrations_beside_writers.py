"""Migrations on PostgreSQL while servers write: nobody waits for long, and no prepared statement stays stale."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.store import schema
from mltrail_server.store.db import migrate, partitions, revisions
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.statements import Statement
from tests import later_version
from tests.processes import PATIENCE_SECONDS

BACKENDS = ("postgresql",)
NOW = int(revisions.newest() or 0)
BEFORE, TABLES, INDEX = (f"{NOW + step:04}" for step in range(3))
"""This version's revision, and those of the second version's two migrations."""

OFTEN = 12
"""psycopg prepares a statement once it has been sent five times."""

_PROJECTS = Statement(sa.select(schema.project.c.path).where(schema.project.c.project_id == sa.bindparam("project_id")))


@pytest.fixture
def database(fresh: Callable[..., str]) -> Iterator[Database]:
    database = Database(fresh())
    migrate.create(database)
    yield database
    database.dispose()


@pytest.fixture
def second(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Know the migrations of the second version. The tables are this version's, as those of a server that goes on."""
    version = later_version.second(tmp_path / "second")
    monkeypatch.setattr(revisions, "FOLDER", version.migrations.parent)
    monkeypatch.setattr(migrate, "FOLDER", version.migrations.parent)


@pytest.mark.usefixtures("second")
class TestWaiting:
    def test_a_migration_lets_others_pass_until_it_gets_the_table(self, database: Database) -> None:
        """A long transaction holds the table, and the migration comes again and again instead of standing in line."""
        waits = threading.Event()
        said: list[str] = []
        with ThreadPoolExecutor(1) as pool:
            with database.engine.connect() as holder:
                holder.exec_driver_sql("LOCK TABLE candidate IN ACCESS SHARE MODE")

                def report(line: str) -> None:
                    said.append(line)
                    waits.set()

                done = pool.submit(migrate.upgrade, database, report=report)
                assert waits.wait(PATIENCE_SECONDS)
                with database.write() as connection:  # a writer that comes later than the migration
                    connection.exec_driver_sql("LOCK TABLE candidate IN ROW EXCLUSIVE MODE")
                assert not done.done()
            done.result()
        assert migrate.revision(database) == INDEX
        assert "idle in transaction" in said[0]

    def test_it_gives_up_and_has_changed_nothing(self, database: Database) -> None:
        with database.engine.connect() as holder:
            holder.exec_driver_sql("LOCK TABLE candidate IN ACCESS SHARE MODE")
            with pytest.raises(MltrailError, match="has changed nothing") as refused:
                migrate.upgrade(database, patience_seconds=0)
        assert refused.value.code == Code.UNAVAILABLE
        assert migrate.state(database).revision == BEFORE
        migrate.upgrade(database)
        assert migrate.state(database).revision == INDEX

    def test_two_at_once_do_it_once(self, database: Database) -> None:
        with ThreadPoolExecutor(2) as pool:
            other = Database(_url(database))
            list(pool.map(migrate.upgrade, [database, other]))
            other.dispose()
        assert migrate.state(database).revision == INDEX

    def test_an_index_whose_building_was_interrupted_is_built_anew(self, database: Database) -> None:
        migrate.upgrade(database, to=TABLES)
        with database.write() as connection:
            connection.exec_driver_sql("CREATE INDEX ix_candidate_tried ON candidate (project_id)")
            connection.exec_driver_sql(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_candidate_tried'::regclass"
            )
        migrate.upgrade(database)
        assert "(project_id, tried_ms)" in _indexes(database)["ix_candidate_tried"]

    def test_an_index_of_a_partitioned_table(self, database: Database) -> None:
        partitions.partition(database, 3)
        path = max((revisions.FOLDER / "versions").glob(f"{INDEX}*"))
        path.write_text(
            path.read_text().replace('"candidate", ["project_id", "tried_ms"]', '"metric", ["project_id", "step"]')
        )
        migrate.upgrade(database)
        found = [name for name, text in _indexes(database).items() if "(project_id, step)" in text]
        assert sorted(found) == ["ix_candidate_tried", *(f"ix_candidate_tried_metric_{n}_of_3" for n in range(3))]
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid").scalar() == 0


class TestPreparedStatements:
    def read(self, database: Database) -> list[tuple[str]]:
        with database.read() as connection:
            return list(_PROJECTS.run(connection, {"project_id": 7}).fetchall())

    def test_they_outlive_an_expand_migration(self, database: Database) -> None:
        for _ in range(OFTEN):
            assert self.read(database) == []
        with database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE project ADD COLUMN colour text")
            connection.execute(sa.insert(schema.project), {"project_id": 7, "path": "team/churn", "created_ms": 1})
        for _ in range(OFTEN):
            assert self.read(database) == [("team/churn",)]

    def test_one_that_is_stale_is_tried_again_on_a_new_connection(self, database: Database) -> None:
        """A contract migration changes the type of a column that a server has read all the time."""
        for _ in range(OFTEN):
            self.read(database)
        other = Database(_url(database))
        with other.write() as connection:
            connection.exec_driver_sql("ALTER TABLE project ALTER COLUMN path TYPE text")
        other.dispose()
        with pytest.raises(MltrailError, match="have just been changed; try again") as refused:
            self.read(database)
        assert refused.value.code == Code.UNAVAILABLE
        for _ in range(OFTEN):
            assert self.read(database) == []


def _url(database: Database) -> str:
    return database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _indexes(database: Database) -> dict[str, str]:
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT indexname, indexdef FROM pg_indexes").all()
    return {str(name): str(text) for name, text in rows}

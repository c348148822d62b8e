"""Setting up a database."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest
import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError
from mltrail_server.store.db import migrate, revisions
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.revisions import State
from tests import later_version
from tests.later_version import Version

SERVERS = 4
NOW = revisions.newest() or ""


def test_servers_that_start_at_once_set_it_up_once(fresh: Callable[..., str]) -> None:
    url = fresh()
    databases = [Database(url) for _ in range(SERVERS)]
    with ThreadPoolExecutor(SERVERS) as pool:
        list(pool.map(migrate.prepare, databases))
    assert {migrate.revision(database) for database in databases} == {revisions.newest()}
    for database in databases:
        database.dispose()


_CATALOGUE = (
    """SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, collation_name,
    generation_expression FROM information_schema.columns WHERE table_schema = 'public'""",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace""",
)


def schema(database: Database) -> set[tuple[object, ...]]:
    """A database's tables in its own words, whatever the order of their clauses: SQLite appends a column that came
    later to the same line.
    """
    queries = ["SELECT type, name, sql FROM sqlite_master"] if database.is_sqlite else _CATALOGUE
    with database.read() as connection:
        rows = [row for query in queries for row in connection.exec_driver_sql(query)]
    return {
        tuple(frozenset(clause.strip(" \t)") for clause in re.split(r"[,\n]", str(part))) for part in row)
        for row in rows
    }


def test_a_fresh_database_is_as_the_migrations_make_it(fresh: Callable[..., str]) -> None:
    made, migrated = Database(fresh("made")), Database(fresh("migrated"))
    migrate.create(made)
    migrate.upgrade(migrated)
    assert schema(made) == schema(migrated)
    for database in (made, migrated):
        database.dispose()


class TestLaterVersions:
    """Of which the second expands the schema, and the third takes away what the second still used."""

    @pytest.fixture(scope="class")
    @staticmethod
    def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Version, Version]:
        folder = tmp_path_factory.mktemp("versions")
        return later_version.second(folder / "second"), later_version.third(folder / "third")

    def test_an_older_version_runs_until_the_contract(
        self, fresh: Callable[..., str], versions: tuple[Version, Version], tmp_path: Path
    ) -> None:
        second, third = versions
        database = Database(fresh())
        migrate.create(database)
        settings = {
            "MLTRAIL_DATABASE_URL": database.engine.url.set(
                drivername=database.engine.url.get_backend_name()
            ).render_as_string(hide_password=False),
            "MLTRAIL_DATA_DIR": str(tmp_path / "data"),
            "MLTRAIL_GITLAB_URL": "http://127.0.0.1:9",  # where nobody listens: no command gets that far
            "MLTRAIL_EXTERNAL_URL": "http://127.0.0.1:9",
            "MLTRAIL_GITLAB_TOKEN": "glpat-any",
        }
        assert "Servers of revision 0010 or later can go on" in second.run("migrate", "--check", code=3, **settings)
        assert migrate.revision(database) == NOW
        refused = second.run("worker", "--once", code=2, **settings)
        assert f"at revision {NOW}, and this version needs {second.revision}. Make a backup, then run: " in refused
        assert "mltrail-server migrate" in refused
        assert f"at revision {second.revision} (it was at {NOW})" in second.run(
            "migrate", "--while-serving", **settings
        )
        migrate.prepare(database)  # this version, the first
        migrate.upgrade(database)
        assert migrate.state(database) == State(second.revision, "0010", f"mltrail {metadata.version('mltrail')}")
        assert "there is nothing to do" in second.run("migrate", "--check", **settings)

        assert "stop all others first" in third.run("migrate", "--check", code=4, **settings)
        assert "stop all others first" in third.run("migrate", "--while-serving", code=4, **settings)
        assert migrate.revision(database) == second.revision
        assert f"at revision {third.revision} (it was at {second.revision})" in third.run("migrate", **settings)
        refused = second.run("migrate", "--check", code=2, **settings)
        assert f"only versions of revision {third.revision} or later can run on it" in refused
        with pytest.raises(MltrailError, match=rf"{third.revision}.*restore a backup from before the upgrade"):
            migrate.prepare(database)
        database.dispose()

    def test_the_tables_of_a_fresh_database_say_the_same(
        self, fresh: Callable[..., str], versions: tuple[Version, Version]
    ) -> None:
        made, migrated = fresh("made"), fresh("migrated")
        programs = ("create", "upgrade")
        for url, program in zip((made, migrated), programs, strict=True):
            code = (
                f"from mltrail_server.store.db import database, migrate; migrate.{program}(database.Database({url!r}))"
            )
            environment = os.environ | versions[1].environment()
            subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        ours, theirs = Database(made), Database(migrated)
        assert schema(ours) == schema(theirs)
        assert migrate.state(ours) == migrate.state(theirs)
        ours.dispose()
        theirs.dispose()


def test_a_database_of_an_unreleased_state_is_told_how_to_come_along(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/old.db")
    with database.write() as connection:
        revisions.VERSION.create(connection)
        connection.execute(sa.insert(revisions.VERSION).values(version_num="0007"))
    for refused in (migrate.prepare, migrate.upgrade):
        with pytest.raises(MltrailError, match=r"0007.*CHANGELOG\.md.*names the last commit"):
            refused(database)
    database.dispose()


def test_a_database_from_before_the_record_gets_it_by_migrate(fresh: Callable[..., str]) -> None:
    """As those that the default branch has set up."""
    database = Database(fresh())
    migrate.create(database)
    with database.write() as connection:
        revisions.COMPATIBILITY.drop(connection)
    migrate.prepare(database)
    assert migrate.state(database) == State(NOW, NOW, "")
    migrate.upgrade(database)
    assert migrate.state(database).migrated_by.startswith("mltrail ")
    database.dispose()

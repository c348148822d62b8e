"""Setting up a database."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mltrail_server.store.db import migrate
from mltrail_server.store.db.database import Database
from tests.postgresql import Cluster

SERVERS = 4


@pytest.fixture
def fresh(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Answers the URL of a database that nobody has set up."""

    def url(name: str = "fresh") -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.run(f"CREATE DATABASE {name}")
        request.addfinalizer(lambda: cluster.run(f"DROP DATABASE {name} WITH (FORCE)"))
        return cluster.url(name)

    return url


def test_servers_that_start_at_once_set_it_up_once(fresh: Callable[..., str]) -> None:
    url = fresh()
    databases = [Database(url) for _ in range(SERVERS)]
    with ThreadPoolExecutor(SERVERS) as pool:
        list(pool.map(migrate.prepare, databases))
    assert {migrate.revision(database) for database in databases} == {migrate.newest()}
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

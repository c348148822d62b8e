"""Databases for tests, set up before they are asked for: making the schema takes longer than most tests."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import psycopg
import pytest
import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db import migrate
from mltrail_server.store.db.database import Database
from tests.postgresql import Cluster

BACKENDS = ("sqlite", "postgresql")
ON_BOTH = ("api", "contract", "store")
"""The suites that run on both. A module may name its own: `BACKENDS = ("sqlite",)`."""


_FULL = " UNION ALL ".join(f"(SELECT '{name}' FROM \"{name}\" LIMIT 1)" for name in schema.METADATA.tables).encode()
"""Names the tables that have rows."""

ONE_CASE = "api"
"""The suite whose tests run all their cases on SQLite, but only the first on PostgreSQL, unless they are marked with
`every_case`: their other cases send no statement that some test does not send anyway.
"""


_CASES = pytest.StashKey[dict[tuple[str, str], str]]()


def note_case(item: pytest.Item) -> None:
    """Must be called for each test in the order in which they are written."""
    case = getattr(item, "callspec", None)
    if case is not None and case.params.get("backend") == "postgresql":
        first = item.session.stash.setdefault(_CASES, {})
        first.setdefault(_function(item), item.nodeid)


def is_repeated(item: pytest.Item) -> bool:
    """Whether a test is a further case of one that PostgreSQL has run."""
    first = item.session.stash.get(_CASES, {}).get(_function(item))
    case = getattr(item, "callspec", None)
    return (
        case is not None
        and case.params.get("backend") == "postgresql"
        and item.nodeid != first
        and item.path.relative_to(Path(__file__).parent).parts[0] == ONE_CASE
        and item.get_closest_marker("every_case") is None
    )


def _function(item: pytest.Item) -> tuple[str, str]:
    return item.parent.nodeid if item.parent else "", getattr(item, "originalname", item.name)


class Databases(Protocol):
    """Lends empty databases."""

    def lent(self, folder: Path) -> AbstractContextManager[str]: ...


class SqliteDatabases:
    """Copies of one file."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        set_up(f"sqlite:///{self._template}")

    @contextmanager
    def lent(self, folder: Path) -> Iterator[str]:
        """Lend a database in a server's data folder, where it looks by itself."""
        folder.mkdir(parents=True)
        shutil.copy(self._template, folder / "mltrail.db")
        yield f"sqlite:///{folder / 'mltrail.db'}"


class PostgresqlDatabases:
    """Databases of one cluster, which are emptied and lent again: faster than making one for every test."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._free: list[str] = []
        self._open: dict[str, psycopg.Connection] = {}
        self._made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open.values():
            connection.close()

    @contextmanager
    def lent(self, folder: Path) -> Iterator[str]:
        folder.mkdir(parents=True)
        name = self._free.pop() if self._free else self._new()
        yield self._cluster.url(name)
        self._empty(name)
        self._free.append(name)

    @contextmanager
    def unused(self, folder: Path) -> Iterator[str]:
        """Make a database for this test alone, which never gets statistics by itself.

        PostgreSQL plans by the size that tables have had, and by statistics, which it may or may not collect meanwhile.
        """
        folder.mkdir(parents=True)
        name = self._new()
        tables = ";".join(f'ALTER TABLE "{table}" SET (autovacuum_enabled = off)' for table in schema.METADATA.tables)
        self._cluster.run(tables, name)
        yield self._cluster.url(name)
        self._cluster.run(f"DROP DATABASE {name} WITH (FORCE)")

    def _new(self) -> str:
        if not self._made:
            self._cluster.run("CREATE DATABASE template_of_tests")
            set_up(self._cluster.url("template_of_tests"))
        self._made += 1
        name = f"test_{self._made}"
        self._cluster.run(f"CREATE DATABASE {name} TEMPLATE template_of_tests")
        return name

    def _empty(self, name: str) -> None:
        """Delete all rows, over a connection that stays open: a new one takes as long as the rest of it."""
        if name not in self._open:
            self._open[name] = psycopg.connect(self._cluster.url(name), autocommit=True)
            # Foreign keys are not followed: everything goes.
            self._open[name].execute("SET session_replication_role = replica; SET lock_timeout = '10s'")
        full = self._open[name].execute(_FULL).fetchall()
        self._open[name].execute(";".join(f'DELETE FROM "{table}"' for (table,) in full).encode())


_FIRST: dict[str, sa.Engine] = {}
_COMPILED: dict[Any, Any] = {}


def share_compiled(database: Database) -> None:
    """Let a database that has been connected use the statements that others have compiled, and they those of this one.
    A tenth of the time of most tests would go to compiling them.
    """
    engine = database.engine
    engine.dialect = _FIRST.setdefault(engine.dialect.name, engine).dialect  # which is a part of a statement's key
    engine.update_execution_options(compiled_cache=_COMPILED)
    database.dispose()  # its connections stay open, and have taken over what the engine was before


def set_up(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database)
    database.dispose()

"""Move the database to another one, of the same kind or the other: all rows, compared afterwards on both sides.

The copy is of one moment. What a server writes to the old database later would be missing in the new one, so the
servers must be stopped first; at the end, it is checked whether the old one has changed.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.batches import batches
from mltrail_server.domain.errors import conflict, invalid
from mltrail_server.store.archives import rows, snapshot, spelling, target
from mltrail_server.store.archives.target import Unfinished
from mltrail_server.store.db import migrate, revisions
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.statements import Tuple

from .backup import Progress

COMMAND = "move-database"
_BATCHES = 20
"""Of rows, in a transaction of the new database."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied. `different` are tables that are not the same on both sides; `changed` says whether the old
    database was written to meanwhile.
    """

    schema: str
    tables: dict[str, int]
    different: list[str]
    changed: bool

    @property
    def done(self) -> bool:
        return not (self.different or self.changed)


@dataclass(frozen=True, slots=True)
class _Digest:
    rows: int
    sha256: str


def move(source: Database, goal: Database, *, progress: Progress) -> Moved:
    """Copy everything. Unless both sides are the same at the end, the new database stays marked as incomplete: no
    server opens it, and the same command starts over.

    Raises CONFLICT if there is anything in the new database, and INVALID for a schema that this version does not know.
    """
    with target.alone(goal), _watched(source) as changed, source.snapshot() as seen:
        before = target.unfinished(goal)
        if before is None and not target.is_empty(goal):
            raise conflict("The new database is not empty: give an empty one. Nothing was changed.")
        if before is not None and before.command != COMMAND:
            raise conflict(
                f"The new database is incomplete, because {before.command} was interrupted: complete that first, or "
                "give another database."
            )
        schema = snapshot.revision(seen)
        if schema not in revisions.known():
            raise invalid(
                f"The database has the schema {schema}, which this version does not know: install a later one."
            )
        target.begin(goal, Unfinished(COMMAND, COMMAND), schema)
        if migrate.revision(goal) is None:
            migrate.create(goal) if schema == revisions.newest() else migrate.upgrade(goal, to=schema)
        with goal.read() as connection:
            new = {table.name: table for table in snapshot.tables(connection)}
        copied, done = {}, 0
        for table in snapshot.tables(seen):
            copied[table.name] = _copy(seen, table, goal, new[table.name])
            done += copied[table.name].rows
            progress("rows", done, 0)
        with goal.snapshot() as connection:
            there = {name: _digest(table, rows.read(connection, table)) for name, table in new.items()}
        different = sorted(name for name, digest in copied.items() if there.get(name) != digest)
        moved = Moved(schema, {name: one.rows for name, one in copied.items()}, different, changed(copied))
        if moved.done:
            target.end(goal)
    return moved


def _copy(seen: sa.Connection, table: sa.Table, goal: Database, new: sa.Table) -> _Digest:
    """Copy a table, and return the digest of what was read."""
    ordered = target.in_order(new, [column.name for column in rows.columns(table)])
    if ordered is None:
        raise invalid(f"The table {table.name} does not match the schema: run mltrail-server migrate first.")
    noted = _Noted(table)
    for part in batches(noted.passing(rows.read(seen, table)), _BATCHES):
        with goal.write() as connection:
            for batch in part:
                rows.write(connection, ordered, batch)
    return noted.digest


def _digest(table: sa.Table, read: Iterable[list[Tuple]]) -> _Digest:
    noted = _Noted(table)
    for _ in noted.passing(read):
        pass
    return noted.digest


class _Noted:
    """Computes the digest of rows that pass by key. Both databases sort texts by their bytes, so it is the same."""

    def __init__(self, table: sa.Table) -> None:
        # By name: a migrated table may have its columns in another order than a new one.
        columns = sorted(rows.columns(table), key=lambda column: column.name)
        self._places = [rows.columns(table).index(column) for column in columns]
        self._doubles = [place for place, column in enumerate(columns) if isinstance(column.type, sa.Float)]
        self._table = target.in_order(table, [column.name for column in columns])
        self._hash = hashlib.sha256()
        self._rows = 0

    @property
    def digest(self) -> _Digest:
        return _Digest(self._rows, self._hash.hexdigest())

    def passing(self, read: Iterable[list[Tuple]]) -> Iterator[list[Tuple]]:
        assert self._table is not None  # noqa: S101 - its own columns, in another order
        for batch in read:
            self._hash.update(spelling.lines(self._table, [self._sorted(row) for row in batch]))
            self._rows += len(batch)
            yield batch

    def _sorted(self, row: Tuple) -> Tuple:
        values = [row[place] for place in self._places]
        for place in self._doubles:
            if values[place] == 0:
                values[place] = 0.0  # SQLite has no negative zero
        return tuple(values)


@contextmanager
def _watched(source: Database) -> Iterator[Callable[[dict[str, _Digest]], bool]]:
    """Yield a function that says, at the end, whether anybody has written to the database since.

    SQLite counts what other connections commit. PostgreSQL has no such count for one database, so all of it is read
    again.
    """
    if source.is_sqlite:
        with closing(sqlite3.connect(str(source.engine.url.database))) as connection:
            version = connection.execute("PRAGMA data_version").fetchone()
            yield lambda _: connection.execute("PRAGMA data_version").fetchone() != version
        return

    def changed(copied: dict[str, _Digest]) -> bool:
        with source.engine.connect().execution_options(isolation_level="REPEATABLE READ") as again:
            return any(
                _digest(table, rows.read(again, table)) != copied[table.name] for table in snapshot.tables(again)
            )

    yield changed

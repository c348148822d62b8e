"""All rows of all tables, or of one project: read in batches, and written in bulk.

Which tables there are is what `store/schema` says, so that a new one is never forgotten. Functions take any table, also
one of an older schema that was read from a database.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Tuple, driver

LEFT_OUT = {
    "web_session": "the sessions of browsers: people sign in again",
    "upload": "uploads in parts whose parts are still in the file store alone: clients begin them again",
}
"""Tables that no archive has, and why."""

TABLES = tuple(schema.METADATA.sorted_tables)
"""All tables, each after those that its rows refer to."""

ARCHIVED = tuple(table for table in TABLES if table.name not in LEFT_OUT)
"""Those that an archive has, in the same order."""

_NUMBERS_BATCH = 10_000
_TEXTS_BATCH = 500
"""Rows in a batch of a table whose texts may be long: a batch is kept in memory."""


def columns(table: sa.Table) -> tuple[sa.Column[Any], ...]:
    """Return the columns that are stored; the database computes the others."""
    return tuple(column for column in table.columns if column.computed is None)


def read(
    connection: sa.Connection, table: sa.Table, *, only: ProjectId | None = None, batch: int | None = None
) -> Iterator[list[Tuple]]:
    """Read a table's rows by its key, in batches of tuples in the order of `columns`: `only` a project's, or all.

    Each batch is a statement of its own that goes on after the last key, so that nothing stays open in between. What a
    reader sees of changes meanwhile is up to the connection's transaction.
    """
    size = batch or _batch(table)
    keys = list(table.primary_key.columns)
    stored = columns(table)
    first = sa.select(*stored).order_by(*keys).limit(size).execution_options(all_projects=only is None)
    onward = keys
    if only is not None:
        first = first.where(table.c.project_id == sa.bindparam("only", only))
        onward = keys[1:]  # SQLite seeks in the index only by columns that no other condition has named
    booleans = _booleans(connection, stored)
    found = _fetched(connection.execute(first), booleans)
    if not onward:
        yield found
        return
    after = sa.tuple_(*onward) > sa.tuple_(*(sa.bindparam(f"after_{key.name}", type_=key.type) for key in onward))
    following = first.where(after)
    places = [(f"after_{key.name}", stored.index(key)) for key in onward]
    while found:
        yield found
        if len(found) < size:
            return
        after_last = {name: found[-1][place] for name, place in places}
        found = _fetched(connection.execute(following, after_last), booleans)


def write(connection: sa.Connection, table: sa.Table, rows: Sequence[Tuple]) -> int:
    """Add rows, tuples in the order of `columns`, within the connection's transaction; return how many.

    Raises INVALID if the database can't store one: it is there already, has a NUL in a text that PostgreSQL can't hold,
    or refers to a row that is missing.
    """
    names = ", ".join(f'"{column.name}"' for column in columns(table))
    cursor = driver(connection).cursor()
    try:
        if connection.dialect.name == "postgresql":
            with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join("?" * len(columns(table)))
            cursor.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', rows)  # noqa: S608 - our own names
    except (connection.dialect.loaded_dbapi.DataError, connection.dialect.loaded_dbapi.IntegrityError) as error:
        raise _refused(table, rows, str(error)) from error
    finally:
        cursor.close()
    return len(rows)


def write_all(connection: sa.Connection, table: sa.Table, rows: Iterator[Tuple]) -> int:
    """Like `write`, for any number of rows: in batches, so that memory is bounded."""
    written = 0
    while part := list(islice(rows, _batch(table))):
        written += write(connection, table, part)
    return written


def count(connection: sa.Connection, table: sa.Table, *, only: ProjectId | None = None) -> int:
    """Count a table's rows: `only` a project's, or all."""
    query = sa.select(sa.func.count()).select_from(table).execution_options(all_projects=only is None)
    if only is not None:
        query = query.where(table.c.project_id == only)
    return connection.execute(query).scalar_one()


def _booleans(connection: sa.Connection, stored: Sequence[sa.Column[Any]]) -> list[int]:
    """Return the places of booleans that the driver gives as numbers."""
    if connection.dialect.name != "sqlite":
        return []
    return [place for place, column in enumerate(stored) if isinstance(column.type, sa.Boolean)]


def _fetched(result: sa.CursorResult[Any], booleans: list[int]) -> list[Tuple]:
    """Fetch tuples from the driver: rows of SQLAlchemy would take twice the time."""
    assert result.cursor is not None  # noqa: S101 - of a SELECT
    found: list[Tuple] = list(result.cursor.fetchall())
    result.close()
    for place in booleans:
        after = place + 1
        found = [(*row[:place], None if row[place] is None else bool(row[place]), *row[after:]) for row in found]
    return found


def _batch(table: sa.Table) -> int:
    texts = any(isinstance(column.type, sa.Text) for column in table.columns)
    return _TEXTS_BATCH if texts else _NUMBERS_BATCH


def _refused(table: sa.Table, rows: Sequence[Tuple], error: str) -> MltrailError:
    """Say which row has a NUL, if that is why; otherwise what the database says."""
    keys = [place for place, column in enumerate(columns(table)) if column.primary_key]
    for row in rows:
        for column, value in zip(columns(table), row, strict=True):
            if isinstance(value, str) and "\0" in value:
                key = ", ".join(repr(row[place]) for place in keys)
                return invalid(
                    f"The row ({key}) of the table {table.name} has a NUL character in {column.name}, which "
                    "PostgreSQL can't store in a text: remove it at the source, then try again."
                )
    return invalid(f"A row of the table {table.name} can't be stored: {error.splitlines()[0]}")

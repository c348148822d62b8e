"""Small SQL helpers that every aggregate uses.

SQLAlchemy takes some 80 us to build a statement. So what a training loop waits for is built once, as a constant of its
module with named parameters, or kept here by table; see also `prepared`.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from mltrail_server.domain.ids import ProjectId

from . import schema
from .prepared import Prepared

Values = Mapping[str, Any]
Row = sa.Row[*tuple[Any, ...]]
Query = sa.Select[Any]


def insert_for(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Make an INSERT that knows ON CONFLICT, in the database's own dialect."""
    return _insert(connection.dialect.name, table)


def _insert(dialect: str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def add_new(dialect: str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Build an INSERT that passes over rows whose key is there already."""
    return _or(_insert(dialect, table), table, ())


def upsert(connection: sa.Connection, table: sa.Table, rows: Iterable[Values], *, update: Iterable[str] = ()) -> int:
    """Insert rows in one statement; where the key is there already, overwrite the columns `update`, or keep the row.
    Answers how many rows were inserted or overwritten.

    All rows name the same columns, and no two have the same key.
    """
    values = list(rows)
    if not values:
        return 0
    if defaults := _defaults(table, tuple(values[0])):
        values = [defaults | dict(row) for row in values]
    columns = tuple(values[0])
    if connection.dialect.name == "postgresql":
        # One statement whatever the number of rows: each column goes as an array.
        arrays = {name: [row[name] for row in values] for name in columns}
        return _upsert_arrays(table, columns, tuple(update)).run(connection, arrays)
    return _upsert(table, columns, tuple(update)).run_many(connection, values)


def next_number(connection: sa.Connection, project_id: ProjectId, name: str, *, count: int = 1) -> int:
    """Give out the next number of a project's counter, beginning with 1; the first of `count` that are then taken."""
    given = {"project_id": project_id, "name": name, "value": count}
    row = _next_number(connection.dialect.name).one(connection, given)
    last: int = row[0] if row else 0
    return last - count + 1


@cache
def _defaults(table: sa.Table, given: tuple[str, ...]) -> dict[str, Any]:
    """Answer what columns that are not given begin with; SQLAlchemy itself would add it to its own statements only."""
    return {
        column.name: column.default.arg
        for column in table.columns
        if column.name not in given and isinstance(column.default, ScalarElementColumnDefault)
    }


@cache
def _upsert(table: sa.Table, columns: tuple[str, ...], update: tuple[str, ...]) -> Prepared:
    return Prepared(_or(sqlite.insert(table), table, update), columns=columns)


@cache
def _upsert_arrays(table: sa.Table, columns: tuple[str, ...], update: tuple[str, ...]) -> Prepared:
    arrays = [sa.cast(sa.bindparam(name), postgresql.ARRAY(table.c[name].type)) for name in columns]
    rows = sa.func.unnest(*arrays).table_valued(*columns).render_derived()
    insert = postgresql.insert(table).from_select(columns, sa.select(*(rows.c[name] for name in columns)))
    return Prepared(_or(insert, table, update))


def _or(
    insert: postgresql.Insert | sqlite.Insert, table: sa.Table, update: tuple[str, ...]
) -> postgresql.Insert | sqlite.Insert:
    """Say what happens to rows whose key is there already."""
    keys = [column.name for column in table.primary_key]
    if not update:
        return insert.on_conflict_do_nothing(index_elements=keys)
    return insert.on_conflict_do_update(index_elements=keys, set_={name: insert.excluded[name] for name in update})


@cache
def _next_number(dialect: str) -> Prepared:
    table = schema.counter
    insert = _insert(dialect, table)
    grown = insert.on_conflict_do_update(
        index_elements=[table.c.project_id, table.c.name], set_={"value": table.c.value + insert.excluded["value"]}
    )
    return Prepared(grown.returning(table.c.value), columns=("project_id", "name", "value"))

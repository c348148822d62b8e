"""Small SQL helpers that every aggregate uses.

SQLAlchemy takes some 80 us to build a statement and 20 us to run one that is built. So what a training loop waits for
is built once, as a constant of its module with named parameters, or kept here by table.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mltrail_server.domain.ids import ProjectId

from . import schema

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
    return _insert(dialect, table).on_conflict_do_nothing(index_elements=[one.name for one in table.primary_key])


def upsert(connection: sa.Connection, table: sa.Table, rows: Iterable[Values], *, update: Iterable[str] = ()) -> None:
    """Insert rows in one statement; where the key is there already, overwrite the columns `update`, or keep the row.

    Rows with the same key must not come twice in one call.
    """
    values = list(rows)
    if values:
        connection.execute(_upsert(connection.dialect.name, table, tuple(update)), values)


def next_number(connection: sa.Connection, project_id: ProjectId, name: str, *, count: int = 1) -> int:
    """Give out the next number of a project's counter, beginning with 1; the first of `count` that are then taken."""
    values = {"project_id": project_id, "name": name, "value": count}
    last: int = connection.execute(_next_number(connection.dialect.name), values).scalar_one()
    return last - count + 1


@cache
def _upsert(dialect: str, table: sa.Table, update: tuple[str, ...]) -> sa.Executable:
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    if not update:
        return statement.on_conflict_do_nothing(index_elements=keys)
    return statement.on_conflict_do_update(
        index_elements=keys, set_={name: statement.excluded[name] for name in update}
    )


@cache
def _next_number(dialect: str) -> sa.Executable:
    table = schema.counter
    named: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(name) for name in ("project_id", "name", "value")}
    statement = _insert(dialect, table).values(named)
    return statement.on_conflict_do_update(
        index_elements=[table.c.project_id, table.c.name],
        set_={"value": table.c.value + statement.excluded["value"]},
    ).returning(table.c.value)

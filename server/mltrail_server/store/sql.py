"""Small SQL helpers that every aggregate uses."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mltrail_server.domain.ids import ProjectId

from . import schema

Values = Mapping[str, Any]
Row = sa.Row[*tuple[Any, ...]]


def insert_for(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Make an INSERT that knows ON CONFLICT, in the database's own dialect."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def upsert(connection: sa.Connection, table: sa.Table, rows: Iterable[Values], *, update: Iterable[str] = ()) -> None:
    """Insert rows in one statement; where the key is there already, overwrite the columns `update`, or keep the row.

    Rows with the same key must not come twice in one call.
    """
    values = list(rows)
    if not values:
        return
    statement = insert_for(connection, table)
    keys = [column.name for column in table.primary_key]
    columns = {name: statement.excluded[name] for name in update}
    if columns:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=columns)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    connection.execute(statement, values)


def next_number(connection: sa.Connection, project_id: ProjectId, name: str, *, count: int = 1) -> int:
    """Give out the next number of a project's counter, beginning with 1; the first of `count` that are then taken."""
    table = schema.counter
    statement = insert_for(connection, table).values(project_id=project_id, name=name, value=count)
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.project_id, table.c.name], set_={"value": table.c.value + count}
    )
    last: int = connection.execute(statement.returning(table.c.value)).scalar_one()
    return last - count + 1

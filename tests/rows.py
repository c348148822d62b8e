"""Rows for every table of the schema, whatever tables there are: what refers to another table's row finds it."""

import math
from typing import Any

import sqlalchemy as sa

from mltrail_server.store.archives import rows

MOST = 4
_DOUBLES = (0.1 + 0.2, math.inf, -math.inf, 5e-324)
_TEXTS = ("plain", 'q"\\\n\u2028', "ü 😀 \x1f", "")


def made(table: sa.Table, project_id: int) -> list[tuple[Any, ...]]:
    """Make `MOST` rows, or the one that there can be, with numbers at both ends, infinities, odd texts and nulls."""
    most = 1 if list(table.primary_key) == [table.c.project_id] else MOST
    stored = rows.columns(table)
    return [tuple(_value(table, column, number, project_id) for column in stored) for number in range(most)]


def fill(connection: sa.Connection, project_id: int) -> None:
    for table in rows.TABLES:
        if "project_id" in table.c:
            rows.write(connection, table, made(table, project_id))


def _value(table: sa.Table, column: sa.Column[Any], number: int, project_id: int) -> Any:
    if column.name == "project_id":
        return project_id
    if column.primary_key or column.foreign_keys or _is_referred_to(table, column) or _is_unique(table, column):
        return _numbered(column, number)
    if column.nullable and number == 1:
        return None
    return _odd(column, number)


def _numbered(column: sa.Column[Any], number: int) -> Any:
    if isinstance(column.type, sa.Boolean | sa.Float):
        return _odd(column, number)
    return str(number) if isinstance(column.type, sa.String) else number + 1


def _odd(column: sa.Column[Any], number: int) -> Any:
    match column.type:
        case sa.Boolean():
            return number % 2 == 0
        case sa.Float():
            return _DOUBLES[number]
        case sa.String(length=length):
            return "x" * length if length and number == 0 else _TEXTS[number]
        case sa.BigInteger() if number == 2:
            return 2**63 - 1
    return number + 1


def _is_referred_to(table: sa.Table, column: sa.Column[Any]) -> bool:
    keys = (key for other in table.metadata.tables.values() for key in other.foreign_keys)
    return any(key.column is column for key in keys)


def _is_unique(table: sa.Table, column: sa.Column[Any]) -> bool:
    unique = [one for one in table.constraints if isinstance(one, sa.UniqueConstraint)]
    return any(column.name in one.columns for one in unique)

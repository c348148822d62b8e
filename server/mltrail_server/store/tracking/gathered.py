"""Keys and values that belong to a row, as one more column of it: JSON that the database makes.

A read then takes one statement and no object for each pair; see `domain.pairs`.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa


def pairs(table: sa.Table, dialect: str, *owned: sa.ColumnElement[bool]) -> sa.ScalarSelect[str]:
    """Select the keys and values of `table` that meet `owned`, by key, as a list of objects; in SQLite, it may be
    empty, in PostgreSQL it is NULL instead.

    `owned` must fix all of the primary key but `key`: then both databases walk the rows in the key's order.
    """
    if dialect == "postgresql":
        rows = sa.select(table.c.key, table.c.value).where(*owned).order_by(*table.primary_key)
        # Only the table that the column is for comes from outside.
        pair = rows.correlate_except(table).subquery("pair")
        return sa.select(sa.cast(sa.func.json_agg(pair.table_valued()), sa.Text)).select_from(pair).scalar_subquery()
    key: sa.ColumnElement[str] = sa.literal_column("'key'")
    value: sa.ColumnElement[str] = sa.literal_column("'value'")
    text = sa.func.json_group_array(sa.func.json_object(key, table.c.key, value, table.c.value), type_=sa.Text)
    return sa.select(text).where(*owned).correlate_except(table).scalar_subquery()


def arrays(
    table: sa.Table, columns: Sequence[sa.ColumnElement[Any]], dialect: str, *owned: sa.ColumnElement[bool]
) -> sa.ScalarSelect[str]:
    """Select texts and whole numbers as a list of lists, in any order; without any, as for `pairs`."""
    if dialect == "postgresql":
        text: sa.ColumnElement[str] = sa.cast(sa.func.json_agg(sa.func.json_build_array(*columns)), sa.Text)
    else:
        text = sa.func.json_group_array(sa.func.json_array(*columns), type_=sa.Text)
    return sa.select(text).where(*owned).correlate_except(table).scalar_subquery()

"""Hints to the planners, for the statements that they get wrong.

Every index begins with `project_id`. Without statistics SQLite considers `project_id = ?` alone about as selective as
an index that identifies the rows, and prefers the one that happens to be in the requested order: it then scans a whole
project. So does PostgreSQL while it has no statistics, because a table is new or has just grown.

Statistics alone do not solve this. `PRAGMA optimize` was tried: with it SQLite finds the jobs of a pipeline in tables
with thousands of rows, but a table that was empty when it ran has no statistics, so the first pipelines of a server are
read by scanning a project, and plans change from one day to the next. A hint works from the first row on, and a plan
test proves it. Try without one first, and add none without such a test.
"""

from typing import Any

import sqlalchemy as sa


def unindexed(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Turn a column into an expression that no index contains, so that the rows are found by another index."""
    return column + ("" if isinstance(column.type, sa.String) else 0)


def as_range(column: sa.ColumnElement[Any], value: object) -> sa.ColumnElement[bool]:
    """Write `=` as a range, for which SQLite uses the index that begins with the project and this column."""
    return column.between(value, value)


def looked_up(query: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Return whether a query finds something, and look that up for each row of the query around it.

    PostgreSQL would otherwise turn the EXISTS into a join, or read all of its tables first, which takes a hundred times
    as long if there are few rows. Its planner does neither to a query with an OFFSET.
    """
    return query.offset(0).exists()


def by_key(table: sa.Table, *key: Any) -> sa.Select[Any]:  # noqa: ANN401 - columns or values
    """Select the row with a primary key, by that key's index, and look it up for each row of the query around it.

    PostgreSQL takes another index that ends with the candidate to be as good, or even better if it holds all columns
    that are asked for, when its statistics say that few rows have the columns before. These are the statistics of all
    projects together, so in a project that has many, it would read all values of a metric for each candidate. Only the
    primary key's index has the order that is asked for here, and doesn't need to be sorted, whatever the statistics. A
    query in which only equality is asked for has no order, as PostgreSQL sees it. All columns are selected for the
    other indexes to lack some. See `looked_up` for the OFFSET.
    """
    project, *others = table.primary_key
    wanted, found = sa.tuple_(*key[1:]), sa.tuple_(*others)
    query = sa.select(table).where(project == key[0], found >= wanted, found <= wanted).order_by(*others)
    # Not parameters: planned for any LIMIT, the query might as well read and sort all rows.
    return query.limit(sa.literal_column("1")).offset(sa.literal_column("0"))

"""Hints to the planners, for the statements that they get wrong.

Every index begins with `project_id`. Without statistics SQLite takes `project_id = ?` alone for about as selective as
an index that names the rows, and prefers the one that happens to be in the order asked for: it then walks over all of a
project. PostgreSQL does so too until it has gathered statistics, where a table is new or has just grown.

Statistics alone do not mend it. `PRAGMA optimize` was tried: with it SQLite finds the jobs of a pipeline in tables that
hold thousands of rows, but a table that was empty when it ran has none, so the first pipelines of a server are read by
walking over a project, and a plan changes from one day to the next. A hint holds from the first row on, and a plan test
keeps it. Try without one first, and add none without such a test.
"""

from typing import Any

import sqlalchemy as sa


def unindexed(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Make an expression of a column, which no index holds: the rows are to be found by another index."""
    return column + ("" if isinstance(column.type, sa.String) else 0)


def as_range(column: sa.ColumnElement[Any], value: object) -> sa.ColumnElement[bool]:
    """Say `=` as a range, for which SQLite takes the index that begins with the project and this column."""
    return column.between(value, value)

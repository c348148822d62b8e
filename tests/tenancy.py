"""Tenant isolation, held where it matters: every statement on a tenant's table keeps to a project.

A table is kept to one by a comparison of its `project_id` in the same statement: with a value, or with the column of
another table that is kept in its turn.
"""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.operators import eq, in_op

PROJECT = "project_id"
ACROSS = frozenset({"due", "project"})
"""What the worker takes up next is looked for in all projects, and cleaning up goes from project to project."""


_SEEN: dict[str, list[str]] = {}
"""What each statement leaks, by its text: looking takes longer than running most statements."""


@dataclass
class Watch:
    """Looks at each statement that SQLAlchemy sends to any database, from `begin` on."""

    found: list[str] = field(default_factory=list)

    def begin(self) -> None:
        event.listen(sa.Engine, "before_cursor_execute", self._look)

    def _look(self, _connection: object, _cursor: object, text: str, _values: object, context: Any, _: object) -> None:
        # The driver's own statements have no context: `tests/unit/test_tenancy.py` checks every one of them.
        if context is None or context.compiled is None or context.execution_options.get("all_projects"):
            return  # the latter is an operator's, see store/admin/overview.py
        if text not in _SEEN:
            _SEEN[text] = leaks(context.compiled.statement)
        if tables := _SEEN[text]:
            self.found.append(f"{', '.join(tables)}: {text}")


def leaks(statement: object) -> list[str]:
    """Name the tables that a statement reads or changes without keeping to a project."""
    if isinstance(statement, sa.Insert):
        return []  # a row without its key's first column can't be stored
    if not isinstance(statement, (sa.Select, sa.CompoundSelect, sa.Update, sa.Delete)):
        return []
    used: set[str] = set()
    kept: set[str] = set()
    inner: set[str] = set()
    for element in visitors.iterate(statement):
        if isinstance(element, (sa.Table, sa.Alias)) and PROJECT in element.c:
            used.add(str(element.name))
        # An alias stands for its table, which is walked over as well.
        if isinstance(element, sa.Alias) and isinstance(element.element, sa.Table):
            inner.add(str(element.element.name))
        if isinstance(element, BinaryExpression) and element.operator in (eq, in_op):
            for side in (element.left, element.right):
                if isinstance(side, sa.Column) and side.name == PROJECT:
                    kept.add(str(getattr(side.table, "name", "")))
    return sorted(used - kept - inner - ACROSS)


TENANTS = Watch()

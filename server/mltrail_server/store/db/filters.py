"""Comparisons of a filter as SQL."""

import re
import sys
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import MAX_PATTERN, MAX_WILDCARDS, Clause

Column = sa.ColumnElement[Any]

NUMBER_OPERATORS: dict[str, Callable[[Column, Any], sa.ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
}

_WILDCARDS = re.compile("%+")
_LITERAL = re.compile("[^%_]+")
_LAST = chr(sys.maxunicode)


def compare_number(column: Column, clause: Clause) -> sa.ColumnElement[bool]:
    if not isinstance(clause.value, float):
        raise invalid(f"Expected a number without quotes to compare '{clause.key}' with, not {clause.value!r}.")
    if clause.operator not in NUMBER_OPERATORS:
        raise invalid(f"Invalid comparison '{clause.operator}' for '{clause.key}'; use one of = != > >= < <=.")
    return NUMBER_OPERATORS[clause.operator](column, clause.value)


def compare_text(column: Column, clause: Clause) -> sa.ColumnElement[bool]:
    value = clause.value
    if clause.operator in ("IN", "NOT IN") and isinstance(value, tuple):
        return column.in_(value) if clause.operator == "IN" else column.not_in(value)
    if not isinstance(value, str):
        raise invalid(
            f"Expected a text in quotes to compare '{clause.key}' with, for example '{clause.key} = \\'x\\''."
        )
    if clause.operator == "=":
        return column == value
    if clause.operator == "!=":
        return column != value
    if clause.operator == "LIKE":
        return column.like(_pattern(value), escape="\\")
    if clause.operator == "ILIKE":
        # The database folds both sides. SQLite folds ASCII only: a pattern folded here would miss its own text.
        return column.ilike(_pattern(value), escape="\\")
    raise invalid(f"Invalid comparison '{clause.operator}' for '{clause.key}'; use one of =, !=, LIKE, ILIKE.")


def begins_with(column: Column, pattern: str, *, most: int) -> sa.ColumnElement[bool] | None:
    """Return a range of a column that holds the first `most` characters of texts; all texts that match a LIKE pattern
    are in this range. None for a pattern that begins with a wildcard. Both databases compare our texts by code point.
    """
    found = _LITERAL.match(pattern[:most])
    start = found[0] if found else ""
    if not start:
        return None
    after = _after(start)
    return column >= start if after is None else (column >= start) & (column < after)


def _after(start: str) -> str | None:
    """Return the first text after all those that begin with `start`; None if there is none."""
    start = start.rstrip(_LAST)
    if not start:
        return None
    number = ord(start[-1])
    # No text contains half of a surrogate pair, whose code points come next.
    return start[:-1] + chr(0xE000 if number == 0xD7FF else number + 1)


def _pattern(value: str) -> str:
    """Take `_` and `%` as wildcards. MLflow's filters have no escape, so a backslash stands for itself."""
    if len(value) > MAX_PATTERN:
        raise invalid(f"A pattern of LIKE or ILIKE has {MAX_PATTERN} characters at most; compare longer texts by =.")
    # Several in a row match the same as one.
    value = _WILDCARDS.sub("%", value)
    if value.count("%") > MAX_WILDCARDS:
        raise invalid(f"A pattern of LIKE or ILIKE has {MAX_WILDCARDS} % at most; use fewer, or several comparisons.")
    return value.replace("\\", "\\\\")

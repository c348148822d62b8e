"""Pages by key: a token holds the sort values of the last row seen, so that page 50 costs what page 1 costs.

A token is bound to its query: with another filter, order or experiment it would silently skip or repeat rows. Rows that
are added in the meantime neither shift a page nor appear twice.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class Sorted:
    """One column to sort by. It is never NULL: a nullable column is wrapped, and sorted by a rank first."""

    column: sa.ColumnElement[Any]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What to sort by, and the tables that have to be joined for it."""

    columns: list[Sorted] = field(default_factory=list)
    joins: list[tuple[sa.FromClause, sa.ColumnElement[bool]]] = field(default_factory=list)

    def joined(self, query: sa.Select[Any]) -> sa.Select[Any]:
        for table, condition in self.joins:
            query = query.outerjoin(table, condition)
        return query


def mark_of(*query: object) -> str:
    """Return a short mark that identifies a query. Its parts must have a stable `repr`."""
    return hashlib.sha256(repr(query).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def page(query: sa.Select[Any], order: Sequence[Sorted], *, limit: int, token: str | None, mark: str) -> sa.Select[Any]:
    """Sort, continue after `token`, and fetch one row more than a page, to see whether another page follows.

    The sort values are added to the query's columns, under the names `sort_0`, `sort_1`, …
    """
    return arranged(query, order, limit=limit, after=read_sorted(token, mark, order))


def arranged(
    query: sa.Select[Any], order: Sequence[Sorted], *, limit: int, after: Sequence[Any] | None, first: int = 0
) -> sa.Select[Any]:
    """Sort and continue after the values `after`; the sort columns are numbered from `first` on."""
    query = query.add_columns(*(one.column.label(f"sort_{place}") for place, one in enumerate(order, first)))
    if after is not None:
        query = query.where(_after(order, after))
    return query.order_by(*directed(order)).limit(limit + 1)


def directed(order: Sequence[Sorted]) -> list[sa.ColumnElement[Any]]:
    return [one.column.desc() if one.descending else one.column.asc() for one in order]


def token_of(row: sa.Row[Any], order: Sequence[Sorted], mark: str) -> str:
    return written_token([getattr(row, f"sort_{place}") for place in range(len(order))], mark)


def written_token(values: Sequence[Any], mark: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([mark, *values]).encode()).decode()


def read_token(token: str | None, mark: str, length: int) -> list[Any] | None:
    """Read a token's sort values; None for the first page. Raises INVALID if it is damaged or another query's."""
    if not token:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error, UnicodeError, RecursionError) as error:
        raise bad_token() from error
    if not isinstance(values, list) or not values or not isinstance(values[0], str):
        raise bad_token()
    if values[0] != mark:
        raise invalid(Reason.PAGE_OF_OTHER_SEARCH)
    if len(values) != length + 1 or not all(map(_is_storable, values)):
        raise bad_token()
    return values[1:]


def read_sorted(token: str | None, mark: str, order: Sequence[Sorted]) -> list[Any] | None:
    """Read the same for a page of rows, and check that the values fit the columns, before a driver refuses them."""
    values = read_token(token, mark, len(order))
    if values is not None and not all(_fits(value, one.column) for value, one in zip(values, order, strict=True)):
        raise bad_token()
    return values


def _after(order: Sequence[Sorted], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Build `a >= x AND (a > x OR (a = x AND b > y) OR …)`, with the direction of each column.

    The first part is redundant, but it lets the database start where the last page ended in the index.
    """
    alternatives: list[sa.ColumnElement[bool]] = []
    equal: list[sa.ColumnElement[bool]] = []
    bound: sa.ColumnElement[bool] = sa.true()
    for one, value in zip(order, values, strict=True):
        literal = sa.literal(value, one.column.type)
        if not alternatives:
            bound = one.column <= literal if one.descending else one.column >= literal
        alternatives.append(sa.and_(*equal, one.column < literal if one.descending else one.column > literal))
        equal.append(one.column == literal)
    return sa.and_(bound, sa.or_(*alternatives))


def not_beyond(order: Sequence[Sorted], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Keep the rows up to and including the one with these sort values; none of the columns may be NULL.

    The first part lets the database end there in the index, and the negation keeps PostgreSQL from reading all of these
    rows, by parts of the condition, where the first few are enough.
    """
    first, value = order[0], sa.literal(values[0], order[0].column.type)
    return sa.and_(first.column >= value if first.descending else first.column <= value, ~_after(order, values))


def _is_storable(value: object) -> bool:
    """Return whether a value can have come from a row at all: a client can write any JSON into a token."""
    if isinstance(value, str):
        return not any(0xD800 <= ord(character) < 0xE000 for character in value)
    return isinstance(value, (int, float))


def _fits(value: object, column: sa.ColumnElement[Any]) -> bool:
    """Return whether a value has a column's type."""
    kind = column.type.python_type
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind


def bad_token() -> MltrailError:
    return invalid(Reason.SORTED_PAGE_UNREADABLE)

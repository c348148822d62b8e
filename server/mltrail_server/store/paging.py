"""Pages by key: a token holds the sort values of the last row seen, so that page 50 costs what page 1 costs."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid


@dataclass(frozen=True, slots=True)
class Sorted:
    """One column to sort by. It is never NULL: what may be is wrapped, with a rank before it."""

    column: sa.ColumnElement[Any]
    descending: bool = False


def page(query: sa.Select[Any], order: Sequence[Sorted], *, limit: int, token: str | None) -> sa.Select[Any]:
    """Sort, continue after `token`, and fetch one row more than a page, to tell whether another page follows.

    The sort values are added to the query's columns, under the names `sort_0`, `sort_1`, …
    """
    query = query.add_columns(*(one.column.label(f"sort_{number}") for number, one in enumerate(order)))
    if token:
        query = query.where(_after(order, _read(token, len(order))))
    return query.order_by(*(one.column.desc() if one.descending else one.column.asc() for one in order)).limit(
        limit + 1
    )


def token_of(row: sa.Row[Any], order: Sequence[Sorted]) -> str:
    values = [getattr(row, f"sort_{number}") for number in range(len(order))]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def _after(order: Sequence[Sorted], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Build `(a > x) OR (a = x AND b > y) OR …`, with the direction of each column."""
    alternatives = []
    equal: list[sa.ColumnElement[bool]] = []
    for one, value in zip(order, values, strict=True):
        literal = sa.literal(value, one.column.type)
        further = one.column < literal if one.descending else one.column > literal
        alternatives.append(sa.and_(*equal, further))
        equal.append(one.column == literal)
    return sa.or_(*alternatives)


def _read(token: str, length: int) -> list[Any]:
    try:
        values = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise _bad() from error
    known = isinstance(values, list) and len(values) == length
    if not known or not all(isinstance(value, (int, float, str)) for value in values):
        raise _bad()
    return list(values)


def _bad() -> Exception:
    return invalid("Invalid page token: send the next_page_token of the last answer, with the same order_by.")

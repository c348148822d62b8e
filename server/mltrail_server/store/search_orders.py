"""Orders of a run search as columns to sort by: numbers, then NaN, then what has none, whichever the direction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Entity, Order
from mltrail_server.domain.ids import ProjectId

from . import schema
from .paging import Sorted
from .search_clauses import NUMBERS, TEXTS, key_id

_T = schema.candidate
_COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    **NUMBERS,
    **TEXTS,
    # GitLab's names, which its clients send as one text.
    "created_at": _T.c.started_ms,
    "updated_at": sa.func.coalesce(_T.c.ended_ms, _T.c.started_ms),
    "name": _T.c.name,
    "id": _T.c.iid,
}
NUMBER, NAN, MISSING = 0, 1, 2
"""The ranks of a metric's value, whichever the direction."""

NEWEST = (Sorted(_T.c.started_ms, descending=True), Sorted(_T.c.eid))
"""The newest first, which is also how ties are broken."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What to sort by, and the tables that have to be joined for it."""

    columns: list[Sorted] = field(default_factory=list)
    joins: list[tuple[sa.FromClause, sa.ColumnElement[bool]]] = field(default_factory=list)

    def joined(self, query: sa.Select[Any]) -> sa.Select[Any]:
        for table, condition in self.joins:
            query = query.outerjoin(table, condition)
        return query


def arrangement(orders: Sequence[Order], project_id: ProjectId) -> Arrangement:
    made = Arrangement()
    for order in orders:
        _add(made, order, project_id)
    made.columns.extend(NEWEST)
    return made


def is_newest_first(orders: Sequence[Order]) -> bool:
    """Tell whether an order is the one that the index of the newest candidates has."""
    if len(orders) != 1:
        return not orders
    first = orders[0]
    return first.entity is Entity.ATTRIBUTE and first.descending and _COLUMNS.get(first.key) is _T.c.started_ms


def _add(made: Arrangement, order: Order, project_id: ProjectId) -> None:
    if order.entity is Entity.METRIC:
        latest = schema.latest_metric.alias()
        joined = sa.and_(
            latest.c.project_id == _T.c.project_id,
            latest.c.candidate_iid == _T.c.iid,
            latest.c.key_id == key_id(project_id, order.key),
        )
        made.joins.append((latest, joined))
        rank = sa.case((latest.c.is_nan.is_(None), MISSING), (latest.c.is_nan, NAN), else_=NUMBER)
        made.columns.extend((Sorted(rank), Sorted(sa.func.coalesce(latest.c.value, 0.0), order.descending)))
    elif order.entity in (Entity.PARAM, Entity.TAG):
        table = (schema.param if order.entity is Entity.PARAM else schema.candidate_tag).alias()
        joined = sa.and_(
            table.c.project_id == _T.c.project_id, table.c.candidate_iid == _T.c.iid, table.c.key == order.key
        )
        made.joins.append((table, joined))
        rank = sa.case((table.c.value.is_(None), 1), else_=0)
        made.columns.extend((Sorted(rank), Sorted(sa.func.coalesce(table.c.value, ""), order.descending)))
    else:
        column = _column(order)
        if column is _T.c.ended_ms:
            made.columns.append(Sorted(sa.case((column.is_(None), 1), else_=0)))
            column = sa.func.coalesce(column, 0)
        made.columns.append(Sorted(column, order.descending))


def _column(order: Order) -> sa.ColumnElement[Any]:
    column = _COLUMNS.get(order.key) if order.entity is Entity.ATTRIBUTE else None
    if column is None:
        known = ", ".join(sorted(_COLUMNS.keys() - {"Created"}))
        raise invalid(f"Invalid order_by key '{order.key}'; sort by one of {known}, or by metrics.…, params.…, tags.…")
    return column

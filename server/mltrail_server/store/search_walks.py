"""The ways to a page of candidates: sort them, or walk an index that has the order already."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.filters import Order
from mltrail_server.domain.ids import ProjectId

from . import schema
from .candidates import COLUMNS
from .metric_keys import find
from .paging import Sorted, arranged, bad_token, directed
from .search_orders import MISSING, NAN, NUMBER, Arrangement, arrangement, is_newest_first
from .sql import Row

_T = schema.candidate
_LATEST = schema.latest_metric
_SIDE_BY_SIDE = 40
"""So many experiments and stages are walked at the same time; more are sorted."""

Values = Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class Walk:
    """Each way answers the rows after the sort values `after`, and one more than `limit` when there are more."""

    connection: sa.Connection
    project_id: ProjectId
    experiment_iids: Sequence[int]
    stages: Sequence[Stage]
    conditions: Sequence[sa.ColumnElement[bool]]

    def sorted(self, by: Arrangement, *, limit: int, after: Values, iids: Sequence[int] | None = None) -> list[Row]:
        """Sort all that matches; of the candidates `iids` only, when they are given."""
        found = self._within() if iids is None else (_T.c.iid.in_(iids), *self._by_row())
        return self._rows(arranged(by.joined(self._all(*found)), by.columns, limit=limit, after=after))

    def newest(
        self,
        by: Arrangement,
        *,
        limit: int,
        after: Values,
        constants: Sequence[sa.Label[Any]] = (),
        only: Sequence[sa.ColumnElement[bool]] = (),
    ) -> list[Row]:
        """Walk the newest candidates of each experiment and stage, and merge them."""

        def part(*which: sa.ColumnElement[bool]) -> sa.Select[Any]:
            query = self._all(*which, *only).add_columns(*constants)
            return arranged(query, by.columns, limit=limit, after=after, first=len(constants))

        groups = [(experiment, stage) for experiment in self.experiment_iids for stage in self.stages]
        if len(groups) > _SIDE_BY_SIDE:
            return self._rows(part(*self._within()))
        parts = [part(_T.c.experiment_iid == experiment, _T.c.stage == stage) for experiment, stage in groups]
        if len(parts) == 1:
            return self._rows(parts[0])
        merged = sa.union_all(*(sa.select(one.subquery()) for one in parts)).subquery()
        order = [
            Sorted(merged.c[f"sort_{place}"], one.descending) for place, one in enumerate(by.columns, len(constants))
        ]
        return self._rows(sa.select(merged).order_by(*directed(order)).limit(limit + 1))

    def by_metric(self, orders: Sequence[Order], *, limit: int, after: Values) -> list[Row]:
        """Walk the values of a metric: the numbers, then NaN, then the candidates that lack it; until the page is full.

        The last of the three looks at every candidate that has the metric, so it is the dear one; it comes on the last
        pages only.
        """
        name = orders[0].key
        number = find(self.connection, self.project_id, [name]).get(name)
        reached = after[0] if after is not None else NUMBER
        if reached not in (NUMBER, NAN, MISSING):
            raise bad_token()
        rows: list[Row] = []
        for rank in range(reached if number is not None else MISSING, MISSING + 1):
            begin = after if rank == reached else None
            left = limit - len(rows)
            if left >= 0:
                way = self._lacking if rank == MISSING else self._valued
                rows += way(orders, rank, number, limit=left, after=begin)
        return rows

    def _valued(
        self, orders: Sequence[Order], rank: int, number: int | None, *, limit: int, after: Values
    ) -> list[Row]:
        rest = arrangement(orders[1:], self.project_id)
        same = (_T.c.project_id == _LATEST.c.project_id) & (_T.c.iid == _LATEST.c.candidate_iid)
        query = (
            sa.select(*COLUMNS, sa.literal(rank).label("sort_0"))
            .select_from(_LATEST.join(_T, same))
            .where(
                _LATEST.c.project_id == self.project_id,
                _LATEST.c.key_id == number,
                ~_LATEST.c.is_nan if rank == NUMBER else _LATEST.c.is_nan,
                *self._by_row(),
                *self.conditions,
            )
        )
        columns = [Sorted(_LATEST.c.value, orders[0].descending), *rest.columns]
        values = None if after is None else after[1:]
        return self._rows(arranged(rest.joined(query), columns, limit=limit, after=values, first=1))

    def _lacking(
        self, orders: Sequence[Order], rank: int, number: int | None, *, limit: int, after: Values
    ) -> list[Row]:
        rest = arrangement(orders[1:], self.project_id)
        constants = (sa.literal(rank).label("sort_0"), sa.literal(0.0).label("sort_1"))
        values = None if after is None else after[2:]
        has_it = sa.select(sa.literal(1)).where(
            _LATEST.c.project_id == self.project_id, _LATEST.c.candidate_iid == _T.c.iid, _LATEST.c.key_id == number
        )
        lacks = () if number is None else (~has_it.correlate(_T).exists(),)
        if is_newest_first(orders[1:]):
            return self.newest(rest, limit=limit, after=values, constants=constants, only=lacks)
        query = rest.joined(self._all(*self._within(), *lacks)).add_columns(*constants)
        return self._rows(arranged(query, rest.columns, limit=limit, after=values, first=len(constants)))

    def _all(self, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        query = sa.select(*COLUMNS).select_from(_T)
        return query.where(_T.c.project_id == self.project_id, *where, *self.conditions)

    def _within(self) -> tuple[sa.ColumnElement[bool], ...]:
        return _T.c.experiment_iid.in_(self.experiment_iids), _T.c.stage.in_(self.stages)

    def _by_row(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Check experiment and stage of candidates that another index finds.

        SQLite, which has no statistics, would take the index of the newest candidates instead; `+ 0` keeps it from it.
        """
        if self.connection.dialect.name != "sqlite":
            return self._within()
        return (_T.c.experiment_iid + 0).in_(self.experiment_iids), (_T.c.stage + 0).in_(self.stages)

    def _rows(self, query: sa.Select[Any]) -> list[Row]:
        return list(self.connection.execute(query))

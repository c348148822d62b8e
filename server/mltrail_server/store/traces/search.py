"""Searching traces, by walks and sorts as `store/tracking/search.py` explains them.

If a clause leaves few traces, these are fetched and sorted; else the newest are walked along an index, and each is
checked until the page is full; other orders sort all that match.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.trace_filters import TraceClause, TraceEntity, TraceOrder
from mltrail_server.domain.traces import Trace
from mltrail_server.store import schema
from mltrail_server.store.db.paging import Arrangement, Sorted, arranged, directed, mark_of, read_sorted, token_of
from mltrail_server.store.db.planner import unindexed
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

from . import assessments
from .search_clauses import arrangement, conditions, hits, is_newest_first
from .traces import COLUMNS, with_pairs

_T = schema.trace
FEW = 1000
"""If a clause leaves at most this many traces, they are sorted."""
_MOST_CLAUSES = 8
_SIDE_BY_SIDE = 40
"""At most this many experiments are walked at the same time; more are sorted."""
_ASSESSED = (TraceEntity.FEEDBACK, TraceEntity.EXPECTATION)

Values = Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class FoundTraces:
    """A page of traces. `tokens` has for each the token of what follows it; `more` is whether anything does after the
    last one.
    """

    traces: list[Trace]
    tokens: list[str]
    more: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched, and how it is sorted: the newest first where `orders` leave a tie."""

    experiment_iids: Sequence[int]
    clauses: Sequence[TraceClause] = ()
    orders: Sequence[TraceOrder] = ()

    @property
    def mark(self) -> str:
        return mark_of("traces", sorted(set(self.experiment_iids)), self.clauses, self.orders)


def search(tx: Transaction, wanted: Wanted, *, limit: int, token: str | None, few: int = FEW) -> FoundTraces:
    """Find a page of traces, in at most five statements."""
    newest_first = is_newest_first(wanted.orders)
    by = arrangement(() if newest_first else wanted.orders)
    after = read_sorted(token, wanted.mark, by.columns)
    iids = sorted(set(wanted.experiment_iids))
    if not iids:
        return FoundTraces([], [], more=False)
    ids, with_sessions = _choose(tx, wanted.clauses, few)
    where = conditions(wanted.clauses, tx.project_id, tx.dialect, with_sessions=with_sessions)
    walk = _Walk(tx, iids, where)
    if ids is not None:
        rows = walk.among(ids, by, limit=limit, after=after)
    elif newest_first:
        rows = walk.newest(by, limit=limit, after=after)
    else:
        rows = walk.sorted(by, limit=limit, after=after)
    shown = rows[:limit]
    tokens = [token_of(row, by.columns, wanted.mark) for row in shown]
    return FoundTraces(with_pairs(tx, shown), tokens, more=len(rows) > limit)


def counts(
    tx: Transaction,
    experiment_iids: Sequence[int],
    base: Sequence[TraceClause],
    filters: Sequence[Sequence[TraceClause]],
) -> list[int]:
    """Count the traces that match `base`, and of these the ones that match each of the filters, in one look at each."""
    all_clauses = [*base, *(clause for one in filters for clause in one)]
    with_sessions = _with_sessions(tx, all_clauses)

    def condition(clauses: Sequence[TraceClause]) -> sa.ColumnElement[bool]:
        return sa.and_(sa.true(), *conditions(clauses, tx.project_id, tx.dialect, with_sessions=with_sessions))

    matching = [sa.func.coalesce(sa.func.sum(sa.case((condition(one), 1), else_=0)), 0) for one in filters]
    query = sa.select(sa.func.count(), *matching).where(
        _T.c.project_id == tx.project_id, _T.c.experiment_iid.in_(sorted(set(experiment_iids))), condition(base)
    )
    return [int(one) for one in tx.execute(query).one()]


def _with_sessions(tx: Transaction, clauses: Sequence[TraceClause]) -> bool:
    return any(one.entity in _ASSESSED for one in clauses) and assessments.any_of_sessions(tx)


def _choose(tx: Transaction, clauses: Sequence[TraceClause], few: int) -> tuple[list[str] | None, bool]:
    """Return the only traces that can match, if they are few, and whether what was said of sessions has to be looked
    at. At most two statements.
    """
    with_sessions = _with_sessions(tx, clauses)
    asked = (hits(clause, tx.project_id, with_sessions=with_sessions) for clause in clauses)
    found = [one for one in asked if one is not None]
    if not found:
        return None, with_sessions
    counts = tx.execute(sa.select(*(_count(one, few) for one in found[:_MOST_CLAUSES]))).one()
    fewest = min(range(len(counts)), key=lambda place: counts[place])
    if counts[fewest] > few:
        return None, with_sessions
    return [row[0] for row in tx.execute(found[fewest])], with_sessions


def _count(query: sa.Select[Any], limit: int) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(query.limit(limit + 1).subquery()).scalar_subquery()


@dataclass(frozen=True, slots=True)
class _Walk:
    """Each method returns the rows after the sort values `after`, and one more than `limit` if there are more."""

    tx: Transaction
    experiment_iids: Sequence[int]
    conditions: Sequence[sa.ColumnElement[bool]]

    def among(self, ids: Sequence[str], by: Arrangement, *, limit: int, after: Values) -> list[Row]:
        """Sort those of these traces that match."""
        iid = unindexed(_T.c.experiment_iid) if self.tx.dialect == "sqlite" else _T.c.experiment_iid
        found = self._all(_T.c.id.in_(ids), iid.in_(self.experiment_iids))
        return self._rows(arranged(by.joined(found), by.columns, limit=limit, after=after))

    def sorted(self, by: Arrangement, *, limit: int, after: Values) -> list[Row]:
        """Sort all that match."""
        found = self._all(_T.c.experiment_iid.in_(self.experiment_iids))
        return self._rows(arranged(by.joined(found), by.columns, limit=limit, after=after))

    def newest(self, by: Arrangement, *, limit: int, after: Values) -> list[Row]:
        """Walk the newest traces of each experiment, and merge them."""
        if len(self.experiment_iids) > _SIDE_BY_SIDE:
            return self.sorted(by, limit=limit, after=after)
        parts = [
            arranged(self._all(_T.c.experiment_iid == iid), by.columns, limit=limit, after=after)
            for iid in self.experiment_iids
        ]
        if len(parts) == 1:
            return self._rows(parts[0])
        merged = sa.union_all(*(sa.select(one.subquery()) for one in parts)).subquery()
        order = [Sorted(merged.c[f"sort_{place}"], one.descending) for place, one in enumerate(by.columns)]
        return self._rows(sa.select(merged).order_by(*directed(order)).limit(limit + 1))

    def _all(self, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        query = sa.select(*COLUMNS).select_from(_T)
        return query.where(_T.c.project_id == self.tx.project_id, *where, *self.conditions)

    def _rows(self, query: sa.Select[Any]) -> list[Row]:
        return list(self.tx.execute(query))

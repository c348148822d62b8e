"""Searching candidates: MLflow's filters and orders as SQL that walks indexes.

A page is found in one of three ways: if a clause leaves few candidates, these are fetched and sorted; small experiments
are sorted as a whole; in large ones an index that already has the order is walked, and each candidate is checked
against the clauses until the page is full. The planners of SQLite and PostgreSQL can't know which clause leaves few
candidates, so we count: a count that stops at a thousand takes less than a millisecond, while a wrong guess is a scan.
What was logged to the candidates is fetched afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.paging import (
    Arrangement,
    Sorted,
    arranged,
    bad_token,
    directed,
    mark_of,
    not_beyond,
    read_sorted,
    token_of,
    written_token,
)
from mltrail_server.store.db.planner import as_range, unindexed
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

from .candidates import COLUMNS, Candidate, candidate_of
from .metric_keys import find
from .search_clauses import (
    MISSING,
    NAN,
    NUMBER,
    arrangement,
    is_newest_first,
    key_id,
    matches,
    newest_value,
    pair_value,
)

_T = schema.candidate
_MOST_CLAUSES = 8


@dataclass(frozen=True, slots=True)
class Sizes:
    """From which size on a walk is cheaper than a sort.

    Up to `few` candidates that a clause leaves, and up to `small` candidates of the experiments, are sorted; for more
    an index is walked.
    """

    few: int = 1000
    small: int = 5000


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """`iids`: the only candidates that can match, if they are few. `small`: whether the experiments hold few."""

    iids: list[int] | None = None
    small: bool = False


def choose(
    tx: Transaction,
    *,
    experiment_iids: Sequence[int],
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    newest_first: bool,
    sizes: Sizes,
) -> SearchPlan:
    """Choose a plan, in at most two statements."""
    within = (_T.c.project_id == tx.project_id, _T.c.experiment_iid.in_(experiment_iids), _T.c.stage.in_(stages))
    hits = [hit for clause in clauses if (hit := _hits(clause, tx.project_id)) is not None][:_MOST_CLAUSES]
    if newest_first and not hits:
        return SearchPlan()
    sized = [_count(hit, sizes.few) for hit in hits]
    counts = tx.execute(sa.select(_count(sa.select(sa.literal(1)).where(*within), sizes.small), *sized)).one()
    fewest = min(range(len(hits)), key=lambda place: counts[place + 1], default=None)
    if fewest is not None and counts[fewest + 1] <= min(sizes.few, counts[0]):
        return SearchPlan(iids=[row[0] for row in tx.execute(hits[fewest])])
    return SearchPlan(small=counts[0] <= sizes.small)


def _count(query: sa.Select[Any], limit: int) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(query.limit(limit + 1).subquery()).scalar_subquery()


def _hits(clause: Clause, project_id: ProjectId) -> sa.Select[Any] | None:
    """Select the candidates that a clause matches, in all experiments, if an index holds them together."""
    if clause.entity is Entity.METRIC and clause.operator != "!=":
        table = schema.latest_metric
        where = [table.c.key_id == key_id(project_id, clause.key), newest_value(clause)]
        if clause.operator == "=":
            where.append(as_range(table.c.value, clause.value))
    elif clause.entity in (Entity.PARAM, Entity.TAG) and clause.operator == "=" and isinstance(clause.value, str):
        table = schema.param if clause.entity is Entity.PARAM else schema.candidate_tag
        start = as_range(table.c.value_start, clause.value[: schema.VALUE_START])
        where = [table.c.key == clause.key, start, pair_value(table, clause)]
    elif clause.entity is Entity.ATTRIBUTE and clause.key == "run_id" and clause.operator in ("=", "IN"):
        values = clause.value if isinstance(clause.value, tuple) else (clause.value,)
        return sa.select(_T.c.iid).where(_T.c.project_id == project_id, _T.c.eid.in_(values))
    else:
        return None
    return sa.select(table.c.candidate_iid).where(table.c.project_id == project_id, *where)


_LATEST = schema.latest_metric
_SIDE_BY_SIDE = 40
"""At most this many pairs of experiment and stage are walked at the same time; more are sorted."""

Values = Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class Walk:
    """Each method returns the rows after the sort values `after`, and one more than `limit` if there are more."""

    tx: Transaction
    experiment_iids: Sequence[int]
    stages: Sequence[Stage]
    conditions: Sequence[sa.ColumnElement[bool]]

    def sorted(self, by: Arrangement, *, limit: int, after: Values, iids: Sequence[int] | None = None) -> list[Row]:
        """Sort all that match, among the candidates `iids` only if these are given."""
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
        until: Values = None,
    ) -> list[Row]:
        """Walk the newest candidates of each experiment and stage, down to those with the values `until`, and merge
        them.
        """

        def part(*which: sa.ColumnElement[bool]) -> sa.Select[Any]:
            query = self._all(*which, *only).add_columns(*constants)
            if until is not None:
                query = query.where(not_beyond(by.columns, until))
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

    def bound(self, by: Arrangement, *, most: int | None, after: Values) -> Values:
        """Return the sort values of the last of the next `most` newest candidates; None if there are no more."""
        if most is None:
            return None
        query = sa.select(sa.literal(1)).select_from(_T).where(_T.c.project_id == self.tx.project_id, *self._within())
        row = self.tx.execute(arranged(query, by.columns, limit=1, after=after).limit(1).offset(most - 1)).first()
        return None if row is None else list(row[1:])

    def by_metric(self, orders: Sequence[Order], *, limit: int, after: Values) -> list[Row]:
        """Walk the values of a metric until the page is full: the numbers, then NaN, then the candidates without it.

        The last of the three looks at every candidate that has the metric, so it is expensive; only the last pages
        need it.
        """
        name = orders[0].key
        number = find(self.tx, [name]).get(name)
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
        rest = arrangement(orders[1:], self.tx.project_id)
        same = (_T.c.project_id == _LATEST.c.project_id) & (_T.c.iid == _LATEST.c.candidate_iid)
        query = (
            sa.select(*COLUMNS, sa.literal(rank).label("sort_0"))
            .select_from(_LATEST.join(_T, same))
            .where(
                _LATEST.c.project_id == self.tx.project_id,
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
        rest = arrangement(orders[1:], self.tx.project_id)
        constants = (sa.literal(rank).label("sort_0"), sa.literal(0.0).label("sort_1"))
        values = None if after is None else after[2:]
        has_it = sa.select(sa.literal(1)).where(
            _LATEST.c.project_id == self.tx.project_id, _LATEST.c.candidate_iid == _T.c.iid, _LATEST.c.key_id == number
        )
        lacks = () if number is None else (~has_it.correlate(_T).exists(),)
        if is_newest_first(orders[1:]):
            return self.newest(rest, limit=limit, after=values, constants=constants, only=lacks)
        query = rest.joined(self._all(*self._within(), *lacks)).add_columns(*constants)
        return self._rows(arranged(query, rest.columns, limit=limit, after=values, first=len(constants)))

    def _all(self, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        query = sa.select(*COLUMNS).select_from(_T)
        return query.where(_T.c.project_id == self.tx.project_id, *where, *self.conditions)

    def _within(self) -> tuple[sa.ColumnElement[bool], ...]:
        return _T.c.experiment_iid.in_(self.experiment_iids), _T.c.stage.in_(self.stages)

    def _by_row(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Check experiment and stage of candidates without using the index of the newest candidates."""
        if self.tx.dialect != "sqlite":
            return self._within()
        return unindexed(_T.c.experiment_iid).in_(self.experiment_iids), unindexed(_T.c.stage).in_(self.stages)

    def _rows(self, query: sa.Select[Any]) -> list[Row]:
        return list(self.tx.execute(query))


_SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class FoundCandidates:
    """`few` are the only candidates that can match, on any page, if they are few."""

    candidates: list[Candidate]
    next_token: str | None
    few: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Also:
    """What a page asks of candidates beyond a filter: `conditions`, and if they are few, the only candidates that can
    meet them. `named` identifies the whole search where its clauses do not, as with times that are relative to now.
    Of the newest candidates at most `window` are looked at for a page, which may then be shorter than asked for.
    """

    conditions: Sequence[sa.ColumnElement[bool]] = ()
    few: Sequence[int] | None = None
    named: object = None
    window: int | None = None


_NOTHING_ELSE = Also()


def search(  # noqa: PLR0913 - a search has that many parts, each by its name
    tx: Transaction,
    *,
    experiment_iids: Sequence[int],
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    limit: int,
    token: str | None,
    sizes: Sizes = _SIZES,
    also: Also = _NOTHING_ELSE,
) -> FoundCandidates:
    """Find a page of candidates, in at most five statements. Newest first where the orders leave a tie."""
    experiment_iids = sorted(set(experiment_iids))
    what = clauses if also.named is None else also.named
    mark = mark_of("candidates", experiment_iids, [int(stage) for stage in stages], what, orders)
    newest_first = is_newest_first(orders)
    by = arrangement(() if newest_first else orders, tx.project_id)
    after = read_sorted(token, mark, by.columns)
    conditions = [*(matches(clause, tx.project_id) for clause in clauses), *also.conditions]
    if not experiment_iids:
        return FoundCandidates([], None)
    plan = choose(
        tx, experiment_iids=experiment_iids, stages=stages, clauses=clauses, newest_first=newest_first, sizes=sizes
    )
    few = plan.iids if plan.iids is not None else also.few
    walk = Walk(tx, experiment_iids, stages, conditions)
    bound = None
    if few is not None or plan.small:
        rows = walk.sorted(by, limit=limit, after=after, iids=few)
    elif newest_first:
        bound = walk.bound(by, most=also.window, after=after)
        rows = walk.newest(by, limit=limit, after=after, until=bound)
    elif orders[0].entity is Entity.METRIC:
        rows = walk.by_metric(orders, limit=limit, after=after)
    else:
        rows = walk.sorted(by, limit=limit, after=after)
    next_token = token_of(rows[limit - 1], by.columns, mark) if len(rows) > limit else None
    if next_token is None and bound is not None:
        next_token = written_token(bound, mark)
    return FoundCandidates([candidate_of(row) for row in rows[:limit]], next_token, few)

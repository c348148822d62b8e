"""Searching candidates: MLflow's filters and orders as SQL that walks indexes.

A page is found in one of three ways: if a clause leaves few candidates, these are fetched and sorted; small experiments
are sorted as a whole; in large ones an index that already has the order is walked, and each candidate is checked
against the clauses until the page is full. The planners of SQLite and PostgreSQL can't know which clause leaves few
candidates, so we count: a count that stops at a thousand takes less than a millisecond, while a wrong guess is a scan.
What was logged to the candidates comes with the page, in the same statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
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
from mltrail_server.store.db.statements import Given, Row, is_in
from mltrail_server.store.db.transaction import Transaction

from . import contents
from .candidates import COLUMNS, Candidate, candidate_of
from .contents import Contents
from .metric_keys import MetricKeyCache, find
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
    """Choose a plan, in at most one statement."""
    within = (_T.c.project_id == tx.project_id, _T.c.experiment_iid.in_(experiment_iids), _T.c.stage.in_(stages))
    hits = [hit for clause in clauses if (hit := _hits(clause, tx.project_id)) is not None][:_MOST_CLAUSES]
    if newest_first and not hits:
        return SearchPlan()
    all_of_them = sa.select(sa.literal(1)).where(*within).limit(sizes.small + 1).subquery()
    asked: list[Any] = [
        sa.select(sa.literal_column("-1"), sa.func.count(), sa.cast(sa.null(), sa.Text)).select_from(all_of_them)
    ]
    for place, hit in enumerate(hits):
        # Count and numbers at once: another statement for the numbers would be another round trip.
        found = hit.limit(sizes.few + 1).subquery()
        columns: tuple[Any, ...] = (sa.literal_column(str(place)), sa.func.count(), _list(found.c[0], tx.dialect))
        asked.append(sa.select(*columns).select_from(found))
    (_, most, _), *each = sorted(tx.execute(sa.union_all(*asked)), key=itemgetter(0))
    _, few, listed = min(each, key=itemgetter(1), default=(0, most + 1, ""))
    if few <= min(sizes.few, most):
        return SearchPlan(iids=[int(number) for number in listed.strip("{}[]").split(",")] if few else [])
    return SearchPlan(small=most <= sizes.small)


def _list(numbers: sa.ColumnElement[int], dialect: str) -> sa.ColumnElement[str]:
    """Write numbers one after the other. A thousand are read from such a text in a tenth of the time of rows."""
    if dialect == "postgresql":
        return sa.cast(sa.func.array_agg(numbers), sa.Text)
    return sa.func.json_group_array(numbers, type_=sa.Text)


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
    logged: bool = False
    """Whether rows end with the columns of `contents`."""

    def sorted(self, by: Arrangement, *, limit: int, after: Values, iids: Sequence[int] | None = None) -> list[Row]:
        """Sort all that match, among the candidates `iids` only if these are given."""
        if iids is None:
            found: tuple[sa.ColumnElement[bool], ...] = self._within()
        else:
            # As one parameter: a thousand took PostgreSQL 15 ms to parse.
            found = (is_in(_T.c.iid, "iids", self.tx.dialect), *self._by_row())
        given = None if iids is None else {"iids": self.tx.listed(iids)}
        return self._rows(arranged(by.joined(self._all(*found)), by.columns, limit=limit, after=after), given)

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

    def _rows(self, query: sa.Select[Any], given: Given | None = None) -> list[Row]:
        if not self.logged:
            return list(self.tx.execute(query, given))
        # Both databases keep the order of a query that another one reads, and adds columns to.
        columns = contents.beside_page(self.tx.dialect)
        page: sa.Select[Any] = sa.select(sa.text("page.*"), columns).select_from(query.subquery("page"))
        return list(self.tx.execute(page, {**(given or {}), "project_id": self.tx.project_id}))


_SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class FoundCandidates:
    """`few` are the only candidates that can match, on any page, if they are few. `logged` holds what was logged to
    each, if it was asked for.
    """

    candidates: list[Candidate]
    next_token: str | None
    few: Sequence[int] | None = None
    logged: Mapping[int, Contents] = field(default_factory=dict)


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
    logged: MetricKeyCache | None = None,
) -> FoundCandidates:
    """Find a page of candidates, in at most five statements. Newest first where the orders leave a tie.

    With `logged`, also returns what was logged to them, read by the same statements; see `contents.of` for what it
    takes.
    """
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
    walk = Walk(tx, experiment_iids, stages, conditions, logged is not None)
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
    return _found(tx, rows[:limit], next_token, few, logged)


def _found(
    tx: Transaction,
    rows: Sequence[Row],
    next_token: str | None,
    few: Sequence[int] | None,
    logged: MetricKeyCache | None,
) -> FoundCandidates:
    found = [candidate_of(row) for row in rows]
    if logged is None:
        return FoundCandidates(found, next_token, few)
    added = [(candidate.iid, row[-contents.WIDTH :]) for candidate, row in zip(found, rows, strict=True)]
    return FoundCandidates(found, next_token, few, contents.read(tx, added, keys=logged))

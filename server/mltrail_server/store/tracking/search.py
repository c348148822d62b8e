"""Searching candidates: MLflow's filters and orders as SQL that walks indexes.

A page is found in one of three ways: if a clause leaves few candidates, these are fetched and sorted; small experiments
are sorted as a whole; in large ones an index that already has the order is walked, and each candidate is checked
against the clauses until the page is full. The planners of SQLite and PostgreSQL can't know which clause leaves few
candidates, so we count: a count that stops at a thousand takes less than a millisecond, while a wrong guess is a scan.
What was logged to the candidates comes with the page, in the same statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
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
    written_token,
)
from mltrail_server.store.db.planner import as_range, unindexed
from mltrail_server.store.db.statements import Given, Row, Statement, Tuple, is_in
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
    start_of_value,
)
from .usual_searches import Compared, compared, given_later, is_usual, values_of

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


def _chosen(rows: Sequence[Sequence[Any]], sizes: Sizes) -> SearchPlan:
    (_, most, _), *each = sorted(rows, key=itemgetter(0))
    _, few, listed = min(each, key=itemgetter(1), default=(0, most + 1, ""))
    if few <= min(sizes.few, most):
        return SearchPlan(iids=[int(number) for number in listed.strip("{}[]").split(",")] if few else [])
    return SearchPlan(small=most <= sizes.small)


def one_of(column: sa.ColumnElement[int], values: Sequence[int]) -> sa.ColumnElement[bool]:
    """Compare with one of some numbers; usually there is but one."""
    return column == int(values[0]) if len(values) == 1 else column.in_([int(value) for value in values])


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
    elif clause.entity is Entity.TAG and clause.key in schema.UNINDEXED_TAGS:
        return None
    elif clause.entity in (Entity.PARAM, Entity.TAG):
        table = schema.param if clause.entity is Entity.PARAM else schema.candidate_tag
        start = start_of_value(table, clause)
        if start is None:
            return None
        where = [table.c.key == clause.key, start, pair_value(table, clause)]
        if table is schema.candidate_tag:
            where.append(schema.is_indexed(table))
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
class Ways:
    """Each method builds a query of the rows after the sort values `after`, and one more than `limit`."""

    dialect: str
    project_id: ProjectId
    experiment_iids: Sequence[int]
    stages: Sequence[Stage]
    conditions: Sequence[sa.ColumnElement[bool]]
    logged: bool = False
    """Whether rows end with the columns of `contents`."""

    def counts(
        self, clauses: Sequence[Clause], *, newest_first: bool, sizes: Sizes
    ) -> sa.CompoundSelect[Any] | sa.Select[Any] | None:
        """Build what a plan is chosen by, see `_chosen`; None if nothing has to be known."""
        hits = [hit for clause in clauses if (hit := _hits(clause, self.project_id)) is not None][:_MOST_CLAUSES]
        if newest_first and not hits:
            return None
        inside = sa.select(sa.literal(1)).where(_T.c.project_id == self.project_id, *self.within())
        all_of_them = inside.limit(sizes.small + 1).subquery()
        asked: list[Any] = [
            sa.select(sa.literal_column("-1"), sa.func.count(), sa.cast(sa.null(), sa.Text)).select_from(all_of_them)
        ]
        for place, hit in enumerate(hits):
            # Count and numbers at once: another statement for the numbers would be another round trip.
            found = hit.limit(sizes.few + 1).subquery()
            columns: tuple[Any, ...] = (
                sa.literal_column(str(place)),
                sa.func.count(),
                _list(found.c[0], self.dialect),
            )
            asked.append(sa.select(*columns).select_from(found))
        return sa.union_all(*asked) if hits else asked[0]

    def sorting(self, by: Arrangement, *, limit: int, after: Values, few: bool) -> sa.Select[Any]:
        """Sort all that match; with `few`, among the candidates `iids` only, one parameter: as parameters of their own,
        each number of them would be another statement.
        """
        found = (is_in(_T.c.iid, "iids", self.dialect), *self.by_row()) if few else self.within()
        return arranged(by.joined(self.candidates(*found)), by.columns, limit=limit, after=after)

    def walking(
        self,
        by: Arrangement,
        *,
        limit: int,
        after: Values,
        constants: Sequence[sa.Label[Any]] = (),
        only: Sequence[sa.ColumnElement[bool]] = (),
        until: Values = None,
    ) -> sa.Select[Any]:
        """Walk the newest candidates of each experiment and stage, down to those with the values `until`, and merge
        them.
        """

        def part(*which: sa.ColumnElement[bool]) -> sa.Select[Any]:
            query = self.candidates(*which, *only).add_columns(*constants)
            if until is not None:
                query = query.where(not_beyond(by.columns, until))
            return arranged(query, by.columns, limit=limit, after=after, first=len(constants))

        groups = [(experiment, stage) for experiment in self.experiment_iids for stage in self.stages]
        if len(groups) > _SIDE_BY_SIDE:
            return part(*self.within())
        parts = [part(_T.c.experiment_iid == experiment, _T.c.stage == int(stage)) for experiment, stage in groups]
        if len(parts) == 1:
            return parts[0]
        merged = sa.union_all(*(sa.select(one.subquery()) for one in parts)).subquery()
        order = [
            Sorted(merged.c[f"sort_{place}"], one.descending) for place, one in enumerate(by.columns, len(constants))
        ]
        return sa.select(merged).order_by(*directed(order)).limit(limit + 1)

    def page(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """Add what was logged to a query's candidates, if that is asked for."""
        if not self.logged:
            return query
        # Both databases keep the order of a query that another one reads, and adds columns to.
        columns = contents.beside_page(self.dialect)
        return sa.select(sa.text("page.*"), columns).select_from(query.subquery("page"))

    def candidates(self, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        query = sa.select(*COLUMNS).select_from(_T)
        return query.where(_T.c.project_id == self.project_id, *where, *self.conditions)

    def within(self) -> tuple[sa.ColumnElement[bool], ...]:
        return one_of(_T.c.experiment_iid, self.experiment_iids), one_of(_T.c.stage, self.stages)

    def by_row(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Check experiment and stage of candidates without using the index of the newest candidates."""
        if self.dialect != "sqlite":
            return self.within()
        experiment, stage = unindexed(_T.c.experiment_iid), unindexed(_T.c.stage)
        return one_of(experiment, self.experiment_iids), one_of(stage, self.stages)


@dataclass(frozen=True, slots=True)
class Walk:
    """Each method returns the rows after the sort values `after`, and one more than `limit` if there are more."""

    tx: Transaction
    ways: Ways

    def sorted(self, by: Arrangement, *, limit: int, after: Values, iids: Sequence[int] | None = None) -> list[Row]:
        """Sort all that match, among the candidates `iids` only if these are given."""
        given = None if iids is None else {"iids": self.tx.listed(iids)}
        return self.run(self.ways.sorting(by, limit=limit, after=after, few=iids is not None), given)

    def bound(self, by: Arrangement, *, most: int | None, after: Values) -> Values:
        """Return the sort values of the last of the next `most` newest candidates; None if there are no more."""
        if most is None:
            return None
        query = (
            sa.select(sa.literal(1)).select_from(_T).where(_T.c.project_id == self.tx.project_id, *self.ways.within())
        )
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
        rest = arrangement(orders[1:], self.tx.project_id, each=_looks_up_each(self.tx.dialect))
        same = (_T.c.project_id == _LATEST.c.project_id) & (_T.c.iid == _LATEST.c.candidate_iid)
        query = (
            sa.select(*COLUMNS, sa.literal(rank).label("sort_0"))
            .select_from(_LATEST.join(_T, same))
            .where(
                _LATEST.c.project_id == self.tx.project_id,
                _LATEST.c.key_id == number,
                ~_LATEST.c.is_nan if rank == NUMBER else _LATEST.c.is_nan,
                *self.ways.by_row(),
                *self.ways.conditions,
            )
        )
        columns = [Sorted(_LATEST.c.value, orders[0].descending), *rest.columns]
        values = None if after is None else after[1:]
        return self.run(arranged(rest.joined(query), columns, limit=limit, after=values, first=1))

    def _lacking(
        self, orders: Sequence[Order], rank: int, number: int | None, *, limit: int, after: Values
    ) -> list[Row]:
        rest = arrangement(orders[1:], self.tx.project_id, each=_looks_up_each(self.tx.dialect))
        constants = (sa.literal(rank).label("sort_0"), sa.literal(0.0).label("sort_1"))
        values = None if after is None else after[2:]
        has_it = sa.select(sa.literal(1)).where(
            _LATEST.c.project_id == self.tx.project_id, _LATEST.c.candidate_iid == _T.c.iid, _LATEST.c.key_id == number
        )
        lacks = () if number is None else (~has_it.correlate(_T).exists(),)
        if is_newest_first(orders[1:]):
            return self.run(self.ways.walking(rest, limit=limit, after=values, constants=constants, only=lacks))
        query = rest.joined(self.ways.candidates(*self.ways.within(), *lacks)).add_columns(*constants)
        return self.run(arranged(query, rest.columns, limit=limit, after=values, first=len(constants)))

    def run(self, query: sa.Select[Any], given: Given | None = None) -> list[Row]:
        return list(self.tx.execute(self.ways.page(query), {**(given or {}), "project_id": self.tx.project_id}))


_SIZES = Sizes()


def _looks_up_each(dialect: str, *, filtered: bool = True) -> bool:
    """Return whether the database must look up what was logged to each candidate, see `by_key`.

    To sort a small experiment without a filter, a join is faster: it reads all of it, and so the planner expects.
    """
    return dialect == "postgresql" and filtered


_KNOWN_MS = 60_000


@dataclass(eq=False)
class _Shape:
    """The statements of all searches that differ in nothing but the values that are compared with."""

    dialect: str
    project_id: ProjectId
    experiment_iid: int
    stage: Stage
    compared: tuple[Compared, ...]
    orders: tuple[Order, ...]
    limit: int
    sizes: Sizes
    small_until_ms: int = 0
    """Until when the experiment is taken for a small one. A wrong guess finds the same page, more slowly."""

    def search(self, tx: Transaction, values: Given) -> tuple[list[Tuple], Sequence[int] | None] | None:
        """Return the rows of the first page, and the only candidates that can match if they are few; None for a large
        experiment that has to be walked by another order than its own.
        """
        plan = self._plan(tx, values)
        if plan.iids is not None:
            return tx.all(self._of_few, iids=tx.listed(plan.iids), **values), plan.iids
        if plan.small:
            return tx.all(self._of_all, **values), None
        if is_newest_first(self.orders):
            return tx.all(self._of_newest, **values), None
        return None

    def _plan(self, tx: Transaction, values: Given) -> SearchPlan:
        if self._counts is None:
            return SearchPlan()
        if not self.compared and tx.now < self.small_until_ms:
            return SearchPlan(small=True)
        plan = _chosen(tx.all(self._counts, **values), self.sizes)
        self.small_until_ms = tx.now + _KNOWN_MS if plan.small else 0
        return plan

    @cached_property
    def by(self) -> Arrangement:
        orders = () if is_newest_first(self.orders) else self.orders
        return arrangement(orders, self.project_id, each=_looks_up_each(self.dialect, filtered=bool(self.compared)))

    @cached_property
    def _counts(self) -> Statement | None:
        newest_first = is_newest_first(self.orders)
        asked = self._ways.counts(self._clauses, newest_first=newest_first, sizes=self.sizes)
        return None if asked is None else Statement(asked, name="tracking.search.counts")

    @cached_property
    def _of_few(self) -> Statement:
        return self._page(self._ways.sorting(self.by, limit=self.limit, after=None, few=True))

    @cached_property
    def _of_all(self) -> Statement:
        return self._page(self._ways.sorting(self.by, limit=self.limit, after=None, few=False))

    @cached_property
    def _of_newest(self) -> Statement:
        return self._page(self._ways.walking(self.by, limit=self.limit, after=None))

    def _page(self, query: sa.Select[Any]) -> Statement:
        return Statement(self._ways.page(query), name="tracking.search.page")

    @cached_property
    def _clauses(self) -> list[Clause]:
        return given_later(self.compared)

    @cached_property
    def _ways(self) -> Ways:
        each = _looks_up_each(self.dialect)
        conditions = [matches(clause, self.project_id, each=each) for clause in self._clauses]
        return Ways(self.dialect, self.project_id, [self.experiment_iid], [self.stage], conditions, logged=True)


_shape = lru_cache(maxsize=64)(_Shape)


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
    iids = sorted(set(experiment_iids))
    what = clauses if also.named is None else also.named
    mark = mark_of("candidates", iids, [int(stage) for stage in stages], what, orders)
    wanted = _Wanted(iids, stages, clauses, orders, limit, token, sizes, also, logged, mark)
    usual = logged is not None and not token and also is _NOTHING_ELSE and is_usual(iids, stages, clauses)
    found = _usual(tx, wanted) if usual else None
    return found or _built(tx, wanted, is_large=usual)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What `search` is asked for, and the mark of its tokens."""

    experiment_iids: Sequence[int]
    stages: Sequence[Stage]
    clauses: Sequence[Clause]
    orders: Sequence[Order]
    limit: int
    token: str | None
    sizes: Sizes
    also: Also
    logged: MetricKeyCache | None
    mark: str


def _usual(tx: Transaction, wanted: _Wanted) -> FoundCandidates | None:
    """Find a page by the statements of its shape; None if there are none for it: see `_Shape.search`."""
    shape = _shape(
        tx.dialect,
        tx.project_id,
        wanted.experiment_iids[0],
        wanted.stages[0],
        compared(wanted.clauses),
        tuple(wanted.orders),
        wanted.limit,
        wanted.sizes,
    )
    found = shape.search(tx, values_of(wanted.clauses))
    if found is None:
        return None
    rows, few = found
    next_token = _next(rows, wanted.limit, shape.by, wanted.mark)
    return _found(tx, rows[: wanted.limit], next_token, few, wanted.logged)


def _built(tx: Transaction, wanted: _Wanted, *, is_large: bool) -> FoundCandidates:
    """Find a page by statements that are built for this call; `is_large` if the experiment is known to be."""
    clauses, orders, limit, also = wanted.clauses, wanted.orders, wanted.limit, wanted.also
    newest_first = is_newest_first(orders)
    each = _looks_up_each(tx.dialect, filtered=bool(clauses) or also is not _NOTHING_ELSE)
    by = arrangement(() if newest_first else orders, tx.project_id, each=each)
    after = read_sorted(wanted.token, wanted.mark, by.columns)
    conditions = [*(matches(clause, tx.project_id, each=each) for clause in clauses), *also.conditions]
    if not wanted.experiment_iids:
        return FoundCandidates([], None)
    ways = Ways(tx.dialect, tx.project_id, wanted.experiment_iids, wanted.stages, conditions, wanted.logged is not None)
    asked = None if is_large else ways.counts(clauses, newest_first=newest_first, sizes=wanted.sizes)
    plan = SearchPlan() if asked is None else _chosen(tx.execute(asked).all(), wanted.sizes)
    few = plan.iids if plan.iids is not None else also.few
    walk, bound = Walk(tx, ways), None
    if few is not None or plan.small:
        rows = walk.sorted(by, limit=limit, after=after, iids=few)
    elif not newest_first and orders[0].entity is not Entity.METRIC:
        rows = _sorted_whole(walk, wanted, after)
    else:
        bound = walk.bound(by, most=also.window, after=after) if newest_first else None
        rows = _walked(walk, by, orders, limit=limit, after=after, until=bound)
    next_token = _next(rows, limit, by, wanted.mark)
    if next_token is None and bound is not None:
        next_token = written_token(bound, wanted.mark)
    return _found(tx, rows[:limit], next_token, few, wanted.logged)


def _sorted_whole(walk: Walk, wanted: _Wanted, after: Values) -> list[Row]:
    """Sort a large experiment. All of it is read, and joins are faster than that many lookups."""
    project_id = walk.tx.project_id
    joined = [*(matches(clause, project_id) for clause in wanted.clauses), *wanted.also.conditions]
    whole = Walk(walk.tx, replace(walk.ways, conditions=joined))
    return whole.sorted(arrangement(wanted.orders, project_id), limit=wanted.limit, after=after)


def _walked(
    walk: Walk, by: Arrangement, orders: Sequence[Order], *, limit: int, after: Values, until: Values
) -> list[Row]:
    if is_newest_first(orders):
        return walk.run(walk.ways.walking(by, limit=limit, after=after, until=until))
    return walk.by_metric(orders, limit=limit, after=after)


def _next(rows: Sequence[Row | Tuple], limit: int, by: Arrangement, mark: str) -> str | None:
    """Return the token of the next page. All ways to a page put the sort values after the candidate."""
    if len(rows) <= limit:
        return None
    return written_token(rows[limit - 1][len(COLUMNS) : len(COLUMNS) + len(by.columns)], mark)


def _found(
    tx: Transaction,
    rows: Sequence[Row | Tuple],
    next_token: str | None,
    few: Sequence[int] | None,
    logged: MetricKeyCache | None,
) -> FoundCandidates:
    found = [candidate_of(row) for row in rows]
    if logged is None:
        return FoundCandidates(found, next_token, few)
    added = [(candidate.iid, row[-contents.WIDTH :]) for candidate, row in zip(found, rows, strict=True)]
    return FoundCandidates(found, next_token, few, contents.read(tx, added, keys=logged))

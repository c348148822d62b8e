"""A page of an experiment's candidates as a table: only the columns that are shown are read.

A page costs a fixed number of statements, whatever the number of candidates, columns and rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from mltrail_server.domain import filters, page_filters
from mltrail_server.domain.candidate import ViewType
from mltrail_server.domain.direction import Better, MetricDirection, worth_showing
from mltrail_server.domain.filters import Clause, Order
from mltrail_server.domain.page_filters import PageFilter
from mltrail_server.domain.run_tags import PARENT_TAG
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.services.tracking import experiments
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import tables, tree
from mltrail_server.store.pages.tables import CandidateJob
from mltrail_server.store.tracking import candidates as candidate_store
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.experiments import Experiment
from mltrail_server.store.tracking.search import Also, FoundCandidates
from mltrail_server.store.tracking.search_clauses import is_newest_first

from . import matching
from .matching import Count, Wanted

COMMIT = "mlflow.source.git.commit"
MOST_CSV_ROWS = 100_000
_TAGS = (COMMIT, PARENT_TAG)
_SAMPLED = 20
"""How many of the newest candidates, besides those on the page, decide which columns there are."""
MOST_METRICS = 8
_MOST_PARAMS = 6
_SMALL_EXPERIMENT = 1_000
"""Up to this many runs that match, all are searched for the best value."""
MOST_OPENED = 10
MOST_CHILDREN = 50
"""How many parents are opened at a time, and how many children each of them shows."""
_LEAST_COUNTED_CHILDREN = 100
_MOST_COUNTED_CHILDREN = 10_000
"""How many children are counted: of each parent, and of all on a page."""
_MOST_BEST = 20
"""For how many metrics the best value is searched."""
_CSV_PAGE = 500


@dataclass(frozen=True, slots=True)
class TableQuery:
    """Which part of an experiment to show. If `metrics` or `params` is None, those worth showing are chosen.

    `words` must each occur in a run, beside the `clauses`; both are read from `text` by `domain.page_filters`. Unless
    the table is `flat`, children are folded under their parents, and `opened` names the parents whose children are
    shown. `pins` are runs that are shown whatever the rest says.
    """

    clauses: Sequence[Clause] = ()
    orders: Sequence[Order] = ()
    view: ViewType = ViewType.ACTIVE_ONLY
    metrics: Sequence[str] | None = None
    params: Sequence[str] | None = None
    limit: int = 50
    token: str | None = None
    words: Sequence[str] = ()
    text: str = ""
    flat: bool = False
    opened: Sequence[int] = ()
    pins: Sequence[int] = ()

    @property
    def wanted(self) -> Wanted:
        """Children are folded in the order of time only, as in MLflow: sorted by a metric, or filtered, the best of a
        sweep is one of them.
        """
        everything = not self.clauses and not self.words
        folded = everything and not self.flat and is_newest_first(self.orders)
        return Wanted(self.clauses, self.words, self.text, self.view, folded)


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A run. In a folded table it has a number of `children`, of which `children_shown` follow if it is `opened`, each
    one level deeper.
    """

    candidate: Candidate
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    made: CandidateJob | None
    children: int = 0
    children_is_more: bool = False
    children_shown: int = 0
    opened: bool = False
    depth: int = 0

    @property
    def counts(self) -> bool:
        """Whether its values may be the best: not if the run or its job failed."""
        failed = self.made is not None and self.made.job_status in tables.FAILED_JOB
        return self.candidate.status not in tables.FAILED and not failed


@dataclass(frozen=True, slots=True)
class Table:
    """`all_metrics` and `all_params` can be chosen as columns; `directions` says which way each shown metric is better.

    `best` has the best value of each shown metric whose direction is known, among all runs that match. For the metrics
    in `best_of_page` it is the best on this page only, since searching all runs would take too long.

    `total` counts the runs of the view, and `matching` those that the filter leaves, each up to a bound. In a `folded`
    table `rows` has those without a parent, and the children of those that are opened. `notes` are sentences about what
    was not searched. `pinned` has the pinned runs, in their order.
    """

    experiment: Experiment
    rows: list[CandidateRow]
    metrics: list[str]
    params: list[str]
    all_metrics: list[str]
    all_params: list[str]
    next_token: str | None
    total: int
    total_is_more: bool
    directions: dict[str, MetricDirection]
    best: dict[str, float] = field(default_factory=dict)
    best_of_page: frozenset[str] = frozenset()
    matching: int = 0
    matching_is_more: bool = False
    folded: bool = False
    notes: Sequence[str] = ()
    pinned: Sequence[CandidateRow] = ()

    @property
    def guesses(self) -> bool:
        return any(direction.guessed for direction in self.directions.values())

    @property
    def best_elsewhere(self) -> dict[str, float]:
        """The best values that no run on this page has."""
        here = {(name, value) for row in self.rows if row.counts for name, value in row.metrics.items()}
        return {name: value for name, value in self.best.items() if (name, value) not in here}


def page(scope: Scope, experiment_iid: int, query: TableQuery) -> Table:
    """Return a page. Raises NOT_FOUND for an unknown experiment, INVALID for a filter that names unknown fields."""
    wanted = query.wanted
    stages = query.view.stages
    with scope.project.slow_read() as tx:
        experiment = experiments.existing(tx, experiment_iid)
        total = matching.total(tx, experiment_iid, query.view)
        further = matching.also(tx, experiment_iid, wanted, total)
        found = _search(tx, experiment_iid, query, further)
        count = matching.count(
            tx, experiment_iid, wanted, further=further, found=found, first=query.token is None, total=total
        )
        newest = tables.newest(tx, experiment_iid, stages, limit=_SAMPLED)
        placed = _unfolded(tx, found.candidates, query) if wanted.folded else [_Placed(one) for one in found.candidates]
        shown = [*(one.candidate for one in placed), *pinned(tx, query.pins)]
        sampled = sorted({*newest, *(candidate.iid for candidate in shown)})
        all_metrics = tables.metric_names(tx, sampled)
        differ = tables.params_that_differ(tx, sampled)
        all_params = list(differ)
        metrics = list(query.metrics) if query.metrics is not None else worth_showing(all_metrics, MOST_METRICS)
        params = list(query.params) if query.params is not None else distinguishing(differ)
        made = rows_of(tx, shown, metrics, params)
        rows = [one.placed(row) for one, row in zip(placed, made, strict=False)]
        directions = directions_service.of_runs(tx, metrics, experiments=[experiment.name])
        best = _best(rows, directions)
        whole = found.next_token is None and query.token is None and not wanted.folded
        everywhere = (
            best
            if whole
            else _best_of_all(tx, experiment_iid, query, replace(further, few=found.few), directions, count=count)
        )
    marked = {name: value for name, value in (best | everywhere).items() if not _all_equal(rows, name)}
    return Table(
        experiment,
        rows,
        metrics,
        params,
        sorted({*all_metrics, *metrics}),
        sorted({*all_params, *params}),
        found.next_token,
        total.number,
        total.is_more,
        directions,
        marked,
        frozenset(marked.keys() - everywhere.keys()),
        count.number,
        count.is_more,
        wanted.folded,
        matching.notes(wanted, found, limit=query.limit, total=total),
        made[len(placed) :],
    )


def every(scope: Scope, experiment_iid: int, query: TableQuery) -> Iterator[list[CandidateRow]]:
    """Return all pages with the columns of `query`, for a CSV file; each is read in a transaction of its own."""
    token = None
    for _ in range(MOST_CSV_ROWS // _CSV_PAGE):
        step = replace(query, limit=_CSV_PAGE, token=token, flat=True)
        with scope.project.slow_read() as tx:
            total = matching.total(tx, experiment_iid, query.view)
            found = _search(tx, experiment_iid, step, matching.also(tx, experiment_iid, step.wanted, total))
            rows = rows_of(tx, found.candidates, query.metrics or (), query.params or ())
        yield rows
        token = found.next_token
        if token is None:
            break


def read(text: str, order: str, now: int) -> tuple[PageFilter, Sequence[Order]]:
    """Read a search box and an order as people write them, at the time `now`. Raises INVALID."""
    return page_filters.read(text, now), filters.parse_orders([order] if order else [])


def _search(tx: Transaction, experiment_iid: int, query: TableQuery, further: Also) -> FoundCandidates:
    return matching.find(
        tx,
        experiment_iid,
        query.wanted,
        further=further,
        orders=query.orders,
        limit=query.limit,
        token=query.token,
    )


@dataclass(frozen=True, slots=True)
class _Placed:
    """A candidate's place among parents and children."""

    candidate: Candidate
    children: int = 0
    children_is_more: bool = False
    children_shown: int = 0
    opened: bool = False
    depth: int = 0

    def placed(self, row: CandidateRow) -> CandidateRow:
        return replace(
            row,
            children=self.children,
            children_is_more=self.children_is_more,
            children_shown=self.children_shown,
            opened=self.opened,
            depth=self.depth,
        )


def _unfolded(tx: Transaction, roots: Sequence[Candidate], query: TableQuery) -> list[_Placed]:
    """Put the children of opened candidates below these, and theirs. Two statements, or one if none is opened."""
    opened = list(dict.fromkeys(query.opened))[:MOST_OPENED]
    below = tree.of(tx, opened, query.view.stages, most=MOST_CHILDREN) if opened else {}
    found: list[_Placed] = []
    seen: set[int] = set()
    waiting = [(one, 0) for one in reversed(roots)]
    while waiting:
        candidate, depth = waiting.pop()
        if candidate.iid in seen:
            continue
        seen.add(candidate.iid)
        children = below.get(candidate.iid, [])
        is_open = candidate.iid in opened
        found.append(_Placed(candidate, children_shown=len(children), opened=is_open, depth=depth))
        waiting += [(one, depth + 1) for one in reversed(children)]
    most = max(_LEAST_COUNTED_CHILDREN, _MOST_COUNTED_CHILDREN // max(1, len(found)))
    counts = tree.counts(tx, [one.candidate.iid for one in found], query.view.stages, most=most) if found else {}
    return [
        replace(one, children=min(number, most), children_is_more=number > most)
        for one in found
        for number in (counts.get(one.candidate.iid, 0),)
    ]


def pinned(tx: Transaction, iids: Sequence[int]) -> list[Candidate]:
    """Fetch pinned runs in their order; those that do not exist are left out. At most one statement."""
    by_iid = {one.iid: one for one in candidate_store.of_iids(tx, list(iids))} if iids else {}
    return [by_iid[iid] for iid in dict.fromkeys(iids) if iid in by_iid]


def rows_of(
    tx: Transaction, candidates: Sequence[Candidate], metrics: Sequence[str], params: Sequence[str]
) -> list[CandidateRow]:
    iids = [candidate.iid for candidate in candidates]
    metrics_by_iid = tables.metric_values(tx, iids, metrics)
    params_by_iid = tables.param_values(tx, iids, params)
    tags_by_iid = tables.tag_values(tx, iids, _TAGS)
    made = {job.candidate_iid: job for job in tables.made_by(tx, iids)}
    return [
        CandidateRow(
            candidate,
            metrics_by_iid.get(candidate.iid, {}),
            params_by_iid.get(candidate.iid, {}),
            tags_by_iid.get(candidate.iid, {}),
            made.get(candidate.iid),
        )
        for candidate in candidates
    ]


def distinguishing(params: dict[str, bool]) -> list[str]:
    """Choose the parameters whose values differ between candidates; if there are none, any."""
    return [name for name, differs in params.items() if differs or not any(params.values())][:_MOST_PARAMS]


def _best_of_all(
    tx: Transaction,
    experiment_iid: int,
    query: TableQuery,
    further: Also,
    directions: dict[str, MetricDirection],
    *,
    count: Count,
) -> dict[str, float]:
    known = [
        (name, direction.better) for name, direction in directions.items() if direction.better is not Better.UNKNOWN
    ]
    return tables.best_values(
        tx,
        experiment_iid,
        query.view.stages,
        query.clauses,
        wanted=dict(known[:_MOST_BEST]),
        small=not count.is_more and count.number <= _SMALL_EXPERIMENT,
        also=() if query.wanted.folded else further.conditions,
        few=further.few,
    )


def _best(rows: Sequence[CandidateRow], directions: dict[str, MetricDirection]) -> dict[str, float]:
    best: dict[str, float] = {}
    for name, direction in directions.items():
        values = _counted(rows, name)
        if values and direction.better is not Better.UNKNOWN:
            best[name] = max(values) if direction.better is Better.HIGHER else min(values)
    return best


def _all_equal(rows: Sequence[CandidateRow], name: str) -> bool:
    """Return whether all values are equal, so that marking the best would say nothing."""
    return len(set(_counted(rows, name))) <= 1


def _counted(rows: Sequence[CandidateRow], name: str) -> list[float]:
    values = [row.metrics[name] for row in rows if row.counts and name in row.metrics]
    return [value for value in values if value == value]  # noqa: PLR0124 - NaN is never the best

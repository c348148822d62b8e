"""A page of an experiment's candidates as a table: only the columns that are shown are read.

A page costs a fixed number of statements, whatever the number of candidates, columns and rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mltrail_server.domain import filters
from mltrail_server.domain.candidate import ViewType
from mltrail_server.domain.direction import Better, MetricDirection, worth_showing
from mltrail_server.domain.filters import Clause, Order
from mltrail_server.domain.trials import PARENT_TAG
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.services.tracking import experiments
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import tables
from mltrail_server.store.pages.tables import CandidateJob
from mltrail_server.store.tracking import search
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.experiments import Experiment

COMMIT = "mlflow.source.git.commit"
MOST_CSV_ROWS = 100_000
_TAGS = (COMMIT, PARENT_TAG)
_SAMPLED = 20
"""How many of the newest candidates, besides those on the page, decide which columns there are."""
_MOST_METRICS = 8
_MOST_PARAMS = 6
_MOST_COUNTED = 10_000
_SMALL_EXPERIMENT = 1_000
"""Up to this many runs, all are searched for the best value."""
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
    with scope.project.slow_read() as tx:
        experiment = experiments.existing(tx, experiment_iid)
        matches = _search(tx, experiment_iid, query)
        newest = tables.newest(tx, experiment_iid, query.view.stages, limit=_SAMPLED)
        total = tables.count(tx, experiment_iid, query.view.stages, most=_MOST_COUNTED)
        sampled = sorted({*newest, *(candidate.iid for candidate in matches.candidates)})
        all_metrics = tables.metric_names(tx, sampled)
        differ = tables.params_that_differ(tx, sampled)
        all_params = list(differ)
        metrics = list(query.metrics) if query.metrics is not None else worth_showing(all_metrics, _MOST_METRICS)
        params = list(query.params) if query.params is not None else _distinguishing(differ)
        rows = _rows(tx, matches.candidates, metrics, params)
        directions = directions_service.of_runs(tx, metrics, experiments=[experiment.name])
        best = _best(rows, directions)
        whole = matches.next_token is None and query.token is None
        everywhere = best if whole else _best_of_all(tx, experiment_iid, query, directions, total=total)
    shown = {name: value for name, value in (best | everywhere).items() if not _all_equal(rows, name)}
    return Table(
        experiment,
        rows,
        metrics,
        params,
        sorted({*all_metrics, *metrics}),
        sorted({*all_params, *params}),
        matches.next_token,
        min(total, _MOST_COUNTED),
        total > _MOST_COUNTED,
        directions,
        shown,
        frozenset(shown.keys() - everywhere.keys()),
        min(total, _MOST_COUNTED),
        total > _MOST_COUNTED,
    )


def every(scope: Scope, experiment_iid: int, query: TableQuery) -> Iterator[list[CandidateRow]]:
    """Return all pages with the columns of `query`, for a CSV file; each is read in a transaction of its own."""
    token = None
    for _ in range(MOST_CSV_ROWS // _CSV_PAGE):
        step = TableQuery(query.clauses, query.orders, query.view, limit=_CSV_PAGE, token=token)
        with scope.project.slow_read() as tx:
            matches = _search(tx, experiment_iid, step)
            rows = _rows(tx, matches.candidates, query.metrics or (), query.params or ())
        yield rows
        token = matches.next_token
        if token is None:
            break


def read(filter_text: str, order: str) -> tuple[Sequence[Clause], Sequence[Order]]:
    """Read a filter and an order as people type them. Raises INVALID."""
    return filters.parse(filter_text), filters.parse_orders([order] if order else [])


def _search(tx: Transaction, experiment_iid: int, query: TableQuery) -> search.FoundCandidates:
    return search.search(
        tx,
        experiment_iids=[experiment_iid],
        stages=query.view.stages,
        clauses=query.clauses,
        orders=query.orders,
        limit=query.limit,
        token=query.token,
    )


def _rows(
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


def _distinguishing(params: dict[str, bool]) -> list[str]:
    """Choose the parameters whose values differ between candidates; if there are none, any."""
    return [name for name, differs in params.items() if differs or not any(params.values())][:_MOST_PARAMS]


def _best_of_all(
    tx: Transaction, experiment_iid: int, query: TableQuery, directions: dict[str, MetricDirection], *, total: int
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
        small=total <= _SMALL_EXPERIMENT,
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

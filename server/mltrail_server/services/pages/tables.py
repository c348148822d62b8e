"""A page of an experiment's candidates as a table: the columns that are shown, and nothing of the others.

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
from mltrail_server.store.pages.tables import Made
from mltrail_server.store.tracking import search
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.experiments import Experiment

COMMIT = "mlflow.source.git.commit"
_TAGS = (COMMIT, PARENT_TAG)
_LOOK_AT = 20
"""So many of the newest candidates tell which columns there are, beside those on the page."""
_MOST_METRICS = 8
_MOST_PARAMS = 6
_MOST_COUNTED = 10_000
_SMALL = 1_000
"""So many runs are looked through for the best of all."""
_MOST_BEST = 20
"""Of so many metrics the best is looked for."""
_CSV_PAGE = 500
MOST_CSV_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class TableQuery:
    """What of an experiment is asked for. `metrics` and `params` None: what is worth showing."""

    clauses: Sequence[Clause] = ()
    orders: Sequence[Order] = ()
    view: ViewType = ViewType.ACTIVE_ONLY
    metrics: Sequence[str] | None = None
    params: Sequence[str] | None = None
    limit: int = 50
    token: str | None = None


@dataclass(frozen=True, slots=True)
class CandidateRow:
    candidate: Candidate
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    made: Made | None

    @property
    def counts(self) -> bool:
        """Tell whether its values may be the best: not those of a run that failed, or whose job did."""
        failed = self.made is not None and self.made.job_status in tables.FAILED_JOB
        return self.candidate.status not in tables.FAILED and not failed


@dataclass(frozen=True, slots=True)
class Table:
    """`all_metrics` and `all_params` are what can be chosen; `directions` tells which way each shown metric is better.

    `best` holds the best value of each shown metric whose direction is known, among all runs that match; of those in
    `best_of_page` on this page only, since finding it among all would take too long.
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

    @property
    def guesses(self) -> bool:
        return any(direction.guessed for direction in self.directions.values())

    @property
    def best_elsewhere(self) -> dict[str, float]:
        """The best values that no run on this page has."""
        here = {(name, value) for row in self.rows if row.counts for name, value in row.metrics.items()}
        return {name: value for name, value in self.best.items() if (name, value) not in here}


def page(scope: Scope, experiment_iid: int, wanted: TableQuery) -> Table:
    """Fetch a page. Raises NOT_FOUND for an unknown experiment, INVALID for a filter that names what is not there."""
    with scope.project.slow_read() as tx:
        experiment = experiments.existing(tx, experiment_iid)
        found = _search(tx, experiment_iid, wanted)
        newest = tables.newest(tx, experiment_iid, wanted.view.stages, limit=_LOOK_AT)
        total = tables.count(tx, experiment_iid, wanted.view.stages, most=_MOST_COUNTED)
        looked_at = sorted({*newest, *(one.iid for one in found.candidates)})
        all_metrics = tables.metric_names(tx, looked_at)
        differ = tables.params_that_differ(tx, looked_at)
        all_params = list(differ)
        metrics = list(wanted.metrics) if wanted.metrics is not None else worth_showing(all_metrics, _MOST_METRICS)
        params = list(wanted.params) if wanted.params is not None else _telling(differ)
        rows = _rows(tx, found.candidates, metrics, params)
        told = directions_service.of_runs(tx, metrics, experiments=[experiment.name])
        best = _best(rows, told)
        whole = found.next_token is None and wanted.token is None
        everywhere = best if whole else _best_of_all(tx, experiment_iid, wanted, told, total=total)
    shown = {name: value for name, value in (best | everywhere).items() if not _all_equal(rows, name)}
    return Table(
        experiment,
        rows,
        metrics,
        params,
        sorted({*all_metrics, *metrics}),
        sorted({*all_params, *params}),
        found.next_token,
        min(total, _MOST_COUNTED),
        total > _MOST_COUNTED,
        told,
        shown,
        frozenset(shown.keys() - everywhere.keys()),
    )


def every(scope: Scope, experiment_iid: int, wanted: TableQuery) -> Iterator[list[CandidateRow]]:
    """Fetch all pages, for a file of values, with the columns of `wanted`; each in a transaction of its own."""
    token = None
    for _ in range(MOST_CSV_ROWS // _CSV_PAGE):
        step = TableQuery(wanted.clauses, wanted.orders, wanted.view, limit=_CSV_PAGE, token=token)
        with scope.project.slow_read() as tx:
            found = _search(tx, experiment_iid, step)
            rows = _rows(tx, found.candidates, wanted.metrics or (), wanted.params or ())
        yield rows
        token = found.next_token
        if token is None:
            break


def _search(tx: Transaction, experiment_iid: int, wanted: TableQuery) -> search.FoundCandidates:
    return search.search(
        tx,
        experiment_iids=[experiment_iid],
        stages=wanted.view.stages,
        clauses=wanted.clauses,
        orders=wanted.orders,
        limit=wanted.limit,
        token=wanted.token,
    )


def _rows(
    tx: Transaction, candidates: Sequence[Candidate], metrics: Sequence[str], params: Sequence[str]
) -> list[CandidateRow]:
    iids = [one.iid for one in candidates]
    of_metrics = tables.metric_values(tx, iids, metrics)
    of_params = tables.param_values(tx, iids, params)
    of_tags = tables.tag_values(tx, iids, _TAGS)
    made = {one.candidate_iid: one for one in tables.made_by(tx, iids)}
    return [
        CandidateRow(
            one,
            of_metrics.get(one.iid, {}),
            of_params.get(one.iid, {}),
            of_tags.get(one.iid, {}),
            made.get(one.iid),
        )
        for one in candidates
    ]


def _telling(params: dict[str, bool]) -> list[str]:
    """Choose the parameters that tell candidates apart; where none does, any."""
    return [name for name, differs in params.items() if differs or not any(params.values())][:_MOST_PARAMS]


def _best_of_all(
    tx: Transaction, experiment_iid: int, wanted: TableQuery, told: dict[str, MetricDirection], *, total: int
) -> dict[str, float]:
    known = [(name, direction.better) for name, direction in told.items() if direction.better is not Better.UNKNOWN]
    return tables.best_values(
        tx, experiment_iid, wanted.view.stages, wanted.clauses, wanted=dict(known[:_MOST_BEST]), small=total <= _SMALL
    )


def _best(rows: Sequence[CandidateRow], told: dict[str, MetricDirection]) -> dict[str, float]:
    best: dict[str, float] = {}
    for name, direction in told.items():
        values = _counted(rows, name)
        if values and direction.better is not Better.UNKNOWN:
            best[name] = max(values) if direction.better is Better.HIGHER else min(values)
    return best


def _all_equal(rows: Sequence[CandidateRow], name: str) -> bool:
    """Tell whether a mark would say nothing."""
    return len(set(_counted(rows, name))) <= 1


def _counted(rows: Sequence[CandidateRow], name: str) -> list[float]:
    values = [row.metrics[name] for row in rows if row.counts and name in row.metrics]
    return [value for value in values if value == value]  # noqa: PLR0124 - NaN is never the best


def read(filter_text: str, order: str) -> tuple[Sequence[Clause], Sequence[Order]]:
    """Read a filter and an order as people type them. Raises INVALID."""
    return filters.parse(filter_text), filters.parse_orders([order] if order else [])

"""A page of an experiment's candidates as a table: the columns that are shown, and nothing of the others.

A page costs a fixed number of statements, whatever the number of candidates, columns and rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from mltrail_server.domain import direction, filters
from mltrail_server.domain.candidate import Status, ViewType
from mltrail_server.domain.filters import Clause, Order
from mltrail_server.store import search, tables
from mltrail_server.store.candidates import Candidate
from mltrail_server.store.experiments import Experiment
from mltrail_server.store.tables import Made

from . import experiments
from .deps import Scope

COMMIT = "mlflow.source.git.commit"
PARENT = "mlflow.parentRunId"
_TAGS = (COMMIT, PARENT)
_LOOK_AT = 20
"""So many of the newest candidates tell which columns there are, beside those on the page."""
_MOST_METRICS = 8
_MOST_PARAMS = 6
_MOST_COUNTED = 10_000
_CSV_PAGE = 500
MOST_CSV_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of an experiment is asked for. `metrics` and `params` None: what is worth showing."""

    clauses: Sequence[Clause] = ()
    orders: Sequence[Order] = ()
    view: ViewType = ViewType.ACTIVE_ONLY
    metrics: Sequence[str] | None = None
    params: Sequence[str] | None = None
    limit: int = 50
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    candidate: Candidate
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    made: Made | None

    @property
    def counts(self) -> bool:
        """Tell whether its values may be the best: not those of a run that failed, or whose job did."""
        failed = self.made is not None and self.made.job_status in ("failed", "canceled")
        return self.candidate.status not in (Status.FAILED, Status.KILLED) and not failed


@dataclass(frozen=True, slots=True)
class Table:
    """`all_metrics` and `all_params` are what can be chosen; `best` holds the best value of each shown metric on this
    page, where a direction is known.
    """

    experiment: Experiment
    rows: list[Row]
    metrics: list[str]
    params: list[str]
    all_metrics: list[str]
    all_params: list[str]
    next_token: str | None
    total: int
    total_is_more: bool
    best: dict[str, float] = field(default_factory=dict)


def page(scope: Scope, experiment_iid: int, wanted: Wanted) -> Table:
    """Fetch a page. Raises NOT_FOUND for an unknown experiment, INVALID for a filter that names what is not there."""
    with scope.deps.db.read() as connection:
        experiment = experiments.existing(connection, scope, experiment_iid)
        found = _search(connection, scope, experiment_iid, wanted)
        newest = tables.newest(connection, scope.project_id, experiment_iid, wanted.view.stages, limit=_LOOK_AT)
        total = tables.count(connection, scope.project_id, experiment_iid, wanted.view.stages, most=_MOST_COUNTED)
        looked_at = sorted({*newest, *(one.iid for one in found.candidates)})
        all_metrics = tables.metric_names(connection, scope.project_id, looked_at)
        all_params = tables.param_names(connection, scope.project_id, looked_at)
        metrics = list(wanted.metrics) if wanted.metrics is not None else _worth_showing(all_metrics)
        params = list(wanted.params) if wanted.params is not None else all_params[:_MOST_PARAMS]
        rows = _rows(connection, scope, found.candidates, metrics, params)
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
        _best(rows, metrics),
    )


def every(scope: Scope, experiment_iid: int, wanted: Wanted) -> Iterator[list[Row]]:
    """Fetch all pages, for a file of values, with the columns of `wanted`; each in a transaction of its own."""
    token = None
    for _ in range(MOST_CSV_ROWS // _CSV_PAGE):
        step = Wanted(wanted.clauses, wanted.orders, wanted.view, limit=_CSV_PAGE, token=token)
        with scope.deps.db.read() as connection:
            found = _search(connection, scope, experiment_iid, step)
            rows = _rows(connection, scope, found.candidates, wanted.metrics or (), wanted.params or ())
        yield rows
        token = found.next_token
        if token is None:
            break


def _search(connection: sa.Connection, scope: Scope, experiment_iid: int, wanted: Wanted) -> search.Found:
    return search.search(
        connection,
        scope.project_id,
        experiment_iids=[experiment_iid],
        stages=wanted.view.stages,
        clauses=wanted.clauses,
        orders=wanted.orders,
        limit=wanted.limit,
        token=wanted.token,
    )


def _rows(
    connection: sa.Connection,
    scope: Scope,
    candidates: Sequence[Candidate],
    metrics: Sequence[str],
    params: Sequence[str],
) -> list[Row]:
    iids = [one.iid for one in candidates]
    of_metrics = tables.metric_values(connection, scope.project_id, iids, metrics)
    of_params = tables.param_values(connection, scope.project_id, iids, params)
    of_tags = tables.tag_values(connection, scope.project_id, iids, _TAGS)
    made = {one.candidate_iid: one for one in tables.made_by(connection, scope.project_id, iids)}
    return [
        Row(
            one,
            of_metrics.get(one.iid, {}),
            of_params.get(one.iid, {}),
            of_tags.get(one.iid, {}),
            made.get(one.iid),
        )
        for one in candidates
    ]


def _worth_showing(names: Sequence[str]) -> list[str]:
    """Choose the metrics that most likely rank candidates; what MLflow measures of the machine comes last."""

    def place(name: str) -> tuple[bool, bool, tuple[int, int, int, str]]:
        unknown = direction.guess(name).direction is direction.Direction.UNKNOWN
        return direction.is_system(name), unknown, direction.rank(name)

    return sorted(names, key=place)[:_MOST_METRICS]


def _best(rows: Sequence[Row], metrics: Sequence[str]) -> dict[str, float]:
    best: dict[str, float] = {}
    for name in metrics:
        goal = direction.guess(name).direction
        values = [row.metrics[name] for row in rows if row.counts and name in row.metrics]
        values = [value for value in values if value == value]  # noqa: PLR0124 - NaN is never the best
        if len(set(values)) > 1 and goal is not direction.Direction.UNKNOWN:
            best[name] = max(values) if goal is direction.Direction.HIGHER else min(values)
    return best


def read(filter_text: str, order: str) -> tuple[Sequence[Clause], Sequence[Order]]:
    """Read a filter and an order as people type them. Raises INVALID."""
    return filters.parse(filter_text), filters.parse_orders([order] if order else [])

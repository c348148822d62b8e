"""Which parameters mattered: all matching runs of an experiment, judged by one metric, and what is drawn of them.

Every matching run is counted and ranked by the metric. Parameters are read of up to 5,000 of the runs, fewer where many
parameters differ, so that time and memory stay bounded. They are chosen by lot, which is a hash of the run's number, so
that the same runs make the same page. The best runs are drawn even if the lot passed them by, but only it is judged.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mltrail_contract import Model
from mltrail_server.domain import importance, selection
from mltrail_server.domain.candidate import Status, ViewType
from mltrail_server.domain.direction import (
    Better,
    MetricDirection,
    directions_of,
    primary_metric,
    words,
    worth_showing,
)
from mltrail_server.domain.filters import Clause
from mltrail_server.domain.importance import Analysis, Verdict
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.services.tracking import experiments
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import sweep as store
from mltrail_server.store.pages import tables
from mltrail_server.store.tracking.experiments import Experiment
from mltrail_server.store.tracking.search import Also

from . import matching
from .matching import Wanted

METRIC, PARAM = "metrics.", "params."
MOST_RUNS = 100_000
MOST_DRAWN = 500
LISTED = 20
MOST_NAMED = 100
MOST_COLUMNS = 12
_NEWEST = 20
_MOST_JUDGED, _LEAST_JUDGED, _MOST_VALUES = 5_000, 1_000, 40_000
_NAMED_BY = 500
_MOST_PARAMS = 150
_BEST = 50
_BY_DEFAULT = 6
_LONGEST = 250
_FINISHED = int(Status.FINISHED)  # comparing members of an enumeration takes longer
_FAILED = frozenset(int(status) for status in tables.FAILED)
_HASH, _HASHES = 2_654_435_761, 0xFFFFFFFF  # Knuth's multiplicative hash of 32 bits
_MOST_DRAWN_LOT = 8_000
"""How many runs are drawn on average, so that they are never fewer than may be judged."""

Column = Sequence[str | None] | Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Brush:
    """What is chosen on an axis: numbers between two ends, either of which may be missing, or words."""

    low: float | None = None
    high: float | None = None
    words: frozenset[str] = frozenset()

    def takes(self, value: str | float | None) -> bool:
        if self.words and value in self.words:
            return True
        if self.low is None and self.high is None:
            return not self.words
        number = importance.number(value) if isinstance(value, str) else value
        if number is None or number != number:  # noqa: PLR0124 - NaN is nowhere on an axis
            return False
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


@dataclass(frozen=True, slots=True)
class SweepQuery:
    """`columns` are the axes, as `params.lr` and `metrics.loss`: None leaves the choice to us."""

    clauses: Sequence[Clause] = ()
    view: ViewType = ViewType.ACTIVE_ONLY
    metric: str = ""
    columns: Sequence[str] | None = None
    brushes: Mapping[str, Brush] = field(default_factory=dict)
    words: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """How many runs there are of which kind. `matching` is cut at 100,000."""

    matching: int = 0
    is_more: bool = False
    failed: int = 0
    unfinished: int = 0
    without: int = 0  # succeeded without the metric, or with NaN
    usable: int = 0
    judged: int = 0  # chosen from those that are usable


@dataclass(frozen=True, slots=True)
class Sweep:
    """`runs` are those whose columns were read, by number, the best first; columns and `values` are in their order.
    `drawn` and `brushed` are places in it.
    """

    experiment: Experiment
    metrics: list[str]
    metric: str
    direction: MetricDirection
    ranked: bool  # the contract ranks by the metric
    counts: Counts
    analysis: Analysis | None = None
    parameters: list[str] = field(default_factory=list)  # that differ
    left_out: int = 0  # parameters
    runs: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)
    drawn: list[int] = field(default_factory=list)
    brushed: list[int] = field(default_factory=list)
    names: dict[int, tuple[str, str]] = field(default_factory=dict)


def view(scope: Scope, experiment_iid: int, query: SweepQuery) -> Sweep:
    """Read and judge a sweep, in a fixed number of statements. Raises NOT_FOUND for an unknown experiment, INVALID for
    a filter that names unknown fields.
    """
    with scope.project.slow_read() as tx:
        experiment = experiments.existing(tx, experiment_iid)
        contract = directions_service.newest_contract(tx)
        models = selection.models_of(contract, [experiment.name])
        newest = tables.newest(tx, experiment_iid, query.view.stages, limit=_NEWEST)
        names = tables.metric_names(tx, newest)
        metric, ranked = _metric(query.metric, names, models)
        direction = directions_of([metric], models)[metric]
        rows = store.matching(
            tx,
            experiment_iid,
            query.view.stages,
            query.clauses,
            also=_in_words(tx, experiment_iid, query) if query.words else Also(),
            metric=metric,
            most=MOST_RUNS,
        )
        counts, usable = _counted(rows)
        sweep = Sweep(experiment, sorted({*names, metric} - {""}), metric, direction, ranked, counts)
        return _judged(tx, sweep, usable, query, models) if usable else sweep


def _in_words(tx: Transaction, experiment_iid: int, query: SweepQuery) -> Also:
    wanted = Wanted(query.clauses, query.words, view=query.view)
    return matching.also(tx, experiment_iid, wanted, matching.total(tx, experiment_iid, query.view))


def _metric(wanted: str, names: Sequence[str], models: Sequence[Model]) -> tuple[str, bool]:
    """Choose the metric: as asked, or what the contract ranks by, or what the names suggest."""
    ranking = [model.rank_by for model in models if model.rank_by is not None]
    if wanted:
        return wanted, wanted in ranking
    known = next((name for name in ranking if name in names), None)
    if known is not None:
        return known, True
    return primary_metric(names) or next(iter(worth_showing(names, 1)), ""), False


def _counted(rows: Sequence[store.MatchingRun]) -> tuple[Counts, list[tuple[float, int]]]:
    some = rows[:MOST_RUNS]
    usable = [
        (value, iid)
        for iid, status, job_failed, value in some
        if status == _FINISHED and not job_failed and value is not None
    ]
    failed, unfinished, without = _left_out(some) if len(usable) < len(some) else (0, 0, 0)
    return Counts(len(some), len(rows) > MOST_RUNS, failed, unfinished, without, len(usable)), usable


def _left_out(rows: Sequence[store.MatchingRun]) -> tuple[int, int, int]:
    """Count the runs that are left out: failed, not finished, and finished without the metric."""
    failed = sum(1 for _, status, job_failed, _ in rows if job_failed or status in _FAILED)
    finished = [value for _, status, job_failed, value in rows if status == _FINISHED and not job_failed]
    return failed, len(rows) - failed - len(finished), sum(1 for value in finished if value is None)


def _judged(
    tx: Transaction, sweep: Sweep, usable: list[tuple[float, int]], query: SweepQuery, models: Sequence[Model]
) -> Sweep:
    highest = sweep.direction.better is not Better.LOWER
    best = (heapq.nlargest if highest else heapq.nsmallest)(_BEST, usable)
    lot = lot_of(usable)
    differing, left_out = _differing(tx, [iid for _, iid in lot[:_NAMED_BY]])
    read = list(dict.fromkeys([*differing, *_asked(query, PARAM)]))
    judged = min(_MOST_JUDGED, max(_LEAST_JUDGED, _MOST_VALUES // max(1, len(read))))
    chosen = frozenset(iid for _, iid in lot[:judged])
    kept = sorted({*best, *lot[:judged]}, reverse=highest)
    iids, values = [iid for _, iid in kept], [value for value, _ in kept]
    parameters = store.params(tx, iids, read, longest=_LONGEST)
    of_lot = [place for place, iid in enumerate(iids) if iid in chosen]
    analysis = importance.analyse(
        [values[place] for place in of_lot],
        {name: [parameters[name][place] for place in of_lot] for name in differing},
        _repeats(differing, models),
    )
    *axes, last = _axes(query, analysis, sweep.metric)
    columns = _read_columns(tx, iids, axes, parameters) | {last: values}
    brushed, drawn = _brushed(len(iids), columns, query.brushes), _drawn(len(iids))
    named = sorted({*drawn, *brushed[:MOST_NAMED]})
    return replace(
        sweep,
        counts=replace(sweep.counts, judged=len(of_lot)),
        analysis=analysis,
        parameters=differing,
        left_out=left_out,
        runs=iids,
        values=values,
        columns=columns,
        drawn=drawn,
        brushed=brushed,
        names=store.names(tx, [iids[place] for place in named]),
    )


def lot_of(usable: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """Draw at least as many runs as may be judged, by a hash of their numbers."""
    share = 1.0 if len(usable) <= _MOST_DRAWN_LOT else _MOST_DRAWN_LOT / len(usable)
    most = int(share * (_HASHES + 1))
    drawn = [(at, value, iid) for value, iid in usable if (at := iid * _HASH & _HASHES) <= most]
    return [(value, iid) for _, value, iid in sorted(drawn)]


def _asked(query: SweepQuery, prefix: str) -> list[str]:
    keys = [*(query.columns or ())[:MOST_COLUMNS], *query.brushes]
    return [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]


def _read_columns(
    tx: Transaction, iids: Sequence[int], keys: Sequence[str], parameters: Mapping[str, Sequence[str | None]]
) -> dict[str, Column]:
    metrics = store.metrics(tx, iids, [key.removeprefix(METRIC) for key in keys if key.startswith(METRIC)])
    return {
        key: parameters[key.removeprefix(PARAM)] if key.startswith(PARAM) else metrics[key.removeprefix(METRIC)]
        for key in keys
    }


def _brushed(count: int, columns: Mapping[str, Column], brushes: Mapping[str, Brush]) -> list[int]:
    if not brushes:
        return list(range(count))
    return [place for place in range(count) if all(brush.takes(columns[key][place]) for key, brush in brushes.items())]


def _differing(tx: Transaction, iids: Sequence[int]) -> tuple[list[str], int]:
    """List the parameters that differ among some of the runs, and how many more there are than can be judged."""
    counts = store.param_counts(tx, iids)
    found = sorted(name for name, (count, differs) in counts.items() if differs or count < len(iids))
    return found[:_MOST_PARAMS], max(0, len(found) - _MOST_PARAMS)


def _repeats(names: Sequence[str], models: Sequence[Model]) -> list[str]:
    """List the parameters that only tell repeats apart: those of the contract, and seeds by any name."""
    stated = frozenset({name for model in models for name in (*model.repeat_over, *model.pair_by)})
    usual = stated or Model("").repeat_over | frozenset(Model("").pair_by)
    return [name for name in names if name in usual or "seed" in words(name)]


def _axes(query: SweepQuery, analysis: Analysis, metric: str) -> list[str]:
    """Choose the axes: as asked, or the most important parameters; the metric is always the last."""
    if query.columns is not None:
        keys = [key for key in query.columns[:MOST_COLUMNS] if key.startswith((METRIC, PARAM))]
    else:
        ordered = [one.name for one in analysis.parameters if one.verdict is not Verdict.UNJUDGED or analysis.too_few]
        keys = [PARAM + name for name in ordered[:_BY_DEFAULT]]
    last = METRIC + metric
    return [*(key for key in dict.fromkeys([*keys, *query.brushes]) if key != last), last]


def _drawn(count: int) -> list[int]:
    """Choose what is drawn: the best runs, and from the others one of each of equal parts of the metric's order."""
    if count <= MOST_DRAWN:
        return list(range(count))
    parts = MOST_DRAWN - _BEST
    return [*range(_BEST), *(_BEST + (count - _BEST) * part // parts for part in range(parts))]

"""What a run's overview shows besides what was logged: its most telling metrics in brief, the parameters that make it
different, and where it stands between a merge request and a model version.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mltrail_server.domain.candidate import Point, Stage
from mltrail_server.domain.direction import Better, MetricDirection, worth_showing
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.services.review import trace_metrics
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import histories, tables
from mltrail_server.store.pages.histories import HistorySummary
from mltrail_server.store.tracking import metric_keys

from . import merge_requests
from .candidate import CandidateView
from .merge_requests import MergeRequestInBrief

MOST_IN_BRIEF = 12
_PARTS = 40
_MOST_VALUES = 300_000
"""Longer histories, of all metrics in brief together, are not read for a page."""
_COMPARED = 20
"""With how many of the experiment's newest runs the parameters are compared."""
_MOST_NEW = 10
"""Of more parameters than that, none is pointed out for being new."""
_MOST_TRACES = 5_000


@dataclass(frozen=True, slots=True)
class MetricInBrief:
    """A metric's last value, and its history if it has more than one value. `best` is None if it is not known which way
    the metric is better.
    """

    point: Point
    direction: MetricDirection
    history: HistorySummary | None = None
    best: float | None = None
    best_step: int | None = None


@dataclass(frozen=True, slots=True)
class UsualValue:
    """What most of the experiment's newest runs have for a parameter: `runs` of `of` runs. None: they don't have it."""

    value: str | None
    runs: int
    of: int


@dataclass(frozen=True, slots=True)
class Overview:
    """`usual` has the parameters in which the run differs from most others. `spent` is what its traces have taken."""

    metrics: Sequence[MetricInBrief]
    unread: bool  # the histories are too long for a page
    usual: dict[str, UsualValue]
    request: MergeRequestInBrief | None
    spent: dict[str, float] = field(default_factory=dict)


def get(scope: Scope, view: CandidateView, *, find: str, sees_traces: bool) -> Overview:
    """Read it in a fixed number of statements. With `find`, metrics whose names contain it come in brief."""
    one = view.run.candidate
    points = {point.key: point for point in view.run.metrics if find.lower() in point.key.lower()}
    names = worth_showing(points, MOST_IN_BRIEF)
    with scope.project.slow_read() as tx:
        directions = directions_service.of_runs(tx, names, experiments=[view.experiment.name])
        read = _histories(tx, one.iid, names)
        in_brief = _in_brief(tx, one.iid, [points[name] for name in names], directions, read or {})
        usual = _usual(tx, view) if len(view.run.params) else {}
        request = merge_requests.in_brief(tx, scope, view.jobs[0].merge_request_iid if view.jobs else None)
        spent = _spent(tx, view) if sees_traces and 0 < view.traces <= _MOST_TRACES else {}
    return Overview(in_brief, read is None, usual, request, spent)


def _histories(tx: Transaction, iid: int, names: Sequence[str]) -> dict[str, tuple[int, HistorySummary]] | None:
    """Sum up histories by name, each with the number of its metric; None if they are too long."""
    numbers = metric_keys.find(tx, list(names))
    if histories.size(tx, iid, list(numbers.values()), most=_MOST_VALUES) > _MOST_VALUES:
        return None
    found = histories.summaries(tx, iid, list(numbers.values()), most=_PARTS)
    return {name: (number, found[number]) for name, number in numbers.items() if number in found}


def _in_brief(
    tx: Transaction,
    iid: int,
    points: Sequence[Point],
    directions: dict[str, MetricDirection],
    read: dict[str, tuple[int, HistorySummary]],
) -> list[MetricInBrief]:
    best: dict[int, float] = {}
    for name, (number, history) in read.items():
        better = directions[name].better
        if history.count > 1 and better is not Better.UNKNOWN:
            best[number] = history.high if better is Better.HIGHER else history.low
    steps = histories.steps_of(tx, iid, best)
    found = []
    for point in points:
        number, history = read.get(point.key, (0, HistorySummary()))
        several = history if history.count > 1 else None
        found.append(MetricInBrief(point, directions[point.key], several, best.get(number), steps.get(number)))
    return found


def _usual(tx: Transaction, view: CandidateView) -> dict[str, UsualValue]:
    """Compare the parameters with those of the experiment's newest runs: only those that differ among them are read."""
    one = view.run.candidate
    newest = tables.newest(tx, one.experiment_iid, [Stage.ACTIVE], limit=_COMPARED + 1)
    others = [iid for iid in newest if iid != one.iid][:_COMPARED]
    if len(others) < 2:
        return {}
    own = dict(view.run.params)
    theirs = tables.params_that_differ(tx, others)
    new = own.keys() - theirs.keys()
    found = {name: UsualValue(None, len(others), len(others)) for name in new} if len(new) <= _MOST_NEW else {}
    differing = [name for name, differs in tables.params_that_differ(tx, [*others, one.iid]).items() if differs]
    values = tables.param_values(tx, others, differing)
    for name in own.keys() & set(differing):
        value, runs = Counter(values.get(iid, {}).get(name) for iid in others).most_common(1)[0]
        if value != own[name] and 2 * runs > len(others):
            found[name] = UsualValue(value, runs, len(others))
    return found


def _spent(tx: Transaction, view: CandidateView) -> dict[str, float]:
    one = view.run.candidate
    run = Run(one.iid, one.name, RunState.SUCCEEDED, {}, {}, eid=one.eid, snapshot_iid=one.snapshot_iid)
    return trace_metrics.of(tx, [run]).get(one.iid, {})

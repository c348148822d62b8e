"""Candidates that differ only by chance count as one candidate with several runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from .direction import Better, MetricDirection, primary_metric
from .statistics import Summary, summarise

REPEAT_OVER = frozenset({"seed", "random_state"})
"""Parameters that vary chance and are not a choice."""

_LARGEST = 1e150
"""Its square is still finite. MLflow writes infinity as the largest double, which must not enter a mean."""


class RunState(StrEnum):
    """The outcome of a candidate, judged by its jobs rather than by what the client says."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    RUNNING = "running"
    SUPERSEDED = "superseded"  # its job was retried: the newest attempt counts
    UNVERIFIED = "unverified"  # it was not logged with a job's token
    DELETED = "deleted"  # deleted by the job that made it: it counts as logged, but not as a candidate
    GONE = "gone"  # it had succeeded and was then removed for good: see `Run.gone`
    LOCAL = "local"  # logged on somebody's own machine, for the same commit


@dataclass(frozen=True, slots=True)
class Gone:
    """Who removed a run for good, and when (milliseconds since the epoch)."""

    removed_by: str
    removed_ms: int


class Extremes(NamedTuple):
    """The lowest and highest value of a metric's history, and how many values it has; None if that is not known."""

    low: float
    high: float
    points: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What a comparison needs to know of a candidate.

    `metrics` are the last values, which may be NaN; `extremes` are those of metrics' histories, where the caller asked
    for them; `datasets` maps each context, such as `test`, to name and digest. A `deleted` run
    stays evidence if it was deleted after its jobs had ended, but it is never promoted.
    """

    iid: int
    name: str
    state: RunState
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    job_id: int | None = None
    job_name: str = ""
    job_url: str = ""
    experiment: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    extremes: Mapping[str, Extremes] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    parent_iid: int | None = None  # the parent of the sweep that it is a trial of
    deleted: bool = False
    gone: Gone | None = None
    snapshot_iid: int | None = None  # what was logged before a later job failed, which is what counts
    eid: str = ""  # its MLflow run id
    had_succeeded: bool = False  # its job had succeeded before it was retried: it is superseded, but was a look
    amended: bool = False  # others have written to it after its jobs had ended, which doesn't count
    evaluations: tuple["Run", ...] = ()  # those that have measured its model, whose values these are

    @property
    def evidence_iid(self) -> int:
        """The number under which the data that counts is stored."""
        return self.iid if self.snapshot_iid is None else self.snapshot_iid


@dataclass(frozen=True, slots=True)
class Group:
    """Runs with the same parameters, apart from those that vary chance, in the order of their numbers."""

    params: Mapping[str, str]
    runs: tuple[Run, ...]
    metrics: Mapping[str, Summary]

    def values_of(self, name: str) -> list[float]:
        """Return a metric's values, those that are numbers."""
        return [run.metrics[name] for run in self.runs if name in run.metrics and usable(run.metrics[name])]


def usable(value: float) -> bool:
    return abs(value) < _LARGEST  # False for NaN


def group(runs: Iterable[Run], *, repeat_over: frozenset[str] = REPEAT_OVER) -> list[Group]:
    """Group the runs that have succeeded; the others don't count."""
    found: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.iid):
        if run.state is RunState.SUCCEEDED:
            found.setdefault(choice(run, repeat_over), []).append(run)
    return [group_of(dict(sorted(chosen)), members) for chosen, members in found.items()]


def group_of(params: Mapping[str, str], runs: Sequence[Run]) -> Group:
    """Make one group of runs, whatever their parameters."""
    return Group(params, tuple(runs), _summaries(runs))


def choice(run: Run, repeat_over: frozenset[str]) -> frozenset[tuple[str, str]]:
    """Return what was chosen for a run: its parameters, without those that vary chance."""
    return frozenset((key, value) for key, value in run.params.items() if key not in repeat_over)


def best(groups: Iterable[Group], metric: str | None, direction: MetricDirection) -> Group | None:
    """Choose the group with the best mean, or, if nothing can be ranked, the one with the newest run."""
    found = list(groups)
    ranked = [one for one in found if metric is not None and metric in one.metrics]
    if metric is None or not ranked or direction.better is Better.UNKNOWN:
        return max(ranked or found, key=lambda one: one.runs[-1].iid, default=None)
    return max(ranked, key=lambda one: (direction.gain(one.metrics[metric].mean), one.runs[-1].iid))


def representative(group: Group, metric: str | None, direction: MetricDirection) -> Run:
    """Choose the run that represents a group: the one to look at, and the one to promote."""
    runs = [run for run in group.runs if metric is not None and usable(run.metrics.get(metric, float("nan")))]
    if metric is None or not runs or direction.better is Better.UNKNOWN:
        return group.runs[-1]
    return max(runs, key=lambda run: (direction.gain(run.metrics[metric]), run.iid))


def ranking_metric(groups: Iterable[Group]) -> str | None:
    """Guess the metric that ranks the candidates: one that as many groups as possible have."""
    counts: dict[str, int] = {}
    for one in groups:
        for name in one.metrics:
            counts[name] = counts.get(name, 0) + 1
    most = max(counts.values(), default=0)
    return primary_metric({name for name, count in counts.items() if count == most}) or primary_metric(set(counts))


def _summaries(runs: Sequence[Run]) -> dict[str, Summary]:
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.metrics.items():
            if usable(value):
                values.setdefault(name, []).append(value)
    return {name: summarise(found) for name, found in values.items()}

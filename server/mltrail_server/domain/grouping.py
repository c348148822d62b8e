"""Candidates that differ only by chance are one: they are its runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .direction import Better, MetricDirection, primary_metric
from .statistics import Summary, summarise

REPEAT_OVER = frozenset({"seed", "random_state"})
"""Parameters that stand for chance, not for a choice."""

_LARGEST = 1e150
"""Its square is still a number. MLflow writes infinity as the largest double, which is not one to count with."""


class RunState(StrEnum):
    """What became of a candidate, by its jobs rather than by what the client said."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    RUNNING = "running"
    SUPERSEDED = "superseded"  # its job was retried: the newest attempt counts
    UNVERIFIED = "unverified"  # no job's token vouches for it
    DELETED = "deleted"  # the very job that made it has deleted it: it was logged, and is no candidate
    GONE = "gone"  # it had succeeded, and somebody has removed it for good: see `Run.gone`
    LOCAL = "local"  # logged at somebody's own machine, for the same commit


@dataclass(frozen=True, slots=True)
class Gone:
    """Who has removed a run for good, and when (milliseconds since the epoch)."""

    removed_by: str
    removed_ms: int


@dataclass(frozen=True, slots=True)
class Run:
    """A candidate as far as a comparison looks at it.

    `metrics` are the last values, among them perhaps NaN; `extremes` the lowest and highest of a metric's history,
    where somebody asked for them; `datasets` name and digest by context, such as `test`. `deleted` runs stay evidence,
    whoever has deleted them after their jobs had ended; they are never promoted.
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
    extremes: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    parent_iid: int | None = None  # the sweep that it is a trial of
    deleted: bool = False
    gone: Gone | None = None
    snapshot_iid: int | None = None  # where what counts of it stands, if a job that came later has failed

    @property
    def evidence_iid(self) -> int:
        """The number under which the part of it that counts is stored."""
        return self.iid if self.snapshot_iid is None else self.snapshot_iid


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one choice of parameters (those that stand for chance left out), in the order of their numbers."""

    params: Mapping[str, str]
    runs: tuple[Run, ...]
    metrics: Mapping[str, Summary]


def usable(value: float) -> bool:
    return abs(value) < _LARGEST  # False for NaN


def group(runs: Iterable[Run], *, repeat_over: frozenset[str] = REPEAT_OVER) -> list[Group]:
    """Group the runs that succeeded; the others don't count."""
    found: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.iid):
        if run.state is RunState.SUCCEEDED:
            found.setdefault(choice(run, repeat_over), []).append(run)
    return [Group(dict(sorted(chosen)), tuple(members), _summaries(members)) for chosen, members in found.items()]


def choice(run: Run, repeat_over: frozenset[str]) -> frozenset[tuple[str, str]]:
    """What was chosen for a run: its parameters without those that stand for chance."""
    return frozenset((key, value) for key, value in run.params.items() if key not in repeat_over)


def best(groups: Iterable[Group], metric: str | None, direction: MetricDirection) -> Group | None:
    """Choose the group with the best mean. Where nothing can be ranked, the one with the newest run."""
    found = list(groups)
    ranked = [one for one in found if metric is not None and metric in one.metrics]
    if metric is None or not ranked or direction.better is Better.UNKNOWN:
        return max(ranked or found, key=lambda one: one.runs[-1].iid, default=None)
    return max(ranked, key=lambda one: (direction.gain(one.metrics[metric].mean), one.runs[-1].iid))


def representative(group: Group, metric: str | None, direction: MetricDirection) -> Run:
    """Choose the run that stands for a group: the one to look at, and the one to promote."""
    runs = [run for run in group.runs if metric is not None and usable(run.metrics.get(metric, float("nan")))]
    if metric is None or not runs or direction.better is Better.UNKNOWN:
        return group.runs[-1]
    return max(runs, key=lambda run: (direction.gain(run.metrics[metric]), run.iid))


def ranking_metric(groups: Iterable[Group]) -> str | None:
    """Guess by which metric the candidates are ranked: one that as many groups as possible have."""
    counts: dict[str, int] = {}
    for one in groups:
        for name in one.metrics:
            counts[name] = counts.get(name, 0) + 1
    most = max(counts.values(), default=0)
    return primary_metric({name for name, count in counts.items() if count == most}) or primary_metric(set(counts))


def _summaries(runs: list[Run]) -> dict[str, Summary]:
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.metrics.items():
            if usable(value):
                values.setdefault(name, []).append(value)
    return {name: summarise(found) for name, found in values.items()}

"""What a pipeline does to a model: its best candidate against the baseline's, metric by metric."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from . import direction, statistics
from .direction import Direction, Goal
from .grouping import REPEAT_OVER, Group, Run, best, group, ranking_metric, representative
from .numbers import change
from .statistics import Summary

_SIGNIFICANT = 0.05


class Judgement(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    NOISE = "noise"  # a difference that repeats give by chance
    SAME = "same"
    UNKNOWN = "unknown"  # a difference, but nobody can tell what it means
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric on both sides. `delta` is current minus baseline, `relative` the same as a share of the baseline.

    `sentence` holds nothing that a user wrote.
    """

    name: str
    goal: Goal
    baseline: Summary | None
    current: Summary | None
    judgement: Judgement
    sentence: str
    delta: float | None = None
    relative: float | None = None


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """None stands for "not set"."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best group against the baseline's best. `metrics` begins with the one that ranks, then what matters most."""

    rank_by: str | None
    best: Group | None
    best_run: Run | None
    baseline: Group | None
    metrics: tuple[MetricChange, ...]
    parameters: tuple[ParameterChange, ...]
    groups: int

    @property
    def headline(self) -> MetricChange | None:
        return next((one for one in self.metrics if one.name == self.rank_by), None)


def compare(
    current: Iterable[Run],
    baseline: Iterable[Run],
    *,
    rank_by: str | None = None,
    better: Direction | None = None,
    repeat_over: frozenset[str] = REPEAT_OVER,
) -> Comparison:
    """Compare two pipelines' runs of one model. `better` is the direction of `rank_by` where somebody has said it."""
    ours, theirs = group(current, repeat_over=repeat_over), group(baseline, repeat_over=repeat_over)
    metric = rank_by or ranking_metric(ours)
    goal = Goal(better, guessed=False) if better else direction.guess(metric or "")
    mine, yours = best(ours, metric, goal), best(theirs, metric, goal)
    if mine is None:
        return Comparison(metric, None, None, yours, (), (), 0)
    goals = {metric: goal} if metric else {}
    return Comparison(
        metric,
        mine,
        representative(mine, metric, goal),
        yours,
        tuple(_metrics(mine, yours, metric, goals)),
        tuple(changed_parameters(yours.params, mine.params)) if yours else (),
        len(ours),
    )


def changed_parameters(before: Mapping[str, str], after: Mapping[str, str]) -> list[ParameterChange]:
    return [
        ParameterChange(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def judge(name: str, goal: Goal, before: Summary | None, now: Summary | None) -> MetricChange:
    """Say what became of one metric. At least one side must be there."""
    if before is None or now is None:
        missing = Judgement.NEW if before is None else Judgement.GONE
        sentence = "new, no baseline yet" if before is None else "no longer logged, or not a number"
        return MetricChange(name, goal, before, now, missing, sentence)
    delta = now.mean - before.mean
    relative = delta / abs(before.mean) if before.mean else None
    told = change(
        delta,
        relative=relative,
        rate=direction.is_rate(name) and 0 <= before.mean <= 1 and 0 <= now.mean <= 1,
        show_relative=goal.direction is Direction.LOWER and before.mean > 0 and now.mean > 0,
    )
    judgement, sentence = _judged(goal, before, now, delta, told)
    return MetricChange(name, goal, before, now, judgement, sentence, delta, relative)


def _judged(goal: Goal, before: Summary, now: Summary, delta: float, told: str) -> tuple[Judgement, str]:
    runs = f"{now.n} v {before.n} runs"
    if math.isclose(now.mean, before.mean, rel_tol=1e-12, abs_tol=1e-15):
        return Judgement.SAME, "unchanged"
    if now.n == 1 and before.n == 1:
        return Judgement.UNKNOWN, f"{told}; 1 run, noise unknown: add seeds to tell"
    real = _is_real(before, now)
    if real is None:
        return Judgement.UNKNOWN, f"{told}; {runs}, noise unknown: add seeds to tell"
    if not real:
        return Judgement.NOISE, f"{told}, within noise ({runs})"
    if goal.direction is Direction.UNKNOWN:
        return Judgement.UNKNOWN, f"{told}, real ({runs}), but is higher or lower better?"
    judgement = Judgement.BETTER if goal.gain(delta) > 0 else Judgement.WORSE
    return judgement, f"{told}, {judgement.value}, real ({runs})"


def _is_real(before: Summary, now: Summary) -> bool | None:
    if before.sd is not None and now.sd is not None:
        test = statistics.welch(before, now)
        # Without any spread on either side chance plays no part, and every difference is real.
        return test is None or test.p < _SIGNIFICANT
    known, single = (before, now) if before.sd is not None else (now, before)
    if not known.sd:
        return None  # repeats that agree exactly tell nothing of a single run elsewhere
    interval = statistics.prediction_interval(known)
    return interval is not None and not interval[0] <= single.mean <= interval[1]


_ORDER = (
    *(Judgement.WORSE, Judgement.BETTER, Judgement.GONE, Judgement.UNKNOWN, Judgement.NEW),
    *(Judgement.NOISE, Judgement.SAME),
)


def _metrics(mine: Group, yours: Group | None, rank_by: str | None, goals: Mapping[str, Goal]) -> list[MetricChange]:
    theirs = yours.metrics if yours else {}
    names = {name for name in mine.metrics.keys() | theirs.keys() if not direction.is_system(name)}
    changes = [
        judge(name, goals.get(name) or direction.guess(name), theirs.get(name), mine.metrics.get(name))
        for name in names
    ]
    return sorted(changes, key=lambda one: (one.name != rank_by, _ORDER.index(one.judgement), one.name))

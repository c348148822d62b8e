"""Where a target branch stands in a metric: what its pipelines show, though it may have leapt, drifted or wandered.

How a branch moves is not known, so several courses are followed from the oldest pipeline to the newest. Each may begin
anew at every pipeline (R. P. Adams and D. J. C. MacKay, "Bayesian online changepoint detection", arXiv:0710.3742), and
each beginning is a Kalman filter of a level and one more number. What is left is a mixture: possible levels, how likely
each is, and how well it would be known. All is in spreads from run to run, so that units don't matter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .statistics import Summary


class PossibleLevel(NamedTuple):
    """`variance` is in squared spreads from run to run; `age` is the number of pipelines that this level rests on."""

    share: float
    mean: float
    variance: float
    age: int


@dataclass(frozen=True, slots=True)
class _Course:
    """How a branch may move. `leaps` is the chance that a pipeline begins anew.

    With `stays`, the level wanders around its mean: a share `stays` of its distance is left after a pipeline, and the
    distances have the variance `wanders`. Else it is a straight line, whose slope has the standard deviation `slope`.
    `caution` widens what is said by this course: one that is taken for it by mistake costs more than one that is not.
    """

    prior: float
    leaps: float
    caution: float
    slope: float = 0.0
    stays: float = 0.0
    wanders: float = 0.0


_COURSES = (
    _Course(0.55, leaps=0.002, caution=1.0),
    _Course(0.15, leaps=0.18, caution=1.1),
    _Course(0.15, leaps=0.03, caution=1.1, slope=0.15),
    _Course(0.15, leaps=0.01, caution=2.0, stays=0.6, wanders=0.5),
)
"""Chosen among some 500 random combinations with 8,000 simulated merge requests each, so that of three metrics the one
that dropped by one spread is seen most often, while false alarms stay below 5.3 % on a stable branch, one that drifts
by a tenth of a spread a pipeline, one that wanders by half a spread, and one that leaps by two: decision 32.
"""

_SHARPNESS = 2.0
"""The power of the likelihood by which courses are weighed: decisive, since `caution` already covers mistakes."""

_LEAP = 2.0
_ANYWHERE = 10.0
_LEAST = 1e-4
_HOPELESS = 1e-5
_TINY = 1e-300
_FAR = 1e9  # spreads


class _Step(NamedTuple):
    """What a filter does with one more pipeline's value; none of it depends on the values.

    `gain` and `other` are the shares of the surprise that the level and the other number take over. A surprise of x
    has the likelihood `height`·exp(-`scale`·x²), which counts how likely it is that the branch leapt here or did not.
    """

    gain: float
    other: float
    height: float
    scale: float


class _Plan(NamedTuple):
    """A filter's steps from where it begins to the newest pipeline, and the variance of the level in the end."""

    steps: tuple[_Step, ...]
    variance: float


def possible_levels(pipelines: Sequence[Summary], sd: float) -> tuple[PossibleLevel, ...]:
    """Follow a branch through its pipelines (newest first, at least one) to the newest."""
    newest = pipelines[0]
    if len(pipelines) == 1:
        return (PossibleLevel(1.0, newest.mean, 1 / newest.n, 1),)
    values = [max(-_FAR, min(_FAR, (one.mean - newest.mean) / sd)) for one in reversed(pipelines)]
    runs = tuple(one.n for one in reversed(pipelines))
    followed = [_follow(course, values, runs) for course in _COURSES]
    weights = [_SHARPNESS * (math.log(one.prior) + log) for one, (log, _) in zip(_COURSES, followed, strict=True)]
    best = max(weights)
    found = []
    for course, weight, (_, states) in zip(_COURSES, weights, followed, strict=True):
        whole = math.exp(weight - best)
        found += [
            (share * whole, newest.mean + sd * level, course.caution * variance, len(runs) - began)
            for began, share, level, variance in states
            if share * whole >= _LEAST
        ]
    total = math.fsum(share for share, *_ in found)
    return tuple(PossibleLevel(share / total, mean, variance, age) for share, mean, variance, age in found)


def _follow(
    course: _Course, values: Sequence[float], runs: tuple[int, ...]
) -> tuple[float, list[tuple[int, float, float, float]]]:
    """Run a filter from each pipeline on. Returns the log likelihood of all, and of each filter that has not become
    hopeless where it began, its share, and its newest level and that one's variance.
    """
    drift, keep = (course.stays - 1, course.stays) if course.stays else (1.0, 1.0)
    exp = math.exp
    plans = _plans(course, runs)
    log, before, total = 0.0, values[0], 1.0
    # For each filter: its plan, where it began, its share, its level, and its other number. Shares add up to `total`.
    filters: list[tuple[_Plan, int, float, float, float]] = []
    for place, value in enumerate(values):
        moved = []
        new = 0.0
        for plan, began, share, level, other in filters:
            gain, for_other, height, scale = plan.steps[place - began]
            expected = level + drift * other
            off = value - expected
            fits = share / total * height * exp(-scale * off * off)
            new += fits
            moved.append((plan, began, fits, expected + gain * off, keep * other + for_other * off))
        off = value - before
        plan = plans[place] if abs(off) <= 2 * _LEAP else _plan(course, runs, place, _width(off))
        gain, for_other, height, scale = plan.steps[0]
        share = height * exp(-scale * off * off)
        moved.append((plan, place, share, before + gain * off, for_other * off))
        total = max(new + share, _TINY)
        log, before = log + math.log(total), value
        least = _HOPELESS * total
        filters = [one for one in moved if one[2] > least]
    return log, [(began, share / total, level, plan.variance) for plan, began, share, level, _ in filters]


@lru_cache(maxsize=64)
def _plans(course: _Course, runs: tuple[int, ...]) -> list[_Plan]:
    """Work out the filters that begin at each pipeline, after a leap that is not unusually large."""
    return [_plan(course, runs, place, _LEAP if place else _ANYWHERE) for place in range(len(runs))]


def _width(off: float) -> float:
    """Return the standard deviation of leaps that one of this size fits, so that no leap is too large to be one."""
    width = _LEAP
    while abs(off) > 2 * width:
        width *= 4
    return width


@lru_cache(maxsize=4096)
def _plan(course: _Course, runs: tuple[int, ...], began: int, width: float) -> _Plan:
    """Work out a filter that begins at a pipeline, where its level has the standard deviation `width`.

    Its two numbers are the level and the slope, or the level and its distance from its mean.
    """
    drift, keep = (course.stays - 1, course.stays) if course.stays else (1.0, 1.0)
    b, c = course.wanders, course.wanders or course.slope**2
    a = width**2 + b
    likely = course.leaps if began else 1.0
    steps = []
    for place in range(began, len(runs)):
        if place > began:
            fresh = course.wanders * (1 - keep**2)
            a, b, c = a + 2 * drift * b + drift**2 * c + fresh, keep * (b + drift * c) + fresh, keep**2 * c + fresh
        noise = 1 / runs[place]
        whole = a + noise
        steps.append(_Step(a / whole, b / whole, likely / math.sqrt(whole), 0.5 / whole))
        likely = 1 - course.leaps
        a, b, c = a * noise / whole, b * noise / whole, c - b * b / whole
    return _Plan(tuple(steps), a)

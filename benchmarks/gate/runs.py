"""Simulated training: the runs of a merge request, and those of the target branch's pipelines.

All levels and differences are in spreads: a spread is the standard deviation from run to run. Positive is always
better; metrics for which lower is better change their sign when they are logged.
"""

import bisect
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from mltrail_server.domain.grouping import Run, RunState

_MIDDLE = 0.9
_CASES = 200
SPREAD = math.sqrt(_MIDDLE * (1 - _MIDDLE) / _CASES)
"""One spread in the metrics' unit: how much an accuracy of 90 % varies on 200 cases."""

_DIVERGED_SHARE = 0.05
_ROUNDING = 1e-6
"""By how many spreads runs with the same seed differ, as processors round."""

_MOST_RUNS = 1000  # in a pipeline
_DATASETS = {"test": "held-out (6f1ed002ab55)"}


class Shape(StrEnum):
    """How a metric varies from run to run."""

    NORMAL = "normal"
    T3 = "t3"
    LEFT_SKEW = "left skew"
    BINOMIAL = "binomial"
    NOT_A_NUMBER = "not a number"
    GARBAGE = "garbage"


@dataclass(frozen=True)
class Branch:
    """How the target branch's true level moves from pipeline to pipeline.

    `drift` is what it gains from each pipeline to the next. `wander` is the standard deviation of a level that keeps
    returning to its mean, and `memory` its correlation from one pipeline to the next. `leap` is how far all metrics
    jump together, up or down, in about one pipeline in ten.
    """

    drift: float = 0.0
    wander: float = 0.0
    memory: float = 0.0
    leap: float = 0.0


@dataclass(frozen=True)
class Metric:
    name: str
    lower: bool = False  # lower is better


@dataclass(frozen=True)
class Side:
    """What one pipeline trains: `candidates` with different parameters, `runs` of each with different seeds; all but
    the first candidate are truly worse by `behind`. It also trains `copied` candidates, whose runs claim to have
    different seeds but share one.
    """

    runs: int = 5
    candidates: int = 1
    copied: int = 0
    behind: float = 0.0


class Training:
    """Simulated training: it logs metrics that vary by chance around a true level.

    The runs of each pipeline number are made once and reused, because making them would take longer than everything
    else.
    """

    def __init__(self, metrics: Sequence[Metric], shape: Shape, correlation: float, rng: random.Random) -> None:
        self._metrics = [(one.name, -SPREAD if one.lower else SPREAD) for one in metrics]
        self._shape = shape
        self._shared, self._own = math.sqrt(correlation), math.sqrt(1 - correlation)
        self._rng = rng
        self._draw = _SHAPES[shape]
        self._made: dict[int, list[tuple[Run, dict[str, float]]]] = {}

    def pipeline(self, number: int, side: Side, levels: Sequence[float], *, first_seed: int = 0) -> list[Run]:
        """Train in a pipeline. `levels` are the true levels of the metrics."""
        if number not in self._made:
            self._made[number] = list(_runs(number, side, first_seed))
        made = self._made[number]
        own = side.candidates * side.runs
        for place, (_, metrics) in enumerate(made[:own]):
            behind = side.behind if place >= side.runs else 0.0
            self._log(metrics, [one - behind for one in levels] if behind else levels)
        for place, (_, metrics) in enumerate(made[own:]):
            if place % side.runs == 0:
                first = metrics
                self._log(first, levels)
            else:
                metrics |= {name: first[name] + unit * self._rng.gauss(0, _ROUNDING) for name, unit in self._metrics}
        return [run for run, _ in self._made[number]]

    def _log(self, metrics: dict[str, float], levels: Sequence[float]) -> None:
        rng, draw = self._rng, self._draw
        diverged = _DIVERGED.get(self._shape)
        if diverged is not None and rng.random() < _DIVERGED_SHARE:
            for name, unit in self._metrics:
                metrics[name] = _MIDDLE + unit * diverged
        elif self._shared:
            common = self._shared * rng.gauss()
            for (name, unit), level in zip(self._metrics, levels, strict=True):
                metrics[name] = _MIDDLE + unit * (level + common + self._own * rng.gauss())
        else:
            for (name, unit), level in zip(self._metrics, levels, strict=True):
                metrics[name] = _MIDDLE + unit * draw(rng, level)


def _runs(number: int, side: Side, first_seed: int) -> Iterator[tuple[Run, dict[str, float]]]:
    """Make a pipeline's runs, each with the dict that holds its metrics."""
    iids = itertools.count(number * _MOST_RUNS)
    for candidate in range(side.candidates + side.copied):
        for seed in range(first_seed, first_seed + side.runs):
            params = {"depth": str(candidate), "seed": str(seed)}
            metrics: dict[str, float] = {}
            yield Run(next(iids), "run", RunState.SUCCEEDED, params, metrics, datasets=_DATASETS), metrics


def branch_levels(branch: Branch, pipelines: int, metrics: int, rng: random.Random) -> Iterator[list[float]]:
    """Yield the true levels of the target branch's pipelines, newest first and relative to the newest."""
    start = [rng.gauss(0, branch.wander) for _ in range(metrics)] if branch.wander else [0.0] * metrics
    wandered, common = list(start), 0.0
    new = math.sqrt(1 - branch.memory**2) * branch.wander
    for _ in range(pipelines):
        yield [here - there + common for here, there in zip(wandered, start, strict=True)]
        common -= branch.drift
        if branch.leap and rng.random() < 1 / 10:
            common += branch.leap if rng.random() < 1 / 2 else -branch.leap
        if branch.wander:
            wandered = [branch.memory * one + rng.gauss(0, new) for one in wandered]


_DIVERGED = {Shape.NOT_A_NUMBER: math.nan, Shape.GARBAGE: -10.0}


def _normal(rng: random.Random, level: float) -> float:
    return level + rng.gauss()


def _t3(rng: random.Random, level: float) -> float:
    """Draw from Student's t with three degrees of freedom. Its variance is 3, so it is scaled down to 1."""
    return level + rng.gauss() / math.sqrt(rng.gammavariate(1.5, 2))


def _left_skew(rng: random.Random, level: float) -> float:
    return level + 1 - rng.expovariate(1)


def _binomial(rng: random.Random, level: float) -> float:
    right = bisect.bisect_left(_binomial_below(_MIDDLE + level * SPREAD), rng.random())
    return (right / _CASES - _MIDDLE) / SPREAD


@lru_cache(maxsize=64)
def _binomial_below(chance: float) -> tuple[float, ...]:
    """Return the probability of at most 0, 1, … right cases."""
    return tuple(
        itertools.accumulate(
            math.comb(_CASES, right) * chance**right * (1 - chance) ** (_CASES - right) for right in range(_CASES + 1)
        )
    )


_SHAPES: dict[Shape, Callable[[random.Random, float], float]] = {
    Shape.NORMAL: _normal,
    Shape.T3: _t3,
    Shape.LEFT_SKEW: _left_skew,
    Shape.BINOMIAL: _binomial,
    Shape.NOT_A_NUMBER: _normal,
    Shape.GARBAGE: _normal,
}

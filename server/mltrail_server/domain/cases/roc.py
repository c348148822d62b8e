"""Areas under ROC curves, and how well a difference between two of them is known.

E. R. DeLong et al., "Comparing the areas under two or more correlated receiver operating characteristic curves: a
nonparametric approach", Biometrics 44 (1988), computed from midranks as by X. Sun and W. Xu, "Fast implementation of
DeLong's algorithm for comparing the areas under correlated receiver operating characteristic curves", IEEE Signal
Processing Letters 21 (2014). For clusters, N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data",
Biometrics 53 (1997), which is DeLong's estimate where each case is a cluster.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .student import StudentEvidence


class Scored(NamedTuple):
    """An answer: the cluster of its case, whether the case is positive, and the model's score."""

    cluster: str
    positive: bool
    score: float


@dataclass(frozen=True, slots=True)
class Area:
    """The area under a curve, and what each cluster's positive and negative cases add to its deviation."""

    area: float
    positive: Mapping[str, float]
    negative: Mapping[str, float]

    @property
    def influences(self) -> dict[str, float]:
        names = self.positive.keys() | self.negative.keys()
        return {name: self.positive.get(name, 0.0) + self.negative.get(name, 0.0) for name in names}


def area(answers: Sequence[Scored]) -> Area | None:
    """Return the area under one model's curve. None if all cases are positive, or all negative."""
    positive = [one for one in answers if one.positive]
    negative = [one for one in answers if not one.positive]
    if not positive or not negative:
        return None
    overall = midranks([one.score for one in (*positive, *negative)])
    wins = _wins(overall[: len(positive)], positive, len(negative))
    losses = _wins(overall[len(positive) :], negative, len(positive))
    mean = math.fsum(wins) / len(wins)
    return Area(
        mean,
        _by_cluster(positive, [win - mean for win in wins]),
        _by_cluster(negative, [1 - loss - mean for loss in losses]),
    )


def compare_areas(before: Area, now: Area) -> StudentEvidence:
    """Test the difference between two models' areas on the same cases."""
    positive = _differences(now.positive, before.positive)
    negative = _differences(now.negative, before.negative)
    both = [positive[name] * negative[name] for name in positive.keys() & negative.keys()]
    clusters = len(positive.keys() | negative.keys())
    variance = (
        _inflated(math.fsum(one**2 for one in positive.values()), len(positive))
        + _inflated(math.fsum(one**2 for one in negative.values()), len(negative))
        + 2 * _inflated(math.fsum(both), clusters)
    )
    fewest = min(len(positive), len(negative))
    # Where no case moved, or none of a kind is left to show by how much, one that moves is not ruled out.
    error = math.sqrt(variance) if variance > 0 and fewest > 1 else 1 / fewest
    return StudentEvidence(now.area - before.area, error, max(1, fewest - 1))


def midranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, counted from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for place in range(first, last + 1):
            ranks[order[place]] = (first + last) / 2 + 1
        first = last + 1
    return ranks


def _wins(overall: Sequence[float], own: Sequence[Scored], others: int) -> list[float]:
    """The share of the other kind's cases that score less than each of these; an equal one counts as half."""
    among = midranks([one.score for one in own])
    return [(rank - inside) / others for rank, inside in zip(overall, among, strict=True)]


def _by_cluster(answers: Sequence[Scored], deviations: Iterable[float]) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for one, deviation in zip(answers, deviations, strict=True):
        sums[one.cluster] += deviation / len(answers)
    return dict(sums)


def _differences(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: now.get(name, 0.0) - before.get(name, 0.0) for name in now.keys() | before.keys()}


def _inflated(value: float, count: int) -> float:
    return value * count / (count - 1) if count > 1 else value

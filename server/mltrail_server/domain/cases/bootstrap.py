"""How well a difference between two metrics is known, if the metrics are functions of sums over the cases.

The bootstrap draws test sets from the one at hand. Its intervals are corrected for bias and for a spread that changes
with the difference (BCa): B. Efron, "Better bootstrap confidence intervals", JASA 82 (1987).
"""

import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import mul
from statistics import NormalDist

from mltrail_server.domain.evidence import ALPHA

from .binomial import multinomial

Sums = tuple[float, ...]
"""What a cluster of cases adds to the sums that a metric is made of, or all clusters together."""

_MOST_RESAMPLES = 2000
_FEWEST_RESAMPLES = 500
_MOST_GROUPS = 500
_FEWEST_GROUPS = 64
_WORK = 10_000_000
"""How many products all resamples should take together: about a second."""
_SEED = 20
_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf(1 - ALPHA)


@dataclass(frozen=True, slots=True)
class BootstrapEvidence:
    """A `comparison.CaseEvidence`. `values` are the resampled differences, in order."""

    difference: float
    values: Sequence[float]
    bias: float
    acceleration: float

    def below(self, limit: float) -> float:
        return 1 - self._level(limit)

    def above(self, limit: float) -> float:
        return self._level(limit)

    @property
    def low(self) -> float:
        return self._quantile(-_Z)

    @property
    def high(self) -> float:
        return self._quantile(_Z)

    def _quantile(self, z: float) -> float:
        shifted = self.bias + z
        share = _NORMAL.cdf(self.bias + shifted / (1 - self.acceleration * shifted))
        place = share * (len(self.values) - 1)
        whole = min(int(place), len(self.values) - 2)
        first, second = self.values[whole], self.values[whole + 1]
        return first + (second - first) * (place - whole)

    def _level(self, limit: float) -> float:
        """Return the confidence that the true difference is below `limit`: `_quantile`, turned round."""
        share = _share_below(self.values, limit)
        distance = _NORMAL.inv_cdf(share) - self.bias
        scale = 1 + self.acceleration * distance
        if scale <= 0:  # beyond what the correction covers
            return 1.0 if distance > 0 else 0.0
        return _NORMAL.cdf(distance / scale - self.bias)


def bootstrap(clusters: Sequence[Sums], difference: Callable[[Sequence[float]], float]) -> BootstrapEvidence:
    """Resample clusters. `difference` makes the difference of the two sides' metrics from the sums over all clusters.

    Alike clusters are drawn together. If there are too many that differ, groups of several are drawn: the spread of a
    sum is the same. The order of the clusters chooses the groups, so that sorted ones give the same answer each time.
    """
    alike = Counter(clusters)
    width = len(clusters[0])
    if len(alike) > _MOST_GROUPS or len(alike) * width * _FEWEST_RESAMPLES > _WORK:
        most = max(_FEWEST_GROUPS, min(_MOST_GROUPS, _WORK // (width * _MOST_RESAMPLES)))
        alike = Counter(_grouped(clusters, most))
    resamples = max(_FEWEST_RESAMPLES, min(_MOST_RESAMPLES, _WORK // (len(alike) * width)))
    observed = difference(_total(alike))
    values = sorted(difference(sums) for sums in _resampled(alike, resamples))
    bias = _NORMAL.inv_cdf(_share_below(values, observed))
    return BootstrapEvidence(observed, values, bias, _acceleration(alike, difference))


def jackknife(clusters: Sequence[Sums], metric: Callable[[Sequence[float]], float]) -> list[float]:
    """Return how far each of n clusters moves a metric; n / (n - 1) times their sum of squares is its variance."""
    alike = Counter(clusters)
    total = _total(alike)
    left = {one: metric(_minus(total, one)) for one in alike}
    without = [left[one] for one in clusters]
    mean, count = math.fsum(without) / len(without), len(clusters)
    return [(mean - value) * (count - 1) / count for value in without]


def _share_below(values: Sequence[float], limit: float) -> float:
    """The share below, where equal ones count as half. It is never 0 or 1: so few resamples don't show that."""
    share = (bisect_left(values, limit) + bisect_right(values, limit)) / 2 / len(values)
    least = 1 / (len(values) + 1)
    return min(max(share, least), 1 - least)


def _grouped(clusters: Sequence[Sums], most: int) -> list[Sums]:
    mixed = list(clusters)
    random.Random(_SEED).shuffle(mixed)  # noqa: S311  no secret
    parts = (mixed[first::most] for first in range(min(most, len(mixed))))
    return [tuple(math.fsum(column) for column in zip(*part, strict=True)) for part in parts]


def _resampled(alike: Counter[Sums], resamples: int) -> Iterator[Sequence[float]]:
    source = random.Random(_SEED)  # noqa: S311  no secret
    columns = list(zip(*alike, strict=True))
    fixed = [len(set(column)) == 1 for column in columns]  # such as the number of cases
    drawn = alike.total()
    shares = [count / drawn for count in alike.values()]
    for _ in range(resamples):
        counts = _picked(source, drawn) if drawn == len(alike) else list(multinomial(source, drawn, shares))
        yield [
            column[0] * drawn if same else sum(map(mul, column, counts))
            for column, same in zip(columns, fixed, strict=True)
        ]


def _picked(source: random.Random, count: int) -> list[int]:
    times = [0] * count
    for pick in source.choices(range(count), k=count):
        times[pick] += 1
    return times


def _acceleration(alike: Counter[Sums], difference: Callable[[Sequence[float]], float]) -> float:
    total, count = _total(alike), alike.total()
    without = [(difference(_minus(total, one)), times) for one, times in alike.items()]
    mean = math.fsum(value * times for value, times in without) / count
    squares = math.fsum((mean - value) ** 2 * times for value, times in without)
    cubes = math.fsum((mean - value) ** 3 * times for value, times in without)
    scale = 6 * squares**1.5
    return cubes / scale if scale > 0 else 0.0


def _total(alike: Counter[Sums]) -> Sums:
    return tuple(math.fsum(map(mul, column, alike.values())) for column in zip(*alike, strict=True))


def _minus(total: Sums, one: Sums) -> Sums:
    return tuple(all_ - part for all_, part in zip(total, one, strict=True))

"""Test a mean difference by turning round which side is which, cluster by cluster.

If the two sides don't differ, each cluster's difference could as well have had the other sign. R. A. Fisher, "The
Design of Experiments" (1935), section 21; for intervals, J. A. Hartigan, "Using subsample values as typical values",
JASA 64 (1969): the true difference lies with equal chance in each of the gaps between the means of subsets of clusters.
"""

import itertools
import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mltrail_server.domain.evidence import ALPHA

_EXACT = 12
"""All subsets are enumerated for so many clusters at most."""
_FLIPS = 2**_EXACT
_MOST_GROUPS = 1024
"""More clusters than this are turned round in groups of several, which is as valid and bounds the time."""
_SEED = 20
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class FlipEvidence:
    """A `CaseEvidence`. `means` are the mean differences of subsets of clusters, in order: of all but the empty one, or
    of randomly chosen ones.
    """

    difference: float
    means: Sequence[float]

    def below(self, limit: float) -> float:
        return (1 + len(self.means) - bisect_left(self.means, limit - self._slack)) / (1 + len(self.means))

    def above(self, limit: float) -> float:
        return (1 + bisect_right(self.means, limit + self._slack)) / (1 + len(self.means))

    @property
    def low(self) -> float:
        place = self._place
        return self.means[place] if place >= 0 else -math.inf

    @property
    def high(self) -> float:
        place = self._place
        return self.means[-1 - place] if place >= 0 else math.inf

    @property
    def _place(self) -> int:
        return math.floor(ALPHA * (1 + len(self.means)) + _SAME) - 1

    @property
    def _slack(self) -> float:  # sums of the same scores in another order are ties
        return _SAME * max(abs(self.means[0]), abs(self.means[-1]))


def flip(clusters: Sequence[tuple[float, float]]) -> FlipEvidence:
    """Test the mean difference of clusters, each given as the sum of its differences and its number of cases.

    The order of the clusters chooses the random flips: sort them by name to get the same answer for the same cases.
    """
    total, cases = (math.fsum(column) for column in zip(*clusters, strict=True))
    groups = _grouped(clusters)
    chosen = _subsets(groups) if len(groups) <= _EXACT else _some_subsets(groups)
    return FlipEvidence(total / cases, sorted(chosen))


def _grouped(clusters: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(clusters) <= _MOST_GROUPS:
        return list(clusters)
    mixed = list(clusters)
    random.Random(_SEED).shuffle(mixed)  # noqa: S311  no secret
    parts = (mixed[first::_MOST_GROUPS] for first in range(_MOST_GROUPS))
    return [(math.fsum(one for one, _ in part), math.fsum(size for _, size in part)) for part in parts]


def _subsets(groups: Sequence[tuple[float, float]]) -> Iterator[float]:
    sums = _all_sums(groups)
    return (total / cases for total, cases in itertools.islice(sums, 1, None))


def _some_subsets(groups: Sequence[tuple[float, float]]) -> Iterator[float]:
    """The sums of eight groups at a time are looked up by a byte of random bits."""
    tables = [_all_sums(groups[first : first + 8]) for first in range(0, len(groups), 8)]
    source = random.Random(_SEED)  # noqa: S311  no secret
    for _ in range(_FLIPS - 1):
        cases = 0.0
        while not cases:  # the empty subset has no mean
            found = [
                table[byte % len(table)] for table, byte in zip(tables, source.randbytes(len(tables)), strict=True)
            ]
            cases = sum(size for _, size in found)
        yield sum(total for total, _ in found) / cases


def _all_sums(groups: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The sums of every subset, the empty one first."""
    sums = [(0.0, 0.0)]
    for total, cases in groups:
        sums += [(total + other, cases + size) for other, size in sums]
    return sums

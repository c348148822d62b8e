"""What parameters explain together: the sum of their effects, interactions, and those that were changed together."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from mltrail_server.domain.statistics import incomplete_beta

from .chance import LEAST_FREEDOM, NEARLY, holm, squares
from .coding import Coded
from .results import ALPHA, Pair

_MOST_PAIRED = 8
_MOST_GROUPS_OF_PAIR = 4
_RUNS_A_CELL = 8
_LEAST_INTERACTION = 0.02
"""Ranks bend a sum of effects a little, which looks like an interaction of this size at most."""
_ENTANGLED = 0.5
_BACKFITS = 20


class Additive:
    """The sum of main effects, fitted to ranks by backfitting."""

    def __init__(self, parameters: Sequence[Coded], standing: Sequence[float]) -> None:
        self.parameters = parameters
        self.n = len(standing)
        self.freedom = sum(len(one.labels) - 1 for one in parameters)
        self.total = squares(standing)
        mean = math.fsum(standing) / self.n
        self.rest = [value - mean for value in standing]
        before = self.total
        for _ in range(_BACKFITS if parameters else 0):
            for one in parameters:
                self._subtract(one)
            left = math.fsum(value * value for value in self.rest)
            if before - left < 1e-4 * self.total:
                break
            before = left
        self.left = math.fsum(value * value for value in self.rest)

    def _subtract(self, one: Coded) -> None:
        sums, counts = [0.0] * len(one.labels), [0] * len(one.labels)
        for group, value in zip(one.groups, self.rest, strict=True):
            sums[group] += value
            counts[group] += 1
        means = [total / count if count else 0.0 for total, count in zip(sums, counts, strict=True)]
        self.rest = [value - means[group] for group, value in zip(one.groups, self.rest, strict=True)]

    def share(self) -> float | None:
        """Return the share that the sum explains, corrected for chance; None if there are too few runs to know."""
        free = self.n - 1 - self.freedom
        if not self.parameters or free < LEAST_FREEDOM:
            return None
        return max(0.0, 1 - self.left / self.total * (self.n - 1) / free)

    def interactions(self) -> tuple[tuple[Pair, ...], int]:
        """Return the pairs that explain more than their sum, and how many pairs were tested."""
        most = min(_MOST_GROUPS_OF_PAIR, math.isqrt(self.n // _RUNS_A_CELL))
        if most < 2 or len(self.parameters) < 2:
            return (), 0
        coarse = [(one.name, _coarse(one, most)) for one in self.parameters[:_MOST_PAIRED]]
        tested: list[tuple[Pair, float]] = []
        for place, (first, rows) in enumerate(coarse):
            for second, columns in coarse[:place]:
                pair = self._pair(first, second, rows, columns)
                tested += [pair] if pair else []
        chances = holm({place: chance for place, (_, chance) in enumerate(tested)})
        found = [
            pair
            for place, (pair, _) in enumerate(tested)
            if chances[place] < ALPHA and pair.share >= _LEAST_INTERACTION
        ]
        return tuple(sorted(found, key=lambda pair: -pair.share)), len(tested)

    def _pair(self, first: str, second: str, rows: list[int], columns: list[int]) -> tuple[Pair, float] | None:
        wide = max(columns) + 1
        size = (max(rows) + 1) * wide
        sums, counts = [0.0] * size, [0] * size
        for row, column, value in zip(rows, columns, self.rest, strict=True):
            sums[row * wide + column] += value
            counts[row * wide + column] += 1
        means = {divmod(cell, wide): sums[cell] / count for cell, count in enumerate(counts) if count}
        weights = {divmod(cell, wide): count for cell, count in enumerate(counts) if count}
        freedom = len(means) - len({row for row, _ in means}) - len({column for _, column in means}) + 1
        free = self.n - 1 - self.freedom - freedom
        if freedom < 1 or free < LEAST_FREEDOM:
            return None
        for _ in range(_BACKFITS):
            if _centre(means, weights, 0) + _centre(means, weights, 1) < NEARLY * self.n:
                break
        explained = math.fsum(weights[cell] * mean * mean for cell, mean in means.items())
        left = max(self.left - explained, NEARLY * self.total)
        share = max(0.0, (explained - freedom * left / free) / self.total)
        chance = incomplete_beta(free / 2, freedom / 2, left / (left + explained)) if explained > 0 else 1.0
        return Pair(second, first, share), chance


def _centre(means: dict[tuple[int, int], float], counts: Mapping[tuple[int, int], int], side: int) -> float:
    """Subtract the means of the rows (0) or columns (1), and return how far that moved anything."""
    sums: dict[int, float] = {}
    numbers: dict[int, int] = {}
    for cell, mean in means.items():
        sums[cell[side]] = sums.get(cell[side], 0.0) + mean * counts[cell]
        numbers[cell[side]] = numbers.get(cell[side], 0) + counts[cell]
    for cell in means:
        means[cell] -= sums[cell[side]] / numbers[cell[side]]
    return max((abs(sums[key]) / numbers[key] for key in sums), default=0.0)


def _coarse(one: Coded, most: int) -> list[int]:
    """Put the values into few groups, so that each pair of them has runs: neighbouring numbers, usual words."""
    if len(one.labels) <= most:
        return one.groups
    if one.ranks is not None:
        return [most if place is None else min(most - 1, int(place * most)) for place in one.places]
    usual = [group for group, _ in Counter(one.groups).most_common(most - 1)]
    at = {group: place for place, group in enumerate(usual)}
    return [at.get(group, most - 1) for group in one.groups]


def entangled(parameters: Sequence[Coded]) -> tuple[Pair, ...]:
    """Find pairs that were changed together, by Cramér's V with Bergsma's correction for chance (2013)."""
    found = []
    for place, second in enumerate(parameters[:_MOST_PAIRED]):
        for first in parameters[:place]:
            strength = _cramer(first.groups, second.groups)
            if strength >= _ENTANGLED:
                found.append(Pair(first.name, second.name, strength))
    return tuple(sorted(found, key=lambda pair: -pair.share))


def _cramer(first: Sequence[int], second: Sequence[int]) -> float:
    n = len(first)
    rows, columns = Counter(first), Counter(second)
    cells = Counter(zip(first, second, strict=True))
    phi = math.fsum(count * count / (rows[row] * columns[column]) for (row, column), count in cells.items()) - 1
    r, c = len(rows), len(columns)
    corrected = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return min(1.0, math.sqrt(corrected / smaller)) if smaller > 0 else 0.0

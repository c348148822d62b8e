"""Variance, and what chance alone would show."""

import math
from collections.abc import Mapping, Sequence

LEAST_FREEDOM = 5
NEARLY = 1e-9


def squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def holm(chances: Mapping[int, float]) -> dict[int, float]:
    """Adjust probabilities so that at 5 %, at most one family in twenty has a false alarm (Holm 1979)."""
    found, highest = {}, 0.0
    for done, (place, chance) in enumerate(sorted(chances.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, chance * (len(chances) - done)))
        found[place] = highest
    return found

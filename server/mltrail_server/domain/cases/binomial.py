"""Random numbers of successes: the standard library has them from Python 3.12 on only."""

import math
import random
from collections.abc import Iterable, Iterator

_FEW = 10


def multinomial(source: random.Random, trials: int, shares: Iterable[float]) -> Iterator[int]:
    """Yield how many of `trials` fall into each of several boxes, whose shares add up to 1."""
    left, rest = trials, 1.0
    for share in shares:
        found = binomial(source, left, min(1.0, share / rest)) if left and rest > 0 else 0
        left, rest = left - found, rest - share
        yield found


def binomial(source: random.Random, trials: int, chance: float) -> int:
    """Draw the number of successes in `trials` trials.

    If few are expected, by the waiting times between them; else by W. Hörmann, "The generation of binomial random
    variates", Journal of Statistical Computation and Simulation 46 (1993), algorithm BTRS.
    """
    if chance > 0.5:
        return trials - binomial(source, trials, 1 - chance)
    if chance <= 0:
        return 0
    return _waiting(source, trials, chance) if trials * chance < _FEW else _rejecting(source, trials, chance)


def _waiting(source: random.Random, trials: int, chance: float) -> int:
    scale = math.log1p(-chance)
    found = at = 0
    while True:
        at += math.floor(math.log(1 - source.random()) / scale) + 1
        if at > trials:
            return found
        found += 1


def _rejecting(source: random.Random, trials: int, chance: float) -> int:
    """Hörmann's names: a hat over the distribution's shape, whose corners are cut off by comparing with it."""
    spread = math.sqrt(trials * chance * (1 - chance))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * chance
    centre = trials * chance + 0.5
    surely = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    odds = math.log(chance / (1 - chance))
    mode = math.floor((trials + 1) * chance)
    peak = math.lgamma(mode + 1) + math.lgamma(trials - mode + 1)
    while True:
        u, v = source.random() - 0.5, 1 - source.random()
        edge = 0.5 - abs(u)
        if not edge:
            continue
        found = math.floor((2 * a / edge + b) * u + centre)
        if edge >= 0.07 and v <= surely:
            return found
        if not 0 <= found <= trials:
            continue
        height = peak - math.lgamma(found + 1) - math.lgamma(trials - found + 1) + (found - mode) * odds
        if math.log(v * alpha / (a / edge**2 + b)) <= height:
            return found

"""Single runs: is the new pipeline further out than every pipeline of the target branch?

Nothing is assumed of the metrics' shape. If the merge request changes nothing, its pipeline is one more of the
branch's, and its worst residual over all metrics is the worst of all in one of n + 1 cases (V. Vovk, A. Gammerman and
G. Shafer, "Algorithmic Learning in a Random World", 2005). Metrics are tested step by step, as P. H. Westfall and
S. S. Young do ("Resampling-Based Multiple Testing", 1993).
"""

import itertools
import math
import operator
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

_POWER = 0.8
FEWEST = 5
"""With fewer pipelines, nothing can be told."""


class Ranked(NamedTuple):
    """How often `chance` alone makes a metric's first value stand out so far, corrected for being several, and below
    which value, the `bar`, this would be rare enough. Of pipelines whose values vary around `seen` as the earlier ones
    do around their median, four of five would be called.
    """

    chance: float
    bar: float
    seen: float


def step_down(metrics: Sequence[Sequence[float]], alphas: Sequence[float]) -> list[Ranked]:
    """Test for each metric whether its first value stands out to the low side, at its own alpha. Each metric has the
    new pipeline's value first, then those of the same earlier pipelines.
    """
    residuals = [_residuals(values) for values in metrics]
    order = sorted(range(len(residuals)), key=lambda number: -residuals[number].values[0])
    # The worst residual that each earlier pipeline has in any metric from this place on.
    worst = list(itertools.accumulate((residuals[number].values[1:] for number in reversed(order)), _larger))
    found = [Ranked(1.0, -math.inf, -math.inf)] * len(residuals)
    highest = 0.0
    earlier: list[float] = []
    stopped = False
    for number, now in zip(order, reversed(worst), strict=True):
        own = residuals[number]
        highest = max(highest, _chance(own.values[0], now))
        earlier = earlier if stopped else now  # once a metric is not called, those behind it have to beat the same
        bar = own.middle - own.scale * _reach(alphas[number], earlier)
        found[number] = Ranked(highest, bar, _seen(metrics[number], alphas[number], earlier))
        stopped = stopped or highest > alphas[number]
    return found


def _larger(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [max(pair) for pair in zip(first, second, strict=True)]


def best_of(values: Sequence[float], alpha: float, times: float, lucky: float) -> Ranked:
    """Test the same for one metric whose first value is the highest of `times` as many as each earlier one is. Four of
    five such values are at most `lucky` above the level of those that they were chosen from.

    How many of the earlier ones are above the new one has a known distribution, whatever the shape.
    """
    alone = step_down([values], [alpha])[0]
    if times <= 1:
        return alone
    earlier = sorted(values[1:], reverse=True)
    n = len(earlier)
    chances = list(itertools.accumulate(((n - one) / (n - one + times) for one in range(n)), operator.mul))
    above = sum(one > values[0] for one in earlier)
    bar = next((value for value, chance in zip(earlier, chances, strict=True) if chance <= alpha), -math.inf)
    chance = min(alone.chance, chances[above - 1] if above else 1.0)
    return Ranked(chance, max(alone.bar, bar), max(_bar_of_far(values, alpha, [-math.inf] * n), bar) - lucky)


def _seen(values: Sequence[float], alpha: float, worst: Sequence[float]) -> float:
    """Say around which value four of five pipelines would be called. `worst` are the worst residuals of the earlier
    ones in any metric.
    """
    earlier = sorted(values[1:])
    lucky = earlier[math.ceil(_POWER * len(earlier)) - 1] - median(earlier)
    return _bar_of_far(values, alpha, worst) - lucky


def _bar_of_far(values: Sequence[float], alpha: float, worst: Sequence[float]) -> float:
    """Return the bar for a first value that is far out: it makes the others' residuals smaller, but their scale larger.
    `worst` are the worst residuals of the earlier ones in any metric.
    """
    low, high = min(values[1:]), max(values[1:])
    far = _residuals([2 * low - high, *values[1:]])
    return far.middle - far.scale * _reach(alpha, _larger(worst, far.values[1:]))


class _Residuals(NamedTuple):
    values: list[float]
    middle: float
    scale: float


def _residuals(values: Sequence[float]) -> _Residuals:
    """Measure how far each value is below the median, in median absolute deviations: no value counts more than another,
    so that the new one is treated as all others are.
    """
    middle = median(values)
    off = [abs(value - middle) for value in values]
    scale = median(off) or math.fsum(off) / len(off)
    return _Residuals([(middle - value) / scale if scale else 0.0 for value in values], middle, scale)


def _power(n: int) -> float:
    """The tail beyond all of `n` pipelines falls with this power of the distance."""
    return 0.4 + 0.09 * n


def _reach(alpha: float, earlier: Sequence[float]) -> float:
    """Return beyond which residual the chance is at most `alpha`."""
    n = len(earlier)
    may_be_further = math.floor(alpha * (n + 1) * (1 + 1e-9)) - 1
    if may_be_further >= 0:
        return sorted(earlier, reverse=True)[min(may_be_further, n - 1)]
    return max(1.0, *earlier) * math.pow(alpha * (n + 1), -1 / _power(n))


def _chance(new: float, earlier: Sequence[float]) -> float:
    """Return the share of pipelines that are at least as far out. Beyond all of them, the tail is taken to fall with a
    power of the distance that grows with the number of pipelines: chosen so that with 5 to 18 of them at most 5.3 % of
    20,000 simulated pipelines pass 5 % by chance, with 1, 3 and 10 metrics that are normal, t with three degrees of
    freedom, exponential, or diverge by 5 or 10 spreads in 5 %.
    """
    n = len(earlier)
    as_far = sum(one >= new for one in earlier)
    if as_far:
        return (1 + as_far) / (n + 1)
    furthest = max(1.0, *earlier)
    if new <= furthest:
        return 1 / (n + 1)
    return math.pow(furthest / new, _power(n)) / (n + 1)

"""Single runs: is the new pipeline further out than every pipeline of the target branch?

Nothing is assumed of the metrics' shape. If the merge request changes nothing, its pipeline is one more of the
branch's, and its worst residual over all metrics is the worst of all in one of n + 1 cases (V. Vovk, A. Gammerman and
G. Shafer, "Algorithmic Learning in a Random World", 2005). Metrics are tested step by step, as P. H. Westfall and
S. S. Young do ("Resampling-Based Multiple Testing", 1993).
"""

import math
from collections.abc import Sequence
from statistics import median

FEWEST = 5
"""With fewer pipelines, nothing can be told."""


def step_down(metrics: Sequence[Sequence[float]]) -> list[float]:
    """Return for each metric how often chance alone makes its first value stand out so far to the low side, corrected
    for being several. Each metric has the new pipeline's value first, then those of the same earlier pipelines.
    """
    residuals = [_residuals(values) for values in metrics]
    order = sorted(range(len(residuals)), key=lambda number: -residuals[number][0])
    chances = [1.0] * len(residuals)
    highest = 0.0
    for place, number in enumerate(order):
        left = [residuals[other] for other in order[place:]]
        earlier = [max(each[at] for each in left) for at in range(1, len(left[0]))]
        highest = max(highest, _chance(residuals[number][0], earlier))
        chances[number] = highest
    return chances


def _residuals(values: Sequence[float]) -> list[float]:
    """Measure how far each value is below the median, in median absolute deviations: no value counts more than another,
    so that the new one is treated as all others are.
    """
    middle = median(values)
    off = [abs(value - middle) for value in values]
    scale = median(off) or math.fsum(off) / len(off)
    return [(middle - value) / scale if scale else 0.0 for value in values]


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
    return math.pow(furthest / new, 0.4 + 0.09 * n) / (n + 1)

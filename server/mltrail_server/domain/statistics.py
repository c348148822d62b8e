"""Means, spreads and the distributions that tests need.

The t distribution is our own, since SciPy is too large a dependency for a server. It rests on the regularised
incomplete beta function by its continued fraction (https://dlmf.nist.gov/8.17#v, 8.17.22), evaluated by the modified
Lentz algorithm (https://dlmf.nist.gov/3.10#iii).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

_TINY = 1e-300
_PRECISION = 1e-15
_MOST_TERMS = 10_000
_MOST_STEPS = 100
_LARGEST_T = 1e12
_NEARLY = 1e-8
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Summary:
    """`sd` is the standard deviation of a sample (divided by n - 1): None for a single run."""

    mean: float
    sd: float | None
    n: int


class MeanError(NamedTuple):
    """The standard error of a mean, or of a difference between two, and its degrees of freedom."""

    error: float
    freedom: float


def summarise(values: Sequence[float]) -> Summary:
    """Summarise at least one finite value. Equal values have no spread, whatever rounding makes of their mean."""
    n = len(values)
    if min(values) == max(values):
        return Summary(values[0], 0.0 if n > 1 else None, n)
    mean = math.fsum(values) / n
    sd = math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (n - 1)) if n > 1 else None
    return Summary(mean, sd, n)


def welch(first: MeanError, second: MeanError) -> MeanError:
    """Return the standard error of the difference between two means, without assuming equal spreads.

    B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947).
    """
    error = math.hypot(first.error, second.error)
    if error == 0:
        return MeanError(0.0, 1.0)
    # Shares keep very small and very large variances from under- and overflowing.
    share_a, share_b = (first.error / error) ** 2, (second.error / error) ** 2
    return MeanError(error, 1 / (share_a**2 / first.freedom + share_b**2 / second.freedom))


def satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """Return the degrees of freedom of a sum of variances, from each one's own (variance, freedom).

    F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2
    (1946).
    """
    total = math.fsum(variance for variance, _ in parts)
    return 1 / math.fsum((variance / total) ** 2 / freedom for variance, freedom in parts)


def t_two_sided(t: float, freedom: float) -> float:
    """Return the probability of a value at least as far from 0 as `t`; infinite freedom is the normal distribution."""
    if math.isinf(freedom):
        return math.erfc(abs(t) / math.sqrt(2))
    if abs(t) < 1:  # its square would be lost next to a large freedom
        return 1 - incomplete_beta(0.5, freedom / 2, t * t / (freedom + t * t))
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def t_below(t: float, freedom: float) -> float:
    """Return the probability of a value below `t`."""
    half = t_two_sided(t, freedom) / 2
    return half if t < 0 else 1 - half


def normal_below(z: float) -> float:
    """Return the probability of a standard normal value below `z`."""
    return math.erfc(-z / math.sqrt(2)) / 2


def normal_quantile(probability: float) -> float:
    """Return the z below which a share of `probability` lies; very small and very large shares are cut off."""
    return _NORMAL.inv_cdf(min(max(probability, _TINY), 1 - 1e-16))


@lru_cache(maxsize=4096)
def t_quantile(probability: float, freedom: float) -> float:
    """Return the t below which a share of `probability` (at least 0.5) lies.

    By Newton's method, with logarithms of both t and the tail: there the tail is concave, so that all steps lead down
    to the quantile from the right. It takes a fifth of the evaluations of bisection.
    """
    wanted = 2 * (1 - probability)
    t = 1.0
    while (tail := t_two_sided(t, freedom)) > wanted and t < _LARGEST_T:
        t *= 2
    if wanted >= 1:
        return 0.0
    for _ in range(_MOST_STEPS if tail <= wanted and wanted else 0):
        step = tail * math.log(tail / wanted) / (2 * t * _t_density(t, freedom))
        t *= math.exp(step)
        if abs(step) < _NEARLY:  # the next would be smaller than a float can show
            break
        tail = t_two_sided(t, freedom)
    return t


def _t_density(t: float, freedom: float) -> float:
    if math.isinf(freedom):
        return math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    log_height = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    return math.exp(log_height - (freedom + 1) / 2 * math.log1p(t * t / freedom))


def f_two_sided(ratio: float, above: float, below: float) -> float:
    """Return the probability of a ratio of two variances at least as far from 1 as this one (above / below)."""
    share = f_below(ratio, above, below)
    return 2 * min(share, 1 - share)


def f_below(ratio: float, above: float, below: float) -> float:
    """Return the probability of a ratio of two variances (above / below) that is lower than this one.

    https://dlmf.nist.gov/8.17 gives the F distribution as I_x(a, b) with x = above·ratio / (above·ratio + below).
    """
    return incomplete_beta(above / 2, below / 2, above * ratio / (above * ratio + below))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for 0 <= x <= 1."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast only on the other side
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, _inverse(1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = _inverse(1 + term * d)
            c = 1 + term / c
            if abs(c) < _TINY:
                c = _TINY
            total *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return total


def _inverse(value: float) -> float:
    return 1 / (value if abs(value) >= _TINY else _TINY)

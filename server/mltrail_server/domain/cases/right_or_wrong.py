"""Right or wrong, case by case: how many a model broke and fixed, and whether that is more than chance."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from mltrail_server.domain import statistics
from mltrail_server.domain.evidence import ALPHA

from .comparison import CaseEvidence

_Z = NormalDist().inv_cdf(1 - ALPHA)


def mcnemar(broke: int, fixed: int) -> float:
    """Return how often chance alone breaks at least this many of the cases that changed, if half are broken on average.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947); here exact and one-sided. https://dlmf.nist.gov/8.17#i gives the binomial tail as an
    incomplete beta function.
    """
    return statistics.incomplete_beta(broke, fixed + 1, 0.5) if broke else 1.0


def tango_score(fixed: float, broke: float, cases: float, difference: float) -> float:
    """Return how many standard errors the share of fixed cases minus that of broken ones lies above `difference`.

    The standard error is the one at which this difference is the true one, so it is known even if no case changed.
    T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    Statistics in Medicine 17 (1998).
    """
    b = (2 * cases - fixed + broke) * difference - fixed - broke
    c = -broke * difference * (1 - difference)
    share_broken = (math.sqrt(max(0.0, b * b - 8 * cases * c)) - b) / (4 * cases)  # the most likely one
    variance = cases * (2 * share_broken + difference * (1 - difference))
    distance = fixed - broke - cases * difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def tango_interval(fixed: float, broke: float, cases: float, z: float = _Z) -> tuple[float, float]:
    """Return the lowest and the highest difference that are at most `z` standard errors away."""
    estimate = (fixed - broke) / cases
    return (
        _turn(lambda at: tango_score(fixed, broke, cases, at) > z, -1.0, estimate),
        _turn(lambda at: tango_score(fixed, broke, cases, at) >= -z, estimate, 1.0),
    )


def _turn(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition that holds below a point stops to hold."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high


@dataclass(frozen=True, slots=True)
class TangoEvidence:
    """A `CaseEvidence` of the change in accuracy, from independent cases of which `fixed` and `broke` changed."""

    fixed: float
    broke: float
    cases: float

    @property
    def difference(self) -> float:
        return (self.fixed - self.broke) / self.cases

    def below(self, limit: float) -> float:
        return NormalDist().cdf(tango_score(self.fixed, self.broke, self.cases, limit))

    def above(self, limit: float) -> float:
        return NormalDist().cdf(-tango_score(self.fixed, self.broke, self.cases, limit))

    @property
    def low(self) -> float:
        return tango_interval(self.fixed, self.broke, self.cases)[0]

    @property
    def high(self) -> float:
        return tango_interval(self.fixed, self.broke, self.cases)[1]


@dataclass(frozen=True, slots=True)
class McNemarEvidence:
    """What the exact test knows: how often chance breaks, or fixes, so many. Of limits on the other side of 0 it says
    nothing, so that there `Strictest` follows another test.
    """

    fixed: int
    broke: int
    cases: int

    @property
    def difference(self) -> float:
        return (self.fixed - self.broke) / self.cases

    def below(self, limit: float) -> float:
        return mcnemar(self.broke, self.fixed) if limit <= 0 else 0.0

    def above(self, limit: float) -> float:
        return mcnemar(self.fixed, self.broke) if limit >= 0 else 0.0

    @property
    def low(self) -> float:
        return 0.0 if self.above(0.0) > ALPHA else math.inf

    @property
    def high(self) -> float:
        return 0.0 if self.below(0.0) > ALPHA else -math.inf


@dataclass(frozen=True, slots=True)
class Strictest:
    """A `CaseEvidence` that claims only what each of several tests would claim."""

    tests: tuple[CaseEvidence, ...]

    @property
    def difference(self) -> float:
        return self.tests[0].difference

    def below(self, limit: float) -> float:
        return max(test.below(limit) for test in self.tests)

    def above(self, limit: float) -> float:
        return max(test.above(limit) for test in self.tests)

    @property
    def low(self) -> float:
        return min(test.low for test in self.tests)

    @property
    def high(self) -> float:
        return max(test.high for test in self.tests)

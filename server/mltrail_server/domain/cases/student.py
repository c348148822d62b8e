"""A difference whose standard error is known: its tails are those of Student's t."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain import statistics
from mltrail_server.domain.evidence import ALPHA


@dataclass(frozen=True, slots=True)
class StudentEvidence:
    """A `comparison.CaseEvidence` with a positive standard `error` and its degrees of freedom."""

    difference: float
    error: float
    freedom: float

    def below(self, limit: float) -> float:
        return self._tail(limit - self.difference)

    def above(self, limit: float) -> float:
        return self._tail(self.difference - limit)

    @property
    def low(self) -> float:
        return self.difference - self._reach

    @property
    def high(self) -> float:
        return self.difference + self._reach

    @property
    def _reach(self) -> float:
        return statistics.t_quantile(1 - ALPHA, self.freedom) * self.error

    def _tail(self, distance: float) -> float:
        half = statistics.t_two_sided(distance / self.error, self.freedom) / 2
        return half if distance >= 0 else 1 - half


def satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """Return the degrees of freedom of a sum of variances, from each one's own (variance, freedom).

    F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2
    (1946).
    """
    total = math.fsum(variance for variance, _ in parts)
    return 1 / math.fsum((variance / total) ** 2 / freedom for variance, freedom in parts)

"""A difference whose standard error is known: its tails are those of Student's t."""

from dataclasses import dataclass

from mltrail_server.domain.evidence import ALPHA
from mltrail_server.domain.statistics import t_below, t_quantile


@dataclass(frozen=True, slots=True)
class StudentEvidence:
    """A `comparison.CaseEvidence` with a positive standard `error` and its degrees of freedom."""

    difference: float
    error: float
    freedom: float

    def below(self, limit: float) -> float:
        return t_below((self.difference - limit) / self.error, self.freedom)

    def above(self, limit: float) -> float:
        return t_below((limit - self.difference) / self.error, self.freedom)

    @property
    def low(self) -> float:
        return self.difference - self._reach

    @property
    def high(self) -> float:
        return self.difference + self._reach

    @property
    def _reach(self) -> float:
        return t_quantile(1 - ALPHA, self.freedom) * self.error

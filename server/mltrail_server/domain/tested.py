"""What a test says of one metric: its verdict, the reason, and what would tell where nothing can be told."""

import math
from dataclasses import dataclass

from . import statistics
from .comparison import amount_text, bound_text, difference_text
from .direction import Better, MetricDirection
from .evidence import ALPHA, Evidence
from .hypotheses import Decision
from .numbers import number
from .statistics import Summary
from .verdict import Verdict

FEWEST_RUNS = 5
"""With this many runs on each side, a drop of less than two spreads is seen in four of five cases."""

_POWER = 0.8
_SPREADS = 3.0
"""A test that sees a drop of this many spreads in four of five cases may say "no clear change"."""


@dataclass(frozen=True, slots=True)
class Found:
    """`sentence` says what was found and `advice` what would tell more; neither contains anything that a user wrote."""

    verdict: Verdict
    sentence: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Tested:
    """One metric on both sides, and what the test of the difference has shown.

    `allowed` is the loss that a rule tolerates, in the metric's unit; None without a rule. `among` is how many
    candidates this side's was chosen from. `trained_on` is set for a metric of the training data.
    """

    name: str
    direction: MetricDirection
    before: Summary
    now: Summary
    evidence: Evidence | None
    decision: Decision | None
    allowed: float | None = None
    among: int = 1
    trained_on: bool = False

    def found(self) -> Found:
        weighed = self.evidence
        if weighed is None:
            return self._without_spread()
        if self.direction.better is Better.UNKNOWN or self.decision is None:
            return Found(Verdict.CANT_TELL, f"{self.difference}; is higher or lower better?")
        if weighed.hidden is not None:
            spread = number(weighed.hidden, decimals=1)
            reason = f"these runs spread {spread} times as much as the branch's, which may hide a drop"
            return Found(Verdict.CANT_TELL, f"{self.difference}; {reason}")
        return self._decided(weighed, self.decision)

    @property
    def difference(self) -> str:
        return difference_text(self.name, self.direction, self.before.mean, self.now.mean)

    def _without_spread(self) -> Found:
        if math.isclose(self.now.mean, self.before.mean, rel_tol=1e-12, abs_tol=1e-15):
            return Found(Verdict.NO_CLEAR_CHANGE, "the same value")
        if any(side.n > 1 and side.sd == 0 for side in (self.now, self.before)):
            return Found(Verdict.CANT_TELL, f"{self.difference}; all runs on a side gave the same number", _FIXED)
        runs = "one run on each side shows" if self.now.n == 1 and self.before.n == 1 else "so few runs show"
        advice = f"train with {FEWEST_RUNS} seeds to tell"
        return Found(Verdict.CANT_TELL, f"{self.difference}; {runs} nothing about chance", advice)

    def _decided(self, weighed: Evidence, decision: Decision) -> Found:
        if decision.worse:
            return Found(Verdict.WORSE, f"{self.difference}, {self._beyond()}")
        if decision.better:
            return self._of_a_gain(decision)
        if self.allowed is not None and self._bad_end(weighed) <= self.allowed:
            end = weighed.high if self._lower else weighed.low
            bound = bound_text(self.name, end, self.before.mean, self.now.mean)
            return Found(Verdict.WITHIN_LIMIT, f"{self.difference}, at worst {bound}")
        seen = weighed.detectable()
        if seen > _SPREADS * weighed.sd:
            return Found(Verdict.CANT_TELL, f"{self.difference}; too few runs to tell", self._needed(weighed))
        advice = f"a {self._drop} of {self._amount(seen)} would be seen in four of five cases"
        return Found(Verdict.NO_CLEAR_CHANGE, f"{self.difference}, no more than chance makes", advice)

    def _of_a_gain(self, decision: Decision) -> Found:
        if self.trained_on:
            return Found(
                Verdict.NO_CLEAR_CHANGE, f"{self.difference}, on the training data, which is no gain by itself"
            )
        if lucky(decision.p_better, self.among):
            return Found(
                Verdict.NO_CLEAR_CHANGE, f"{self.difference}, no more than luck gives the best of {self.among}"
            )
        return Found(Verdict.BETTER, f"{self.difference}, more than chance makes")

    def _beyond(self) -> str:
        if not self.allowed:
            return "more than chance makes"
        return f"clearly more than the {self._amount(self.allowed)} allowed"

    def _bad_end(self, weighed: Evidence) -> float:
        """Return the largest loss that the interval holds."""
        return weighed.high if self._lower else -weighed.low

    def _needed(self, weighed: Evidence) -> str:
        n = FEWEST_RUNS
        seen = (
            (statistics.t_quantile(1 - ALPHA, 2 * n - 2) + statistics.t_quantile(_POWER, 2 * n - 2))
            * weighed.sd
            * math.sqrt(2 / n)
        )
        return f"{n} runs on each side would show a {self._drop} of {self._amount(seen)} in four of five cases"

    @property
    def _lower(self) -> bool:
        return self.direction.better is Better.LOWER

    @property
    def _drop(self) -> str:
        return "rise" if self._lower else "drop"

    def _amount(self, amount: float) -> str:
        return amount_text(self.name, amount, self.before.mean, self.now.mean)


_FIXED = "their seed is fixed or training has no randomness, so nothing shows what chance does"


def lucky(chance: float, among: int) -> bool:
    """Whether a gain with this p-value is what the best of `among` equally good candidates has by luck (Šidák)."""
    return -math.expm1(among * math.log1p(-min(chance, 1 - 1e-16))) > ALPHA

"""How large a difference a test set can show."""

import math

from mltrail_server.domain.evidence import ALPHA
from mltrail_server.domain.statistics import normal_quantile, t_quantile

from .comparison import CaseComparison, CaseEvidence
from .crossed import Crossed

USUAL_DISCORDANCE = 0.05
"""The share of cases that one model gets right and the next one wrong, or the other way round."""

POWER = 0.8
_MOST_RUNS = 30


def error(found: CaseComparison, evidence: CaseEvidence | None = None) -> float:
    """Return the standard error of a difference, as its interval shows it; infinite where that has no bounds. Without
    `evidence` it is that of the two named models.

    Where cases are right or wrong, at least the usual share of them is supposed to change: two models that answer all
    alike don't show that any change would be seen.
    """
    evidence = evidence or found.evidence
    width = (evidence.high - evidence.low) / 2
    shown = width / normal_quantile(1 - ALPHA) if math.isfinite(width) else math.inf
    if found.counts is None:
        return shown
    return max(shown, math.sqrt(USUAL_DISCORDANCE / found.clusters))


def detectable(found: CaseComparison, alpha: float = ALPHA, evidence: CaseEvidence | None = None) -> float:
    """Return the smallest true difference that a one-sided test at `alpha` sees four times out of five."""
    return (normal_quantile(1 - alpha) + normal_quantile(POWER)) * error(found, evidence)


def runs_needed(found: CaseComparison, change: Crossed, alpha: float, difference: float) -> int | None:
    """Return how many runs a side would see a true difference four times out of five. None if more cases are needed, or
    more runs than anybody trains.
    """
    least = math.sqrt(USUAL_DISCORDANCE / found.clusters) if found.counts is not None else 0.0
    of_cases = change.error**2 - change.of_runs
    for runs in range(max(change.runs) + 1, _MOST_RUNS + 1):
        expected = max(least, math.sqrt(change.of_runs * max(change.runs) / runs + of_cases))
        if (t_quantile(1 - alpha, 2 * runs - 2) + normal_quantile(POWER)) * expected <= difference:
            return runs
    return None

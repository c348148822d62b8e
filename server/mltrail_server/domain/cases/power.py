"""How large a difference a test set can show."""

import math

from mltrail_server.domain.evidence import ALPHA
from mltrail_server.domain.statistics import normal_quantile

from .comparison import CaseComparison

USUAL_DISCORDANCE = 0.05
"""The share of cases that one model gets right and the next one wrong, or the other way round."""

POWER = 0.8


def error(found: CaseComparison) -> float:
    """Return the standard error of the difference, as its interval shows it; infinite where that has no bounds.

    Where cases are right or wrong, at least the usual share of them is supposed to change: two models that answer all
    alike don't show that any change would be seen.
    """
    width = (found.evidence.high - found.evidence.low) / 2
    shown = width / normal_quantile(1 - ALPHA) if math.isfinite(width) else math.inf
    if found.counts is None:
        return shown
    return max(shown, math.sqrt(USUAL_DISCORDANCE / found.clusters))


def detectable(found: CaseComparison, alpha: float = ALPHA) -> float:
    """Return the smallest true difference that a one-sided test at `alpha` sees four times out of five."""
    return (normal_quantile(1 - alpha) + normal_quantile(POWER)) * error(found)

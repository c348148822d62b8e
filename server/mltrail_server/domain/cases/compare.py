"""Compare two models, or two sets of runs, case by case."""

from collections.abc import Sequence

from .comparison import CaseComparison, CaseMetric
from .pairing import Paired
from .table import Case


def compare(pairs: Paired, metric: CaseMetric, *, positive: str | None = None) -> CaseComparison | None:
    """Compare two named models. None if the metric can't be computed from these cases.

    `positive` is the label of the positive class, for metrics that have one; `1` or `true` is found without.
    """
    raise NotImplementedError(pairs, metric, positive)


def about_the_change(
    before: Sequence[Sequence[Case]], now: Sequence[Sequence[Case]], metric: CaseMetric, *, positive: str | None = None
) -> CaseComparison | None:
    """Compare several runs a side on the same cases; the first of each is the named model.

    `about_the_change` of the answer stays None unless a side has at least two runs.
    """
    raise NotImplementedError(before, now, metric, positive)

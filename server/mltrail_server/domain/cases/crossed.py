"""Does a change make models worse? Several runs a side, which all answer the same cases.

N. A. Obuchowski and H. E. Rockette, "Hypothesis testing of diagnostic accuracy for multiple readers and multiple tests:
an ANOVA approach with dependent observations", Communications in Statistics 24 (1995); S. L. Hillis, "A marginal-mean
ANOVA approach for analyzing multireader multicase radiological imaging data", Statistics in Medicine 33 (2014), for
readers (here: runs) of which each uses one test (here: side) only.
"""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from mltrail_server.domain.statistics import satterthwaite

from .student import StudentEvidence


class RunOnCases(NamedTuple):
    """A run's metric, and how far each cluster of cases moves it: in the same order for all runs."""

    value: float
    influences: Sequence[float]


def cross(before: Sequence[RunOnCases], now: Sequence[RunOnCases]) -> StudentEvidence | None:
    """Test the difference of the sides' means. None if nothing shows how much runs differ by the chance of training.

    The variance is that from run to run, plus that of the sides' difference from case to case, less what both contain:
    the variance of single runs' answers to single cases.
    """
    freedom = len(before) + len(now) - 2
    if freedom < 1:
        return None
    share = 1 / len(before) + 1 / len(now)
    of_runs = math.fsum(_around([run.value for run in side]) for side in (before, now)) / freedom * share
    if of_runs <= 0:
        return None
    old, new = _means(before), _means(now)
    clusters = len(old)
    inflation = clusters / (clusters - 1) if clusters > 1 else 1.0
    of_cases = inflation * _around([one - other for one, other in zip(new, old, strict=True)])
    of_answers = inflation * share / freedom * (_rest(before, old) + _rest(now, new))
    more = max(0.0, of_cases - of_answers)
    error = math.sqrt(of_runs + more)
    difference = fmean(run.value for run in now) - fmean(run.value for run in before)
    return StudentEvidence(difference, error, satterthwaite([(of_runs, freedom), (more, max(1, clusters - 1))]))


def _means(side: Sequence[RunOnCases]) -> list[float]:
    return [fmean(column) for column in zip(*(run.influences for run in side), strict=True)]


def _rest(side: Sequence[RunOnCases], means: Sequence[float]) -> float:
    return math.fsum((one - mean) ** 2 for run in side for one, mean in zip(run.influences, means, strict=True))


def _around(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)

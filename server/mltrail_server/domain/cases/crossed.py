"""Does a change make models worse? Several runs a side, which all answer the same cases.

N. A. Obuchowski and H. E. Rockette, "Hypothesis testing of diagnostic accuracy for multiple readers and multiple tests:
an ANOVA approach with dependent observations", Communications in Statistics 24 (1995); S. L. Hillis, "A marginal-mean
ANOVA approach for analyzing multireader multicase radiological imaging data", Statistics in Medicine 33 (2014), for
readers (here: runs) of which each uses one test (here: side) only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from mltrail_server.domain.statistics import f_below, satterthwaite

from .student import StudentEvidence

_HIDES = 0.001
"""How seldom chance makes runs of the same recipe differ this much more than others do."""


class RunOnCases(NamedTuple):
    """A run's metric, and how far each cluster of cases moves it: in the same order for all runs."""

    value: float
    influences: Sequence[float]


@dataclass(frozen=True, slots=True)
class Crossed(StudentEvidence):
    """A `comparison.CaseEvidence` of what the change does to models. `before` and `now` are the means of the sides'
    runs, and `runs` how many there are, here first. `of_runs` is the part of the error's square that more runs would
    make smaller. `hides`: the runs here differ from each other so much more than the baseline's that they would hide
    any drop.
    """

    before: float
    now: float
    of_runs: float
    runs: tuple[int, int]
    hides: bool = False

    @property
    def several(self) -> bool:
        """Whether a verdict can rest on this: each side has several runs, and they differ about as much."""
        return min(self.runs) > 1 and not self.hides


def cross(before: Sequence[RunOnCases], now: Sequence[RunOnCases]) -> Crossed | None:
    """Test the difference of the sides' means. None if nothing shows how much runs differ by the chance of training.

    The variance is that from run to run, plus that of the sides' difference from case to case, less what both contain:
    the variance of single runs' answers to single cases. Runs of a side whose answers are all alike count once, since
    they may be copies, as with a fixed seed.
    """
    before, now = _different(before), _different(now)
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
    values = fmean(run.value for run in before), fmean(run.value for run in now)
    tail = satterthwaite([(of_runs, freedom), (more, max(1, clusters - 1))])
    spreads = [
        max(_around([run.value for run in side]), inflation * _rest(side, means))
        for side, means in ((before, old), (now, new))
    ]
    hides = _spread_more(spreads[1], len(now) - 1, spreads[0], len(before) - 1)
    return Crossed(values[1] - values[0], error, tail, *values, of_runs, (len(now), len(before)), hides)


def _spread_more(ours: float, freedom: int, theirs: float, their_freedom: int) -> bool:
    """Whether an F test says that one sum of squares is too large next to another one."""
    if min(freedom, their_freedom) < 1 or ours <= 0:
        return False
    return f_below(theirs / their_freedom / (ours / freedom), their_freedom, freedom) < _HIDES


def _different(side: Sequence[RunOnCases]) -> list[RunOnCases]:
    return list({(run.value, *run.influences): run for run in side}.values())


def _means(side: Sequence[RunOnCases]) -> list[float]:
    return [fmean(column) for column in zip(*(run.influences for run in side), strict=True)]


def _rest(side: Sequence[RunOnCases], means: Sequence[float]) -> float:
    return math.fsum((one - mean) ** 2 for run in side for one, mean in zip(run.influences, means, strict=True))


def _around(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)

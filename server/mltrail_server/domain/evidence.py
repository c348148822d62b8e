"""Is a difference real? Repeated runs and the target branch's history show how large differences are by chance.

The spread that counts is the one from run to run: between repeats with different seeds, and between the target branch's
pipelines where each has a single run. Samples within one run show nothing about it.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import statistics
from .statistics import Summary

ALPHA = 0.05
"""How often chance alone may look like a drop, and equally often like a gain."""

_CALLED = 0.044
"""A difference is called real below this p. The margin, about half a percent, is the price of choosing how far back the
branch's history counts; with it false alarms stay below `ALPHA` (`python -m benchmarks.gate`).
"""

_POWER = 0.8
_LEAP = 0.005
"""Two neighbouring pipelines of the target branch are a leap apart if chance separates them so far less often than
this.
"""
_STEP = 12.0
"""By how many squared spreads a step must fit the branch better than a straight line does."""
_FOR_A_LINE = 4
ENOUGH_FREEDOM = 4
"""With this many degrees of freedom a spread is known well enough to rely on."""

_FEW = 3
_MOST_RUNS = 1000


@dataclass(frozen=True, slots=True)
class Contest:
    """How many contenders the best was chosen from: `here` on this side, `there` in each pipeline of the target branch.

    Contenders are the candidates that are too close to the best to be told apart from it, and the best itself. `ranks`
    is whether this metric chose the best; another metric of the same runs was chosen with it to an unknown degree.
    """

    here: int = 1
    there: int = 1
    ranks: bool = True


ALONE = Contest()


@dataclass(frozen=True, slots=True)
class BranchLevel:
    """The target branch's level in a metric, from `runs` runs of its `pipelines` newest pipelines.

    `mean` is as precise as a mean of `weight` runs. `sd` is the spread from run to run, None if nothing shows it;
    `freedom` is its degrees of freedom.
    """

    mean: float
    weight: float
    runs: int
    pipelines: int
    sd: float | None
    freedom: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """A difference (current minus baseline), and how well it is known.

    `error` is its standard error, with `freedom` degrees of freedom; `sd` is the spread from run to run. `hidden` is
    set if the difference counts as chance only because this side's runs spread clearly more than the branch's: it is
    how many times as much. Runs that are made to spread would hide any drop.
    """

    difference: float
    error: float
    sd: float
    freedom: float
    hidden: float | None = None
    contest: Contest = ALONE

    def below(self, limit: float) -> float:
        """Return how often chance alone makes the difference this low, if the true difference is `limit`."""
        return self._tail(limit - self.difference)

    def above(self, limit: float) -> float:
        """Return how often chance alone makes the difference this high, if the true difference is `limit`."""
        return self._tail(self.difference - limit)

    @property
    def p(self) -> float:
        """How often chance alone moves the mean at least this far in this direction."""
        return min(self.below(0.0), self.above(0.0))

    @property
    def low(self) -> float:
        """A bound of the true difference: it is lower in at most one of twenty cases."""
        return self.difference - self._reach

    @property
    def high(self) -> float:
        """A bound of the true difference: it is higher in at most one of twenty cases."""
        return self.difference + self._reach

    def detectable(self) -> float:
        """Return the smallest true difference that this test, one-sided at 5 %, sees in four of five cases."""
        return (
            statistics.t_quantile(1 - ALPHA, self.freedom) + statistics.t_quantile(_POWER, self.freedom)
        ) * self.error

    @property
    def _reach(self) -> float:
        return statistics.t_quantile(1 - ALPHA, self.freedom) * self.error if self.error else 0.0

    def _tail(self, distance: float) -> float:
        if not self.error:
            return 0.0 if distance > 0 else 1.0 if distance < 0 else 0.5
        half = statistics.t_two_sided(distance / self.error, self.freedom) / 2
        return half if distance >= 0 else 1 - half

    def real(self, *, among: int = 1) -> bool:
        """Whether it is more than chance, also for the best of `among` equally good ones.

        The best of k passes by luck with probability 1 - (1 - p)^k (Z. Šidák, "Rectangular confidence regions for the
        means of multivariate normal distributions", JASA 62 (1967)).
        """
        return -math.expm1(among * math.log1p(-min(self.p, 1 - 1e-16))) < _CALLED


def level(baseline: Summary, history: Sequence[Summary] = (), others: Sequence[Summary] = ()) -> BranchLevel:
    """Estimate the baseline's level from it and the pipelines before it (`history`, newest first). `others` are
    pipelines of which only the spread of their repeats counts.

    The level is the newest end of a straight line through them, so that gradual change of the branch is neither taken
    for noise nor ignored. Pipelines before a leap don't count.
    """
    known = (baseline, *history)
    sd, freedom = _spread(known, others)
    alone = BranchLevel(baseline.mean, baseline.n, baseline.n, 1, sd, freedom)
    if not sd:
        return alone
    members = _since_leap(known, sd, freedom)
    while len(members) >= _FOR_A_LINE:
        mean, weight, rest = _line(members)
        newest, rest_of_step = _step(members)
        if rest - rest_of_step <= _STEP * sd**2:
            if weight <= baseline.n:
                break
            return BranchLevel(mean, weight, sum(one.n for one in members), len(members), sd, freedom)
        members = members[:newest]
    return alone


def weigh(before: BranchLevel, now: Summary, contest: Contest = ALONE) -> Evidence | None:
    """Test a difference. None when nothing shows how large chance is: single runs without a history, or runs without
    any spread, since fixed seeds show the same value again whatever chance would do.

    Equal spreads are pooled (Student's t); where they differ, Welch's test uses each side's own.
    """
    before, now = _without_copies(before), statistics.Summary(now.mean, None, 1) if now.sd == 0 else now
    delta = now.mean - before.mean
    if before.sd is None and now.sd is None:
        return None
    if before.sd is None or now.sd is None or not _unequal(before, now):
        sd, freedom = _pooled(before, now)
        error = sd * math.sqrt(1 / before.weight + 1 / now.n)
    else:
        ours = statistics.MeanError(now.sd / math.sqrt(now.n), now.n - 1)
        theirs = statistics.MeanError(before.sd / math.sqrt(before.weight), before.freedom)
        error, freedom = statistics.welch(theirs, ours)
        sd = max(before.sd, now.sd)
    found = Evidence(delta, error, sd, freedom, contest=contest)
    return found if found.real() else replace(found, hidden=_hidden(before, now))


def _without_copies(before: BranchLevel) -> BranchLevel:
    """Count runs that all have the same value, as a fixed seed makes them, as one that shows no spread."""
    return replace(before, weight=1.0, runs=1, sd=None, freedom=0.0) if before.sd == 0 else before


def together(chances: Sequence[float]) -> list[bool]:
    """Find which of several differences are real, with as few false alarms for all together as for one alone.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).
    """
    found = [False] * len(chances)
    for place, number in enumerate(sorted(range(len(chances)), key=lambda number: chances[number])):
        if chances[number] >= _CALLED / (len(chances) - place):
            break
        found[number] = True
    return found


def runs_needed(sd: float, drop: float, *, weight: float = 0.0) -> int | None:
    """Return how many runs a side would show a drop in four of five cases; None for more than a thousand.

    The baseline is known as well as a mean of `weight` runs is, or of as many as this side gets, if these are more.
    n = 2 (z₀.₉₅ + z₀.₈)² sd² / drop² for equal sides, see
    https://www.itl.nist.gov/div898/handbook/prc/section2/prc222.htm.
    """
    if drop <= 0 or not math.isfinite(drop):
        return None
    z = statistics.t_quantile(1 - ALPHA, math.inf) + statistics.t_quantile(_POWER, math.inf)
    if sd * z >= drop * _MOST_RUNS:
        return None
    needed = (sd * z / drop) ** 2
    share = needed / weight if weight else 1.0  # of the variance that is allowed, how much the baseline takes
    n = math.ceil(min(2 * needed, needed / (1 - share) if share < 1 else math.inf))
    return max(2, n) if n <= _MOST_RUNS else None


def seeds_needed(sd: float, difference: float) -> int | None:
    """Return how many runs a side would show a difference, if the baseline has no history."""
    return runs_needed(sd, difference)


def _hidden(before: BranchLevel, now: Summary) -> float | None:
    """Return how many times as much this side spreads, if the difference would be real with the branch's own spread."""
    if not before.sd or not now.sd or now.sd <= before.sd or not _unequal(before, now):
        return None
    t = (now.mean - before.mean) / (before.sd * math.sqrt(1 / before.weight + 1 / now.n))
    real = statistics.t_two_sided(t, before.freedom) / 2 < _CALLED
    return now.sd / before.sd if real else None


def _spread(pipelines: Sequence[Summary], others: Sequence[Summary] = ()) -> tuple[float | None, float]:
    """Estimate the spread from run to run, and its degrees of freedom.

    Repeats show it best, also those of `others`. Where there are few, neighbouring pipelines do: half the mean squared
    successive difference (J. von Neumann et al., "The mean square successive difference", Ann. Math. Statist. 12
    (1941)), which a trend hardly affects. A single leap is left out.
    """
    repeated = [(one.sd, one.n - 1) for one in (*pipelines, *others) if one.sd is not None]
    squares = math.fsum(sd**2 * own for sd, own in repeated)
    freedom = float(sum(own for _, own in repeated))
    if freedom < ENOUGH_FREEDOM:
        steps = sorted(
            (newer.mean - older.mean) ** 2 / (1 / newer.n + 1 / older.n)
            for newer, older in itertools.pairwise(pipelines)
        )
        if len(steps) >= _FEW:
            typical = steps[len(steps) // 2]
            kept = [one for one in steps if one <= 18 * typical] or steps  # beyond three standard deviations: a leap
            own = 2 * len(kept) / 3  # neighbouring steps share a pipeline
            squares += math.fsum(kept) / len(kept) * own
            freedom += own
    if not freedom:
        return None, 0.0
    return math.sqrt(squares / freedom), freedom


def _since_leap(known: Sequence[Summary], sd: float, freedom: float) -> Sequence[Summary]:
    furthest = statistics.t_quantile(1 - _LEAP / 2, freedom) * sd
    for place, (newer, older) in enumerate(itertools.pairwise(known), start=1):
        if abs(newer.mean - older.mean) > furthest * math.sqrt(1 / newer.n + 1 / older.n):
            return known[:place]
    return known


def _line(members: Sequence[Summary]) -> tuple[float, float, float]:
    """Fit a straight line to the means by least squares. Returns its newest end, how many runs' mean is as precise as
    that end, and the weighted sum of squares of the residuals.
    """
    total = sum(one.n for one in members)
    middle = sum(place * one.n for place, one in enumerate(members)) / total
    mean = math.fsum(one.mean * one.n for one in members) / total
    wide = math.fsum(one.n * (place - middle) ** 2 for place, one in enumerate(members))
    slope = math.fsum(one.n * (place - middle) * (one.mean - mean) for place, one in enumerate(members)) / wide
    rest = math.fsum(one.n * (one.mean - mean - slope * (place - middle)) ** 2 for place, one in enumerate(members))
    return mean - slope * middle, 1 / (1 / total + middle**2 / wide), rest


def _step(members: Sequence[Summary]) -> tuple[int, float]:
    """Find the step that fits the means best. Returns how many pipelines are newer, and the residual sum of squares."""
    total = sum(one.n for one in members)
    mean = math.fsum(one.mean * one.n for one in members) / total
    best, explained, newer, above = 1, -1.0, 0, 0.0
    for place, one in enumerate(members[:-1], start=1):
        newer += one.n
        above += one.n * (one.mean - mean)
        by_step = above**2 * (1 / newer + 1 / (total - newer))
        if by_step > explained:
            best, explained = place, by_step
    return best, _around(members[:best]) + _around(members[best:])


def _around(members: Sequence[Summary]) -> float:
    total = sum(one.n for one in members)
    mean = math.fsum(one.mean * one.n for one in members) / total
    return math.fsum(one.n * (one.mean - mean) ** 2 for one in members)


def _pooled(before: BranchLevel, now: Summary) -> tuple[float, float]:
    squares, freedom = 0.0, 0.0
    if before.sd is not None:
        squares, freedom = before.sd**2 * before.freedom, before.freedom
    if now.sd is not None:
        squares, freedom = squares + now.sd**2 * (now.n - 1), freedom + now.n - 1
    return math.sqrt(squares / freedom), freedom


def _unequal(before: BranchLevel, now: Summary) -> bool:
    """Whether two spreads differ, by the F test."""
    if before.sd is None or now.sd is None:
        return False
    if not before.sd or not now.sd:
        return before.sd != now.sd
    return statistics.f_two_sided((now.sd / before.sd) ** 2, now.n - 1, before.freedom) < ALPHA

"""How large differences are by chance: a test of a difference between this side and the target branch.

The spread that counts is the one from run to run: between repeats with different seeds, and between the target branch's
pipelines where each has a single run. Samples within one run show nothing about it. Where the branch stands is a
mixture of possible levels (`branch`), so every chance here is a mixture too. Decision 32 has the figures.
"""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from . import statistics, winners
from .branch import PossibleLevel, possible_levels
from .statistics import Summary
from .winners import ALONE, Contest, Part

ALPHA = 0.05
"""How often chance alone may look like a drop, and equally often like a gain."""

POWER = 0.8
"""How often a drop is seen that we say would be seen."""

ENOUGH_FREEDOM = 4
"""With this many degrees of freedom a spread is known well enough to rely on."""

_UNEQUAL = 0.04
"""Two spreads are taken for different if chance separates them so far less often. If this side's is the larger, it
counts alone. Diverged seeds are caught by this: with it, unchanged metrics with heavy tails, skew or 5 % diverged
seeds are called worse in at most 5 %; at 0.02 in up to 6 %. At 0.06 a drop is seen one percent less often.
"""

_STEADIER = 10.0
_COPIES = 1e-4
"""A change may make training this many times steadier. Runs that spread less than even that explains, in all but one of
10,000 cases, are copies of one run: a fixed seed whose results differ by how a processor rounds.
"""

_LEAST = 1e-100
_FEW = 3
_MOST_RUNS = 1000
_ROUNDS = 20
_WIDE = 0.5
_FARTHEST = 30.0
"""Beyond so many standard errors a normal tail is cut off: no difference would be called there."""

_MOST_TRIES = 60
_CLOSE = 1e-4


@dataclass(frozen=True, slots=True)
class BranchLevel:
    """The target branch's level in a metric. `runs` and `pipelines` are how many it most likely rests on, the newest.

    `mean` is as precise as a mean of `weight` runs. `sd` is the spread from run to run, None if nothing shows it;
    `freedom` is its degrees of freedom. `usual` is the same without pipelines that spread unusually much, where those
    can be told apart. `possible` are the levels that it is a mixture of.
    """

    mean: float
    weight: float
    runs: int
    pipelines: int
    sd: float | None
    freedom: float
    possible: tuple[PossibleLevel, ...] = ()
    usual: float | None = None


class Ends(NamedTuple):
    """How an interval is corrected for being one of several, so that it leaves out exactly what the tests reject.

    `below` and `above` are how often the true difference may lie outside. A test by ranks (`conformal`) rejects only
    what is above `highest` or below `lowest`.
    """

    below: float = ALPHA
    above: float = ALPHA
    lowest: float = math.inf
    highest: float = -math.inf


UNCORRECTED = Ends()
UNTESTED = Ends(lowest=-math.inf, highest=math.inf)


@dataclass(frozen=True)
class Evidence:
    """A difference (current minus baseline), and how well it is known.

    `error` is its standard error, with `freedom` degrees of freedom; `sd` is the spread from run to run. `hidden` is
    set if the difference counts as chance only because this side's runs spread clearly more than the branch's: it is
    how many times as much. Runs that are made to spread would hide any drop. `copies` is set if this side's runs count
    as one, since they spread so much less than the branch's: it is how many times less, or infinity. `parts` are the
    differences from each possible level of the branch; without any, there is only the one. `ends` say how the interval
    is corrected.
    """

    difference: float
    error: float
    sd: float
    freedom: float
    hidden: float | None = None
    copies: float | None = None
    contest: Contest = ALONE
    parts: tuple[Part, ...] = ()
    ends: Ends = UNCORRECTED

    def below(self, limit: float) -> float:
        """Return how often chance alone makes the difference this low, if the true difference is `limit`."""
        return self._tail(limit, falls=True)

    def above(self, limit: float) -> float:
        """Return how often chance alone makes the difference this high, if the true difference is `limit`."""
        return self._tail(limit, falls=False)

    @property
    def p(self) -> float:
        """How often chance alone moves the mean at least this far in this direction."""
        return min(self.below(0.0), self.above(0.0))

    @cached_property
    def low(self) -> float:
        """A bound of the true difference: it is lower in at most one of twenty cases, or as few as `ends` allow."""
        return min(self._bound(self.ends.below, falls=False), self.ends.lowest)

    @cached_property
    def high(self) -> float:
        """A bound of the true difference: it is higher in at most one of twenty cases, or as few as `ends` allow."""
        return max(self._bound(self.ends.above, falls=True), self.ends.highest)

    def shows_loss(self, *, lower: bool) -> bool:
        """Whether the interval holds nothing but losses, however small. With `lower`, lower values are better."""
        return self.low > 0 if lower else self.high < 0

    @property
    def bounded(self) -> bool:
        """Whether anything is known of the true difference."""
        return self.error > 0 and self.ends != UNTESTED

    @property
    def luck(self) -> float:
        """How much of the difference luck makes on average, because each side's best was chosen by this metric."""
        return self._luck if self.contest.ranks else 0.0

    @property
    def _luck(self) -> float:
        """The same if this metric alone had chosen the best."""
        if not self.contest.matters:
            return 0.0
        here = max(part.here for part in self._parts)
        more = here * winners.expected(self.contest.here) - self.contest.error * winners.expected(self.contest.there)
        return -more if self.contest.lower else more

    def detectable(self, *, falls: bool = True) -> float:
        """Return the smallest true drop (or rise, unless it `falls`) that the test sees in four of five cases: it moves
        the difference out of the interval although chance moves it back, and so does luck if the best was chosen.
        """
        reach = self.high - self.difference + self._luck if falls else self.difference - self.low - self._luck
        t = statistics.t_quantile(1 - (self.ends.above if falls else self.ends.below), self.freedom)
        # The next test will find another spread.
        margin = statistics.t_quantile(POWER, self.freedom) * math.sqrt(1 + t * t / (2 * self.freedom))
        return reach + margin * self.error

    @property
    def _parts(self) -> tuple[Part, ...]:
        return self.parts or (Part(1.0, self.difference, self.error, 0.0),)

    def _tail(self, limit: float, *, falls: bool) -> float:
        """Return how often chance makes the difference as low as it is or, unless it `falls`, as high, if the true one
        is `limit`. The mixture's normal tail is turned into that of a t with the spread's degrees of freedom.
        """
        if not self.error:
            return 1.0  # no spread at all shows nothing
        chosen = 0.0
        if self.contest.matters:
            lowest = self.contest.lower == falls
            chosen = winners.chosen_tail(self._from(limit, falls=falls), self.contest, self.freedom, lowest=lowest)
            if self.contest.ranks:
                return chosen
        return max(chosen, statistics.t_below(self._normal(limit, falls=falls), self.freedom))

    def _from(self, limit: float, *, falls: bool) -> list[Part]:
        """Return how far each part is from `limit`; downwards if the metric `falls`."""
        sign = 1 if falls else -1
        return [Part(share, sign * (difference - limit), here, there) for share, difference, here, there in self._parts]

    def _normal(self, limit: float, *, falls: bool) -> float:
        """Return the normal quantile of the mixture's tail. If the metric `falls`, its low values are low here too."""
        return statistics.normal_quantile(winners.normal_tail(self._parts, limit, falls=falls))

    def _bound(self, alpha: float, *, falls: bool) -> float:
        """Find where the chance falls to `alpha`: as a normal quantile it falls nearly in a straight line, which the
        regula falsi follows (M. Dowell and P. Jarratt, "A modified regula falsi method", BIT 11 (1971)).
        """
        sign = 1 if falls else -1
        wanted = statistics.t_quantile(1 - alpha, self.freedom)
        if not self.error or wanted > _FARTHEST:
            return sign * math.inf
        at_alpha = statistics.normal_quantile(alpha)

        def above(distance: float) -> float:
            limit = self.difference + sign * distance * self.error
            if self.contest.matters:
                return statistics.normal_quantile(self._tail(limit, falls=falls)) - at_alpha
            return self._normal(limit, falls=falls) + wanted

        near, far, width = wanted - _WIDE, wanted + _WIDE, _WIDE
        at_near, at_far = above(near), above(far)
        while at_near < 0 or at_far > 0:
            width *= 2
            if width > _FARTHEST:
                return sign * math.inf  # chance never becomes as small as that
            if at_near < 0:
                near, at_near = near - width, above(near - width)
            else:
                far, at_far = far + width, above(far + width)
        for _ in range(_MOST_TRIES):
            middle = far - at_far * (far - near) / (at_far - at_near)
            found = above(middle)
            if abs(found) < _CLOSE:
                return self.difference + sign * middle * self.error
            if found * at_far < 0:
                near, at_near = far, at_far
            else:
                at_near /= 2
            far, at_far = middle, found
        return self.difference + sign * max(near, far) * self.error


def level(baseline: Summary, history: Sequence[Summary] = (), others: Sequence[Summary] = ()) -> BranchLevel:
    """Estimate the baseline's level from it and the pipelines before it (`history`, newest first). `others` are
    pipelines of which only the spread of their repeats counts.
    """
    every = _without_copies_in((baseline, *history, *others))
    baseline, *history = known = every[: 1 + len(history)]
    sd, freedom = _spread(known, every[len(known) :])
    usual = _usual(sd, every)
    if not sd or not history:
        alone = PossibleLevel(1.0, baseline.mean, 1 / baseline.n, 1)
        return BranchLevel(baseline.mean, baseline.n, baseline.n, 1, sd, freedom, (alone,), usual)
    possible = possible_levels(known, sd)
    mean = math.fsum(one.share * one.mean for one in possible)
    variance = math.fsum(one.share * (one.variance + ((one.mean - mean) / sd) ** 2) for one in possible)
    shares: dict[int, float] = {}
    for one in possible:
        shares[one.age] = shares.get(one.age, 0.0) + one.share
    pipelines = max(shares, key=lambda age: (shares[age], age))
    runs = sum(one.n for one in known[:pipelines])
    return BranchLevel(mean, 1 / variance, runs, pipelines, sd, freedom, possible, usual)


def weigh(before: BranchLevel, now: Summary, contest: Contest = ALONE) -> Evidence | None:
    """Test a difference. None when nothing shows how large chance is: single runs without a history, or runs without
    any spread, since fixed seeds show the same value again whatever chance would do. Copies of one run count as one.

    Equal spreads are pooled (Student's t). Where they differ, Welch's test uses each side's own, unless pooling is more
    careful.
    """
    before = _without_copies(before)
    known = independent(before, now)
    if before.sd is None and known.sd is None:
        return None
    pooled, freedom = _pooled(before, known)
    found = _against(before, known, pooled, pooled, contest, freedom)
    if before.sd is not None and now.sd is not None and known.sd is None:
        return replace(found, copies=(before.usual or before.sd) / now.sd if now.sd else math.inf)
    now = known
    if before.sd is None or now.sd is None or not _unequal(before, now):
        return found
    ours = statistics.MeanError(now.sd / math.sqrt(now.n), now.n - 1)
    theirs = statistics.MeanError(before.sd / math.sqrt(before.weight), before.freedom)
    # Luck is as large as the spread: taken for different on the two sides, it would often fail to cancel out.
    here, there = (max(now.sd, before.sd),) * 2 if contest.matters else (now.sd, before.sd)
    separate = _against(before, now, here, there, contest, statistics.welch(theirs, ours).freedom)
    if now.sd < before.sd and separate.error < found.error:
        return found
    return replace(separate, hidden=_hidden(before, now, separate))


def independent(before: BranchLevel, now: Summary) -> Summary:
    """Count runs that are copies of one run as one: exact copies, and those that the branch's spread gives away."""
    if now.sd == 0 or (before.usual and _are_copies(now, before.usual, before.freedom)):
        return Summary(now.mean, None, 1)
    return now


def without_copies_of_some(values: Sequence[float], before: BranchLevel, *, ties: bool) -> list[float]:
    """Count values of different runs as one if they are closer together than chance would bring any two of that many in
    one of 10,000 cases: copies of a lucky run would outweigh the others. With `ties`, equal ones count as one, too.
    """
    if not before.usual:
        return list(values)
    pairs = len(values) * (len(values) - 1) / 2
    reach = before.usual * _COPIES * math.sqrt(math.pi) / max(pairs, 1)
    clusters: list[list[float]] = []
    for value in sorted(values):
        near = clusters and value - clusters[-1][-1] < reach and (ties or value != clusters[-1][-1])
        if near:
            clusters[-1].append(value)
        else:
            clusters.append([value])
    return [math.fsum(one) / len(one) for one in clusters]


def _are_copies(one: Summary, sd: float, freedom: float) -> bool:
    """Whether runs that differ spread too little, next to another spread with this freedom, to be independent."""
    if not one.sd or one.sd * _STEADIER >= sd:
        return False
    return statistics.f_below((one.sd * _STEADIER / sd) ** 2, one.n - 1, freedom) < _COPIES


def _without_copies_in(pipelines: Sequence[Summary]) -> list[Summary]:
    """Count a pipeline's runs as one if, next to the other pipelines', they are copies of one run."""
    squares, freedom = _squares(pipelines)

    def counted(place: int, one: Summary) -> Summary:
        own = one.n - 1
        if not one.sd or freedom == own:
            return one
        pooled = math.sqrt(max(0.0, squares - one.sd**2 * own) / (freedom - own))
        if one.sd * _STEADIER >= pooled:
            return one
        usual = _usual(pooled, [*pipelines[:place], *pipelines[place + 1 :]])
        return Summary(one.mean, None, 1) if usual and _are_copies(one, usual, freedom - own) else one

    return [counted(place, one) for place, one in enumerate(pipelines)]


def _usual(pooled: float | None, pipelines: Sequence[Summary]) -> float | None:
    """Return the spread that runs usually have: a single diverged run can make the pooled one as large as you like."""
    spreads = sorted(one.sd for one in pipelines if one.sd is not None)
    return pooled if pooled is None or len(spreads) < _FEW else min(pooled, spreads[len(spreads) // 2])


def _squares(pipelines: Sequence[Summary]) -> tuple[float, float]:
    """Return the sum of squares from run to run, and its degrees of freedom."""
    repeated = [(one.sd, one.n - 1) for one in pipelines if one.sd is not None]
    return math.fsum(sd**2 * own for sd, own in repeated), float(sum(own for _, own in repeated))


def _against(
    before: BranchLevel, now: Summary, here: float, there: float, contest: Contest, freedom: float
) -> Evidence:
    """Compare with each possible level of the branch, with the spreads `here` and `there`."""
    parts = tuple(
        Part(one.share, now.mean - one.mean, here / math.sqrt(now.n), there * math.sqrt(one.variance))
        for one in before.possible
    )
    error = math.hypot(here / math.sqrt(now.n), there / math.sqrt(before.weight))
    if contest.matters:
        contest = replace(contest, error=there / math.sqrt(before.runs / before.pipelines))
        parts = winners.merged(parts)
    return Evidence(now.mean - before.mean, error, max(here, there), freedom, contest=contest, parts=parts)


def _without_copies(before: BranchLevel) -> BranchLevel:
    """Count runs that all have the same value, as a fixed seed makes them, as one that shows no spread."""
    if before.sd != 0:
        return before
    alone = PossibleLevel(1.0, before.mean, 1.0, 1)
    return BranchLevel(before.mean, 1.0, 1, 1, None, 0.0, (alone,))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known before more runs are trained: the spread from run to run, with its degrees of freedom.

    They are trained here, to be compared with a `level` of the branch, or else on both sides; then `others` are further
    degrees of freedom that the spread has. The metric `falls` if it gets worse.
    """

    sd: float
    freedom: float
    level: BranchLevel | None = None
    others: float = 0.0
    falls: bool = True

    def drop(self, runs: int, alpha: float) -> float:
        """Return the drop that this many runs would show in four of five cases, in a test at `alpha`.

        Both the spread that the drop is expressed in and the one that the next test will find are estimates: their
        variance (for n degrees of freedom, about 1 / 2n of the variance itself) is added to that of the mean.
        """
        freedom = self.others + 2 * (runs - 1)
        error = self.sd * math.sqrt(2 / runs)
        reach = statistics.t_quantile(1 - alpha, freedom)
        tested = weigh(self.level, Summary(self.level.mean, self.sd, runs)) if self.level is not None else None
        if tested is not None:
            tested = replace(tested, ends=Ends(alpha, alpha))
            freedom, error = tested.freedom, tested.error
            reach = (tested.high - tested.difference if self.falls else tested.difference - tested.low) / error
        z = statistics.t_quantile(POWER, math.inf)
        margin = z
        for _ in range(_ROUNDS):
            margin = z * math.sqrt(1 + reach**2 / (2 * freedom) + (reach + margin) ** 2 / (2 * self.freedom))
        return (reach + margin) * error

    def runs(self, drop: float, alpha: float = ALPHA) -> int | None:
        """Return how many runs would show a drop in four of five cases; None for more than a thousand."""
        if drop <= 0 or not math.isfinite(drop) or self.drop(_MOST_RUNS, alpha) > drop:
            return None
        few = range(2, _MOST_RUNS + 1)
        return few[bisect.bisect_left(few, -drop, key=lambda runs: -self.drop(runs, alpha))]


def _hidden(before: BranchLevel, now: Summary, found: Evidence) -> float | None:
    """Return how many times as much this side spreads, if only that makes the difference look like chance."""
    if not before.sd or not now.sd or now.sd <= before.sd or found.p < ALPHA:
        return None
    as_usual = _against(before, now, before.sd, before.sd, found.contest, before.freedom)
    return now.sd / before.sd if as_usual.p < ALPHA else None


def _spread(pipelines: Sequence[Summary], others: Sequence[Summary] = ()) -> tuple[float | None, float]:
    """Estimate the spread from run to run, and its degrees of freedom.

    Repeats show it best, also those of `others`. Where there are few, neighbouring pipelines do: half the mean squared
    successive difference (J. von Neumann et al., "The mean square successive difference", Ann. Math. Statist. 12
    (1941)), which a trend hardly affects. A single leap is left out.
    """
    squares, freedom = _squares((*pipelines, *others))
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


def _pooled(before: BranchLevel, now: Summary) -> tuple[float, float]:
    squares, freedom = 0.0, 0.0
    if before.sd is not None:
        squares, freedom = before.sd**2 * before.freedom, before.freedom
    if now.sd is not None:
        squares, freedom = squares + now.sd**2 * (now.n - 1), freedom + now.n - 1
    return math.sqrt(squares / freedom), freedom


def _unequal(before: BranchLevel, now: Summary) -> bool:
    """Whether two spreads differ, by the F test."""
    if not before.sd or not now.sd:
        return False
    ratio = now.sd / before.sd
    if not _LEAST < ratio < 1 / _LEAST:
        return True  # its square might not be a number
    return statistics.f_two_sided(ratio**2, now.n - 1, before.freedom) < _UNEQUAL

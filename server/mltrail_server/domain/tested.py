"""What a test says of one metric: its verdict, the reason, and what would tell where nothing can be told."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

from . import evidence
from .differences import Difference
from .direction import Better, MetricDirection
from .evidence import ALPHA, UNCORRECTED, BranchLevel, Evidence
from .hypotheses import ENOUGH_PIPELINES, Decision
from .numbers import number
from .statistics import Summary, f_below
from .verdict import Verdict
from .winners import ALONE

_SEEDS = 5
_SEVERAL = 3
_WIDER = 1e-4
_SPREADS = 3.0
"""A test that sees a drop of this many spreads in four of five cases may say "no clear change"."""
_WANTED = 1.5
"""The advice is for so many runs that a drop of this many spreads would be seen."""

_FIXED = "the seed is fixed, or nothing in training is random, so nothing shows what chance does: let the seed vary"
_SEEN = "would be seen in four of five cases"


@dataclass(frozen=True, slots=True)
class Found:
    """`sentence` says what was found and `advice` what would tell more; neither contains anything that a user wrote."""

    verdict: Verdict
    sentence: str
    advice: str = ""
    difference: Difference | None = None


@dataclass(frozen=True)
class Tested:
    """One metric on both sides, and what the test of the difference has shown.

    `level` is the baseline's level. `allowed` is the loss that a rule tolerates, in the metric's unit; None without a
    rule. `percent` is that in per cent, if the rule says so. `trained_on` is set for a metric of the training data.
    """

    name: str
    direction: MetricDirection
    before: Summary
    now: Summary
    evidence: Evidence | None
    decision: Decision | None
    level: BranchLevel | None = None
    allowed: float | None = None
    percent: float | None = None
    trained_on: bool = False

    def found(self) -> Found:
        """Say what was found, with the two values and their difference."""
        return replace(self._found(), difference=self.difference)

    def _found(self) -> Found:
        weighed = self.evidence if self.decision is None else self.decision.evidence
        if weighed is None:
            return self._without_spread()
        if self.direction.better is Better.UNKNOWN:
            return Found(Verdict.CANT_TELL, f"{self.difference}; is higher or lower better?")
        if weighed.hidden is not None:
            return self._spreading(weighed.hidden)
        if self.decision is None:
            return self._too_few(weighed, ALPHA)
        found = self._decided(weighed, self.decision)
        return replace(found, sentence=found.sentence + self._luck(weighed))

    @cached_property
    def difference(self) -> Difference:
        held_to = self.now.mean - self.evidence.difference if self.evidence is not None else self.before.mean
        spread = self.evidence.error if self.evidence is not None else self.before.sd or self.now.sd or 0.0
        relative = self.percent is not None
        return Difference(self.name, self.direction, held_to, self.now.mean, spread, relative=relative)

    @property
    def _moved(self) -> str:
        """The difference beside what is allowed, for a reader who has to judge what can't be told."""
        return f"{self.difference}{f', allowed: {self._limit}' if self.allowed else ''}"

    def _without_spread(self) -> Found:
        if math.isclose(self.now.mean, self.before.mean, rel_tol=1e-12, abs_tol=1e-15):
            return Found(Verdict.NO_CLEAR_CHANGE, "the same value")
        if any(side.n > 1 and side.sd == 0 for side in (self.now, self.before)):
            return Found(Verdict.CANT_TELL, f"{self._moved}; all runs on a side gave the same number", _FIXED)
        runs = "one run on each side" if self.now.n == 1 and self.before.n == 1 else "so few runs"
        advice = f"train with {_SEEDS} seeds on both sides"
        return Found(Verdict.CANT_TELL, f"{self._moved}; {runs} can't show how much is chance", advice)

    def _decided(self, weighed: Evidence, decision: Decision) -> Found:
        if decision.worse:
            return Found(Verdict.WORSE, f"{self.difference}, {self._beyond()}")
        if decision.better:
            return self._of_a_gain()
        if self.allowed is not None and self._keeps(weighed, self.allowed):
            worst = self.difference.bound(weighed.high if self._lower else weighed.low)
            far = "high" if self._lower else "low"
            sentence = f"{self.difference}, could be as {far} as {worst}; allowed: {self._limit}"
            return Found(Verdict.WITHIN_LIMIT, sentence)
        return self._unclear(weighed, decision)

    def _unclear(self, weighed: Evidence, decision: Decision) -> Found:
        """Tell runs that would have shown a change from runs that are too few."""
        if is_luck(weighed, self.direction):
            reason = f"{self.difference}, could be luck: it is the best of {weighed.contest.here} candidates"
            return Found(Verdict.NO_CLEAR_CHANGE, reason)
        if self._stands_alone:
            return self._with_fewer(weighed)
        seen = max(weighed.detectable(falls=not self._lower), decision.seen)
        if self._times > 1 and self._alone(seen, weighed, decision) * self._times > _SPREADS * (self.now.sd or 0.0):
            return self._spreading(self._times)
        if self._is_blind(seen, weighed, decision):
            return self._too_few(weighed, decision.alpha)
        if self.allowed and weighed.shows_loss(lower=self._lower):
            # The loss is clear in itself, which is no chance, and not known to be small enough.
            reason = f"{self.difference}; a loss, but too few runs to tell if it is more than allowed: {self._limit}"
            return Found(Verdict.CANT_TELL, reason, "train with more seeds")
        limit = f"; allowed: {self._limit}" if self.allowed else ""
        return Found(Verdict.NO_CLEAR_CHANGE, f"{self.difference}, could be chance{limit}", self._seen(seen))

    @property
    def _times(self) -> float:
        """How many times as much as the branch's these runs spread, if chance does that in fewer than one of 10,000
        cases; else 1. What they hide is measured by the branch's spread: otherwise runs could be made to spread to hide
        it.
        """
        level = self.level
        if level is None or not level.sd or not self.now.sd or self.now.sd <= level.sd:
            return 1.0
        chance = f_below((level.sd / self.now.sd) ** 2, level.freedom, self.now.n - 1)
        return self.now.sd / level.sd if chance < _WIDER else 1.0

    def _spreading(self, times: float) -> Found:
        spread = number(times, decimals=1)
        reason = f"these runs spread {spread} times as much as the branch's, which may hide a {self._drop}"
        return Found(Verdict.CANT_TELL, f"{self.difference}; {reason}")

    @property
    def _stands_alone(self) -> bool:
        """Whether a single run here is held against several in the baseline: it hides drops that as many runs would
        show.
        """
        copies = self.evidence is not None and self.evidence.copies is not None
        there = 1 if self.before.sd == 0 else self.before.n
        known = there if self.level is None else min(there, self.level.runs)
        return (copies or self.now.n == 1) and known >= _SEVERAL

    def _with_fewer(self, weighed: Evidence) -> Found:
        here, advice = "1 run here", "train with as many"
        if weighed.copies:
            here, advice = f"the {self.now.n} runs here count as one", f"{advice}, each with a seed of its own"
        return Found(Verdict.CANT_TELL, f"{self._moved}; {here}, {self.before.n} in the baseline", advice)

    def _is_blind(self, seen: float, weighed: Evidence, decision: Decision) -> bool:
        """Whether a drop that matters would not be seen, even if this were the only metric."""
        far = _SPREADS * weighed.sd
        if math.isinf(seen) or decision.ranked >= ENOUGH_PIPELINES or seen <= far:
            return math.isinf(seen)
        return self._alone(seen, weighed, decision) > far

    def _alone(self, seen: float, weighed: Evidence, decision: Decision) -> float:
        """Return which drop would be seen if this were the only metric: more of them make nobody know less. A test by
        ranks is one for all of them anyway.
        """
        return seen if decision.ranked else replace(weighed, ends=UNCORRECTED).detectable(falls=not self._lower)

    def _luck(self, weighed: Evidence) -> str:
        """Say how much of the difference luck explains, if all of it may be luck, or if the interval, which allows for
        luck, does not contain it.
        """
        inside = weighed.low <= weighed.difference <= weighed.high
        if not weighed.luck or (inside and not is_luck(weighed, self.direction)):
            return ""
        here, there = weighed.contest.here, weighed.contest.there
        sides = [f"the best of {here}"] if here > 1 else []
        sides += [f"the target branch's best of {there}"] if there > 1 else []
        if (weighed.luck > 0) is self._lower:
            sides.reverse()
        who = " ahead of ".join(sides) if len(sides) > 1 else f"{sides[0]} ahead"
        return f"; luck alone puts {who} by about {self.difference.amount(weighed.luck)}"

    def _of_a_gain(self) -> Found:
        if self.trained_on:
            return Found(Verdict.NO_CLEAR_CHANGE, f"{self.difference} on the training data, which alone is no gain")
        return Found(Verdict.BETTER, f"{self.difference}, more than chance explains")

    def _beyond(self) -> str:
        if not self.allowed:
            return "more than chance explains"
        return f"clearly more than allowed: {self._limit}"

    @property
    def _limit(self) -> str:
        """The loss that the rule allows, as the rule says it."""
        if not self.allowed:
            return f"no {self._drop}"
        if self.percent is not None:
            return self.difference.limit(self.percent, percent=True)
        return self.difference.limit(self.allowed)

    def _keeps(self, weighed: Evidence, allowed: float) -> bool:
        """Whether no loss that the interval holds is larger than the one allowed."""
        return weighed.high <= allowed if self._lower else weighed.low >= -allowed

    def _too_few(self, weighed: Evidence, alpha: float) -> Found:
        """Say how many runs would show a drop that matters, however many metrics share the false alarms."""
        level = self.level
        others = max(0.0, level.freedom - (self.before.n - 1)) if level is not None else 0.0
        plan = evidence.Plan(weighed.sd, weighed.freedom, others=others, falls=not self._lower)
        n, where = plan.runs(_WANTED * weighed.sd), "on each side"
        if level is not None and level.pipelines > 1:
            here = replace(plan, level=level)
            needed = here.runs(_WANTED * weighed.sd)
            if needed and (n is None or needed <= 2 * n):  # not more than on both sides together
                plan, n, where = here, needed, "here"
        drop = plan.drop(n, alpha) if n else math.inf
        less = 0 < -self.direction.gain(weighed.difference) < drop + (self.allowed or 0.0)
        more = "; this one may need more" if less else ""
        advice = f"with {n} runs {where}, {self._seen(drop)}{more}" if n else ""
        return Found(Verdict.CANT_TELL, f"{self._moved}; too few runs to tell", advice)

    def _seen(self, drop: float) -> str:
        if math.isinf(drop):
            return ""
        return f"a {self._drop} of {self.difference.amount(drop + (self.allowed or 0.0))} {_SEEN}"

    @property
    def _lower(self) -> bool:
        return self.direction.better is Better.LOWER

    @property
    def _drop(self) -> str:
        return "rise" if self._lower else "drop"


def is_luck(weighed: Evidence, direction: MetricDirection) -> bool:
    """Whether a gain would count for a single candidate, but not for the best of several."""
    if weighed.contest.here == 1:
        return False

    def chance(of: Evidence) -> float:
        return of.below(0.0) if direction.better is Better.LOWER else of.above(0.0)

    return chance(replace(weighed, contest=ALONE)) <= ALPHA < chance(weighed)

"""One rule held against one metric: what it asks to be tested, and what it says then."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import NamedTuple

from mltrail_contract import HigherOrLower, Model, Outcome, Rule, Then, Value

from . import evidence, folds, rules
from .comparison import NO_BASELINE, Comparison, MetricChange
from .direction import Basis, Better, MetricDirection, is_of_training
from .evidence import BranchLevel, Evidence
from .grouping import Group, usable
from .history import single_values
from .hypotheses import Decision, Family, Hypothesis, Key, Look
from .numbers import count, number
from .rules import Ruling, expectation
from .statistics import Summary, summarise
from .tested import Found, Tested
from .verdict import Verdict
from .winners import ALONE, Contest

SAME_DATA = (
    "evaluate this model on the target branch's dataset, or train and evaluate the target branch again with the new one"
)
_SAME_SCHEDULE = "log as many values as the target branch does, or compare last values"
_MOST_MORE = 1.1
"""By what factor the two sides' numbers of values may differ."""
_ALL_FOLDS = "train all of them"
_EVERY_RUN = "let every run that has trained succeed, whatever its results are"
_FINITE = "this merge request has logged no finite value of it: log finite values"


@dataclass(frozen=True, slots=True)
class Question:
    """What a rule asks to be tested: that a metric is worse by more than `allowed`."""

    key: Key
    family: Family
    direction: MetricDirection
    before: Summary
    now: Summary
    allowed: float
    evidence: Evidence | None
    level: BranchLevel | None
    branch: Mapping[int, float]
    looks: Sequence[Look]
    schedules: "_Schedules | None" = None  # set if the best values of the two sides don't match

    def hypothesis(self, pipelines: Mapping[int, int]) -> Hypothesis:
        branch = {pipelines.get(place, -place): value for place, value in self.branch.items()}
        return Hypothesis(self.key, self.family, self.direction.better, self.allowed).at(self.looks, branch)

    def chance(self) -> float:
        """Return how often chance alone makes a loss this much larger than the one allowed, on its own."""
        if self.evidence is None:
            return 1.0
        lower = self.direction.better is Better.LOWER
        return self.evidence.above(self.allowed) if lower else self.evidence.below(-self.allowed)


@dataclass(frozen=True)
class Check:
    """One rule, the `place`th of its model, applied to one metric that it names. What is needed both before and after
    all metrics are decided is worked out only once.
    """

    place: int
    rule: Rule
    change: MetricChange
    compared: Comparison
    model: Model

    @property
    def broken(self) -> Outcome:
        return Outcome.FAIL if self.rule.then is Then.FAIL else Outcome.WARN

    def say(
        self, outcome: Outcome, sentence: str, verdict: Verdict, advice: str = "", decision: Decision | None = None
    ) -> Ruling:
        return Ruling(self.change.name, self.rule, outcome, expectation(self.rule), sentence, verdict, advice, decision)

    def ruling(self, decisions: Mapping[Key, Decision], red: AbstractSet[str]) -> Ruling:
        if self._settled is not None:
            return self._settled
        asked = self.question
        if asked is None:
            return self._unknown("the baseline's history is not known")
        decision = decisions.get(asked.key)
        found = Tested(
            self.change.name,
            asked.direction,
            asked.before,
            asked.now,
            asked.evidence,
            decision,
            asked.level,
            asked.allowed,
            self._percent,
            trained_on=is_of_training(self.change.name),
        ).found()
        ruled = self._unless_set_aside(replace(self._ruled(found, asked, decision), difference=found.difference), asked)
        if ruled.outcome is not Outcome.FAIL and decision is not None and rules.name_of(self.model.name, ruled) in red:
            return ruled if decision.was_worse else rules.unless_cleared(ruled, asked.chance())
        return ruled

    @property
    def _percent(self) -> float | None:
        tolerated = self.rule.worse_by
        return tolerated.amount if tolerated is not None and tolerated.percent else None

    @cached_property
    def question(self) -> Question | None:
        """What has to be tested; None where the rule needs no test, or there is nothing to test."""
        if self.rule.worse_by is None or self._settled is not None:
            return None
        now, before = self._side(self.compared.best), self._side(self.compared.baseline)
        if now is None or before is None:
            return None
        of_best = self.rule.value is Value.BEST
        earlier = [self._side(one) for one in self.compared.comparable]
        weighed, level, looks = self.change.evidence, self.change.level, self.change.earlier
        if of_best:
            level = evidence.level(before, [one for one in earlier if one is not None])
            contest, copies = (weighed.contest, weighed.copies) if weighed is not None else (ALONE, None)
            weighed = evidence.weigh(level, now, contest)
            if weighed is not None and now.sd == 0:
                weighed = replace(weighed, copies=copies)  # the best values of different runs may well be equal
            looks = self._best_of_looks(level, contest)
        tolerance = self.rule.worse_by
        held_to = now.mean - weighed.difference if weighed is not None else before.mean
        return Question(
            key=Key(self.model.name, self.change.name, self.place),
            family=Family.FAIL if self.rule.then is Then.FAIL else Family.OTHER,
            direction=self.direction,
            before=before,
            now=now,
            allowed=rules.allowed(tolerance, held_to),
            evidence=weighed,
            level=level,
            branch=single_values([before, *earlier]),
            looks=(Look(self.compared.share, now, weighed), *looks),
            schedules=_schedules(self.change.name, self.compared) if of_best else None,
        )

    def _best_of_looks(self, level: BranchLevel, contest: Contest) -> tuple[Look, ...]:
        """Test the best values of the runs that earlier looks had, by the newest history of each run."""
        by_iid = {run.iid: run for run in self.compared.best.runs} if self.compared.best is not None else {}
        found = []
        for stage in self.compared.stages:
            known = [by_iid[run.iid] for run in stage.group.runs if run.iid in by_iid]
            now = self._side(replace(stage.group, runs=tuple(known)))
            if now is not None:
                found.append(Look(stage.share, now, evidence.weigh(level, now, contest)))
        return tuple(found)

    @property
    def direction(self) -> MetricDirection:
        lower = self.rule.better is HigherOrLower.LOWER
        return MetricDirection(Better.LOWER if lower else Better.HIGHER, Basis.STATED)

    def _side(self, group: Group | None) -> Summary | None:
        """Summarise the values that the rule looks at: the runs' last values, or their best."""
        if self.rule.value is Value.LAST:
            if group is self.compared.best:
                return self.change.current
            if group is self.compared.baseline:
                return self.change.baseline
            return group.metrics.get(self.change.name) if group is not None else None
        found = _bests(self.rule, self.change.name, group)
        return summarise(found) if found else None

    @cached_property
    def _settled(self) -> Ruling | None:
        """The ruling where no test is needed."""
        if self.change.current is None:
            # Otherwise deleting a metric would be a way to pass.
            return self.say(self.broken, self.compared.missing(self.change.name), Verdict.WORSE)
        now = self._side(self.compared.best)
        if now is None:
            return self.say(self.broken, "its history is not known", Verdict.CANT_TELL, _FINITE)
        bar = self._bar(now.mean)
        if bar is not None and bar.verdict is Verdict.WORSE:
            return bar
        partial = self._of_a_part()
        if partial is not None or self.rule.worse_by is None:
            return partial or bar
        return self._not_compared()

    def _not_compared(self) -> Ruling | None:
        if self.compared.incomparable and self.compared.evades:
            return self.say(self.broken, self.compared.incomparable, Verdict.CANT_TELL, SAME_DATA)
        if self.compared.incomparable:
            return self._unknown(self.compared.incomparable)
        if self.change.baseline is None:
            return self.say(Outcome.PASS, NO_BASELINE, Verdict.CANT_TELL)
        return None

    def _bar(self, value: float) -> Ruling | None:
        """Hold a value against the rule's plain bounds."""
        rule = self.rule
        bounds = []
        if rule.at_least is not None:
            bounds.append(f"at least {rule.at_least:g}")
            if value < rule.at_least:
                return self.say(self.broken, f"{number(value)}; must be {bounds[-1]}", Verdict.WORSE)
        if rule.at_most is not None:
            bounds.append(f"at most {rule.at_most:g}")
            if value > rule.at_most:
                return self.say(self.broken, f"{number(value)}; must be {bounds[-1]}", Verdict.WORSE)
        if not bounds:
            return None
        return self.say(Outcome.PASS, f"{number(value)}; must be {' and '.join(bounds)}", Verdict.WITHIN_LIMIT)

    def _of_a_part(self) -> Ruling | None:
        """Handle a mean over only some of the runs or folds, which would hide the others."""
        best, baseline = self.compared.best, self.compared.baseline
        if best is None:
            return None
        if diverged := self.compared.diverged(self.change.name):
            return self.say(self.broken, diverged, Verdict.WORSE)
        if baseline is not None and (lacking := self.compared.lacking(self.change.name)):
            return self._unknown(f"logged in only {len(best.runs) - lacking} of {len(best.runs)} runs")
        if baseline is None or not folds.has_any(baseline.runs, self.model.pair_by):
            return None
        lost, of_all = folds.lost(baseline.runs, best.runs, self.change.name, self.model.pair_by)
        if not lost:
            return None
        sentence = f"{lost} of the baseline's {count(of_all, 'fold')} not logged here"
        return self.say(self.broken, sentence, Verdict.CANT_TELL, _ALL_FOLDS)

    def _ruled(self, found: Found, asked: Question, decision: Decision | None) -> Ruling:
        if asked.schedules and (asked.schedules.fewer or found.verdict is not Verdict.WORSE):
            # More values make the best one better. Fewer that are worse can't be told, and are this side's doing.
            outcome = self.broken if found.verdict is Verdict.WORSE else self.model.if_unknown
            return self.say(outcome, asked.schedules.sentence, Verdict.CANT_TELL, _SAME_SCHEDULE, decision)
        outcome, advice = Outcome.PASS, found.advice
        if found.verdict is Verdict.WORSE:
            outcome = self.broken
        elif found.verdict is Verdict.CANT_TELL:
            outcome = self.model.if_unknown
            if asked.evidence is None and asked.now.n < asked.before.n:
                outcome = self.broken
                advice = f"{count(asked.now.n, 'run')} here, {asked.before.n} in the baseline: train with as many"
        return self.say(outcome, found.sentence, found.verdict, advice, decision)

    def _unless_set_aside(self, ruled: Ruling, asked: Question) -> Ruling:
        """Say that nobody can tell if a drop is seen only with the runs that failed or were deleted: otherwise a job
        could fail, or delete its runs, wherever luck is bad. One that failed half-way hardly moves the median.
        """
        name, best, aside = self.change.name, self.compared.best, self.compared.set_aside
        if best is None or aside is None or asked.level is None or self.rule.value is Value.BEST:
            return ruled
        left_out = aside.values_of(name)
        if not left_out or ruled.outcome is not Outcome.PASS:
            return ruled
        every = [*best.values_of(name), *left_out]
        weighed = evidence.weigh(asked.level, Summary(median(every), asked.now.sd, len(every)))
        if replace(asked, evidence=weighed).chance() > evidence.ALPHA:
            return ruled
        sentence = (
            f"{ruled.difference}, but clearly worse with {count(len(left_out), 'run')} that failed or got deleted"
        )
        outcome = self.model.if_unknown
        return replace(ruled, outcome=outcome, verdict=Verdict.CANT_TELL, sentence=sentence, advice=_EVERY_RUN)

    def _unknown(self, sentence: str) -> Ruling:
        return self.say(self.model.if_unknown, sentence, Verdict.CANT_TELL)


class _Schedules(NamedTuple):
    """Says that the two sides' best values were chosen from different numbers of values; `fewer`: from fewer here."""

    sentence: str
    fewer: bool


def _schedules(metric: str, compared: Comparison) -> _Schedules | None:
    here, there = _points(metric, compared.best), _points(metric, compared.baseline)
    if here is None or there is None:
        return _Schedules("how many values the best ones were chosen from is not known", fewer=False)
    if max(here, there) <= _MOST_MORE * min(here, there):
        return None
    return _Schedules(f"best of {here:.0f} values here, of {there:.0f} there", fewer=here < there)


def _points(metric: str, group: Group | None) -> float | None:
    """Return how many values each run of a group has logged of a metric, on average; None if that is not known."""
    found = [run.extremes[metric].points for run in group.runs if metric in run.extremes] if group is not None else []
    known = [points for points in found if points is not None]
    return sum(known) / len(known) if known and len(known) == len(found) else None


def _bests(rule: Rule, metric: str, group: Group | None) -> list[float]:
    """Return the best value that each run of a group has logged of a metric."""
    found = [run.extremes[metric] for run in group.runs if metric in run.extremes] if group is not None else []
    bests = [one.low if rule.better is HigherOrLower.LOWER else one.high for one in found]
    return [value for value in bests if usable(value)]

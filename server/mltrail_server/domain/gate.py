"""Apply the contract's rules to a comparison: pass, warn or fail, and why."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import HigherOrLower, Model, Outcome, Rule, Then, Tolerance, Value

from . import evidence, folds, globs
from .comparison import Comparison, MetricChange
from .differences import Difference
from .direction import Basis, Better, MetricDirection, is_of_training
from .evidence import BranchLevel, Evidence
from .grouping import Group, usable
from .hypotheses import Decision, Family, Hypothesis, Key, Look
from .numbers import number
from .statistics import Summary, summarise
from .tested import Found, Tested
from .verdict import Verdict
from .winners import ALONE, Contest

MOST_RULINGS = 10_000
"""The most pairs of rule and metric to check: a model may have a hundred globs, and its runs any number of metrics."""

_MOST_ODD = 100
SAME_DATA = "evaluate this model on the target branch's dataset, or train the target branch again on the new one"
_SAME_SCHEDULE = "log as many values as the target branch does, or compare last values"
_MOST_MORE = 1.1
"""By what factor the two sides' numbers of values may differ."""
_ALL_FOLDS = "train all of them"
_BEFORE = "it failed in this merge request before: show that it is fixed, or have somebody accept it"
_NOT_CLEARED = "it failed in this merge request before, and these runs don't show that it is fixed"
_FINITE = "this merge request has logged no finite value of it: log finite values"
_SEVERITY = (Outcome.PASS, Outcome.WARN, Outcome.FAIL)
_CLEARED = 0.2
"""A rule that was broken on other files counts as fixed when chance makes such a drop more often than this."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The result of one rule for one metric. `expects` is the rule in words and `sentence` what was found; neither
    contains anything that a user wrote. Where nobody can tell whether the rule holds, the outcome is that of a broken
    rule if the merge request is the cause, or else the contract's `if_unknown`. `advice` says what to do, or what would
    tell. `difference` holds the values that were tested, such as the best ones.
    """

    metric: str
    rule: Rule
    outcome: Outcome
    expects: str
    sentence: str
    verdict: Verdict
    advice: str = ""
    decision: Decision | None = None
    difference: Difference | None = None

    @property
    def known(self) -> bool:
        """Whether it could be told if the rule holds."""
        return self.verdict is not Verdict.CANT_TELL

    @property
    def full_sentence(self) -> str:
        """What was found, and what to do."""
        return f"{self.sentence}; {self.advice}" if self.advice else self.sentence

    @property
    def explained(self) -> str:
        """The verdict, what was found, and what was expected, unless that is said already or the rule is kept."""
        found = f"{self.verdict}: {self.full_sentence}"
        plain = self.rule.worse_by is None or (self.decision is None and self.verdict is Verdict.WORSE)
        return found if plain or self.outcome is Outcome.PASS else f"{found}; {self.expects}"


def hypotheses(compared: Comparison, model: Model, *, target: str, pipelines: Mapping[int, int]) -> list[Hypothesis]:
    """List what the rules that compare with the baseline ask to be tested. `pipelines` maps the place of a pipeline of
    the target branch, the baseline's first, to its id.
    """
    return [
        one.hypothesis(pipelines)
        for check in _checks(compared, model, target)
        if isinstance(check, _Check) and (one := check.question()) is not None
    ]


def judge(
    compared: Comparison,
    model: Model,
    *,
    target: str,
    decisions: Mapping[Key, Decision],
    red: AbstractSet[str] = frozenset(),
) -> tuple[Ruling, ...]:
    """Apply each rule for this target branch to each metric that it names. `decisions` answer `hypotheses`.

    `red` are the rules that this merge request has broken before, as `name_of` names them: one whose result is unknown
    now, or which is no more than just kept, counts as still broken.
    """
    rulings = [
        one.ruling(decisions, red) if isinstance(one, _Check) else one for one in _checks(compared, model, target)
    ]
    return _still_red(rulings, model, target, red) if red and compared.best else tuple(rulings)


def compared_by_rules(compared: Comparison, model: Model, *, target: str) -> set[str]:
    """Name the metrics whose last values a rule compares with the baseline's."""
    return {
        name
        for rule in model.rules
        if applies(rule, target) and compares_last(rule)
        for name in globs.matching({one.name: None for one in compared.metrics}, rule.metric)
    }


def compares_last(rule: Rule) -> bool:
    return rule.worse_by is not None and rule.value is Value.LAST


def name_of(model: str, ruling: Ruling) -> str:
    """Name a rule and its metric in a form that stays the same from pipeline to pipeline."""
    return f"{model}: {ruling.metric} {ruling.expects}"


def _still_red(rulings: Iterable[Ruling], model: Model, target: str, red: AbstractSet[str]) -> tuple[Ruling, ...]:
    """Fail what was broken before and is unknown now, and what is not logged any more."""
    held = [_unless_fixed(one, model, red) for one in rulings]
    left = sorted(red - {name_of(model.name, one) for one in held})
    for rule in model.rules if left else ():
        start, end = f"{model.name}: ", f" {expectation(rule)}"
        if applies(rule, target):
            metrics = [one[len(start) : -len(end)] for one in left if one.startswith(start) and one.endswith(end)]
            for metric in globs.matching(metrics, rule.metric):
                found = "no longer logged"
                held.append(Ruling(metric, rule, Outcome.FAIL, expectation(rule), found, Verdict.WORSE, advice=_BEFORE))
            left = [one for one in left if one not in {name_of(model.name, each) for each in held}]
    return tuple(held)


def _unless_fixed(one: Ruling, model: Model, red: AbstractSet[str]) -> Ruling:
    if one.known or one.outcome is Outcome.FAIL or name_of(model.name, one) not in red:
        return one
    return replace(one, outcome=Outcome.FAIL, advice=_BEFORE)


def _checks(compared: Comparison, model: Model, target: str) -> "list[_Check | Ruling]":
    """List each rule with each metric that it names, and rulings where there is nothing to check."""
    if compared.best is None:
        return []
    changes = {one.name: one for one in compared.metrics}
    not_numbers = _not_numbers(compared.best)
    known = changes.keys() | set(_not_numbers(compared.baseline))
    new_ones = [name for name in not_numbers if name not in known]
    found: list[_Check | Ruling] = []
    for place, rule in enumerate(model.rules):
        if not applies(rule, target):
            continue
        names = sorted(globs.matching(changes, rule.metric))
        if names and len(found) + len(names) > MOST_RULINGS:
            # Otherwise logging very many metrics would be a way to pass.
            many = f"{len(names)} metrics are too many to check"
            found.append(_unchecked(rule, Outcome(rule.then), many))
        elif names:
            found += [_Check(place, rule, changes[name], compared, model) for name in names]
            if rule.at_least is not None or rule.at_most is not None:
                # A slice that is not a number is outside every bound, whatever the other slices are.
                found += _odd(rule, globs.matching(new_ones, rule.metric))
        elif odd := globs.matching(not_numbers, rule.metric):
            found += _odd(rule, odd)
        else:
            missing = "no run has logged it" if rule.metric.isidentifier() else "no metric has such a name"
            found.append(_unchecked(rule, model.if_unknown, missing))
    return found


def _unchecked(rule: Rule, outcome: Outcome, why: str) -> Ruling:
    return Ruling(rule.metric, rule, outcome, expectation(rule), why, Verdict.CANT_TELL)


def _odd(rule: Rule, names: list[str]) -> list[Ruling]:
    broken = Outcome(rule.then)
    return [
        Ruling(name, rule, broken, expectation(rule), "diverged: not a number", Verdict.WORSE)
        for name in names[:_MOST_ODD]
    ]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    return max(outcomes, key=_SEVERITY.index, default=Outcome.PASS)


def summary(outcomes: Iterable[Outcome], silent: Iterable[Outcome] = ()) -> str:
    """Sum up the outcomes of rules, and those of models that were not trained, in words."""
    found, missed = list(outcomes), list(silent)
    broken, warnings = found.count(Outcome.FAIL), found.count(Outcome.WARN)
    failing, warning = missed.count(Outcome.FAIL), missed.count(Outcome.WARN)
    warned = _counted(warnings + warning, "warning") if warnings + warning else ""
    if broken or failing:
        parts = [f"{_counted(broken, 'rule')} broken"] if broken else []
        parts += [f"{_counted(failing, 'model')} not trained here"] if failing else []
        return f"gate failed: {', '.join(parts)}" + (f", {warned}" if warned else "")
    missing = f": {_counted(warning, 'model')} not trained here" if warning else ""
    return f"gate passed with {warned}{missing}" if warned else "gate passed"


def _counted(number_of: int, noun: str) -> str:
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"


def expectation(rule: Rule) -> str:
    """Say in words what a rule expects."""
    parts = []
    if rule.worse_by is not None:
        word = {HigherOrLower.HIGHER: "drop", HigherOrLower.LOWER: "rise"}.get(
            rule.better or HigherOrLower.HIGHER, "drop"
        )
        bound = "" if rule.worse_by.amount == 0 else f" by more than {_amount(rule.worse_by)}"
        parts.append(f"must not {word}{bound}")
    if rule.at_least is not None:
        parts.append(f"at least {rule.at_least:g}")
    if rule.at_most is not None:
        parts.append(f"at most {rule.at_most:g}")
    return ", ".join(parts) + (" (best value)" if rule.value is Value.BEST else "")


def _amount(tolerance: Tolerance) -> str:
    return f"{tolerance.amount:g} %" if tolerance.percent else f"{tolerance.amount:g}"


@dataclass(frozen=True, slots=True)
class _Question:
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
    schedules: str = ""  # set if the two sides' numbers of values differ, so that their best ones are no match
    fewer: bool = False  # this side has logged fewer

    def hypothesis(self, pipelines: Mapping[int, int]) -> Hypothesis:
        branch = {pipelines.get(place, -place): value for place, value in self.branch.items()}
        return Hypothesis(self.key, self.family, self.direction.better, self.allowed).at(self.looks, branch)

    def chance(self) -> float:
        """Return how often chance alone makes a loss this much larger than the one allowed, on its own."""
        if self.evidence is None:
            return 1.0
        lower = self.direction.better is Better.LOWER
        return self.evidence.above(self.allowed) if lower else self.evidence.below(-self.allowed)


@dataclass(frozen=True, slots=True)
class _Check:
    """One rule, the `place`th of its model, applied to one metric that it names."""

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
        settled = self._settled()
        if settled is not None:
            return settled
        asked = self.question()
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
        ruled = replace(self._ruled(found, asked, decision), difference=found.difference)
        if ruled.outcome is not Outcome.FAIL and decision is not None and name_of(self.model.name, ruled) in red:
            return ruled if decision.was_worse else unless_cleared(ruled, asked.chance())
        return ruled

    @property
    def _percent(self) -> float | None:
        tolerated = self.rule.worse_by
        return tolerated.amount if tolerated is not None and tolerated.percent else None

    def question(self) -> "_Question | None":
        """Return what has to be tested; None where the rule needs no test, or there is nothing to test."""
        if self.rule.worse_by is None or self._settled() is not None:
            return None
        now, before = self._side(self.compared.best), self._side(self.compared.baseline)
        if now is None or before is None:
            return None
        of_best = self.rule.value is Value.BEST
        earlier = [self._side(one) for one in self.compared.comparable]
        weighed, level, looks = self.change.evidence, self.change.level, self.change.earlier
        if of_best:
            level = evidence.level(before, [one for one in earlier if one is not None])
            contest = weighed.contest if weighed is not None else ALONE
            weighed = evidence.weigh(level, now, contest)
            looks = self._best_of_looks(level, contest)
        tolerance = self.rule.worse_by
        held_to = now.mean - weighed.difference if weighed is not None else before.mean
        return _Question(
            Key(self.model.name, self.change.name, self.place),
            Family.FAIL if self.rule.then is Then.FAIL else Family.OTHER,
            self.direction,
            before,
            now,
            abs(held_to) * tolerance.amount / 100 if tolerance.percent else tolerance.amount,
            weighed,
            level,
            single_values([before, *earlier]),
            (Look(self.compared.share, now, weighed), *looks),
            *(_schedules(self.change.name, self.compared) if of_best else ()),
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

    def _settled(self) -> Ruling | None:
        """Rule where no test is needed."""
        if self.change.current is None:
            # Otherwise deleting a metric would be a way to pass.
            return self.say(self.broken, missing(self.compared, self.change), Verdict.WORSE)
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
            return self.say(Outcome.PASS, "no baseline yet", Verdict.CANT_TELL)
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
        if odd := self.compared.odd(self.change.name):
            return self.say(self.broken, diverged(odd, best), Verdict.WORSE)
        if baseline is not None and (lacking := self.compared.lacking(self.change.name)):
            return self._unknown(f"logged in only {len(best.runs) - lacking} of {len(best.runs)} runs")
        if not self.model.pair_by or baseline is None:
            return None
        lost, of_all = folds.lost(baseline.runs, best.runs, self.change.name, self.model.pair_by)
        if not lost:
            return None
        sentence = f"{lost} of the baseline's {_counted(of_all, 'fold')} not logged here"
        return self.say(self.broken, sentence, Verdict.CANT_TELL, _ALL_FOLDS)

    def _ruled(self, found: Found, asked: "_Question", decision: Decision | None) -> Ruling:
        if asked.schedules and (asked.fewer or found.verdict is not Verdict.WORSE):
            # More values make the best one better. Fewer that are worse can't be told, and are this side's doing.
            outcome = self.broken if found.verdict is Verdict.WORSE else self.model.if_unknown
            return self.say(outcome, asked.schedules, Verdict.CANT_TELL, _SAME_SCHEDULE, decision)
        outcome, advice = Outcome.PASS, found.advice
        if found.verdict is Verdict.WORSE:
            outcome = self.broken
        elif found.verdict is Verdict.CANT_TELL:
            outcome = self.model.if_unknown
            if asked.evidence is None and asked.now.n < asked.before.n:
                outcome = self.broken
                advice = f"{_counted(asked.now.n, 'run')} here, {asked.before.n} in the baseline: train with as many"
        return self.say(outcome, found.sentence, found.verdict, advice, decision)

    def _unknown(self, sentence: str) -> Ruling:
        return self.say(self.model.if_unknown, sentence, Verdict.CANT_TELL)


def unless_cleared(ruled: Ruling, chance: float) -> Ruling:
    """Keep a rule broken that failed before, unless these runs speak against it, and not luck alone. `chance` is how
    often that makes such a loss.
    """
    if chance > _CLEARED:
        return ruled
    return replace(ruled, outcome=Outcome.FAIL, verdict=Verdict.WORSE, advice=_NOT_CLEARED)


def missing(compared: Comparison, change: MetricChange) -> str:
    """Say why a metric has no value here."""
    best = compared.best
    odd = _odd_runs(best, change.name) if best is not None else 0
    return diverged(odd, best) if best is not None and odd else "no longer logged"


def diverged(odd: int, best: Group) -> str:
    runs = len(best.runs)
    return "diverged: not a number" if runs == 1 else f"diverged: not a number in {odd} of {runs} runs"


def single_values(pipelines: Iterable[Summary | None]) -> dict[int, float]:
    """Return the value of each of the target branch's pipelines, by its place, if all have a single run; empty
    otherwise.
    """
    known = {place: one for place, one in enumerate(pipelines) if one is not None}
    alike = all(one.n == 1 for one in known.values())
    return {place: one.mean for place, one in known.items()} if alike else {}


def applies(rule: Rule, target: str) -> bool:
    """Whether a rule is meant for a target branch."""
    return rule.target is None or fnmatch.fnmatchcase(target, rule.target)


def _not_numbers(group: Group | None) -> list[str]:
    """List the metrics for which no run of a group logged a number, such as the loss of a training that diverged."""
    if group is None:
        return []
    return sorted({name for run in group.runs for name in run.metrics} - group.metrics.keys())


def _odd_runs(group: Group, metric: str) -> int:
    return sum(metric in run.metrics and not usable(run.metrics[metric]) for run in group.runs)


def _schedules(metric: str, compared: Comparison) -> tuple[str, bool]:
    """Say how many values the best ones were chosen from, if the two sides' numbers differ, and whether this side has
    fewer.
    """
    here, there = _points(metric, compared.best), _points(metric, compared.baseline)
    if here is None or there is None:
        return "how many values the best ones were chosen from is not known", False
    if max(here, there) <= _MOST_MORE * min(here, there):
        return "", False
    return f"best of {here:.0f} values here, of {there:.0f} there", here < there


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

"""Apply the contract's rules to a comparison: pass, warn or fail, and why."""

import fnmatch
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import HigherOrLower, Model, Outcome, Rule, Then, Tolerance, Value

from . import evidence, folds, globs
from .comparison import Comparison, MetricChange, difference_text
from .direction import Basis, Better, MetricDirection
from .grouping import Group, usable
from .numbers import number

MOST_RULINGS = 10_000
"""The most pairs of rule and metric to check: a model may have a hundred globs, and its runs any number of metrics."""

_MOST_ODD = 100
_SAME_DATA = "this merge request has changed it: log the baseline's dataset, or have somebody accept the new one"
_ALL_FOLDS = "train all of them"
_BEFORE = "it failed in this merge request before: show that it is fixed, or have somebody accept it"
_NOISE_UNKNOWN = "noise unknown, add seeds to tell"
_FINITE = "this merge request has logged no finite value of it: log finite values"
_SEVERITY = (Outcome.PASS, Outcome.WARN, Outcome.FAIL)


@dataclass(frozen=True, slots=True)
class Ruling:
    """The result of one rule for one metric. `expects` is the rule in words and `sentence` what was found; neither
    contains anything that a user wrote. `known` is False where nobody can say whether the rule holds. The outcome is
    then that of a broken rule if the merge request is the cause, or else the contract's `if_unknown`, and `advice` says
    what to do.
    """

    metric: str
    rule: Rule
    outcome: Outcome
    expects: str
    sentence: str
    known: bool = True
    advice: str = ""

    @property
    def full_sentence(self) -> str:
        """What was found, and what to do."""
        return f"{self.sentence}; {self.advice}" if self.advice else self.sentence


def judge(
    compared: Comparison, model: Model, *, target: str, red: AbstractSet[str] = frozenset()
) -> tuple[Ruling, ...]:
    """Apply each rule for this target branch to each metric that it names.

    `red` are the rules that this merge request has broken before, as `name_of` names them: one whose result is unknown
    now counts as still broken.
    """
    if compared.best is None:
        return ()
    rulings = _rulings(compared, model, compared.best, target)
    return _still_red(rulings, model, target, red) if red else tuple(rulings)


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
                held.append(Ruling(metric, rule, Outcome.FAIL, expectation(rule), found, known=False, advice=_BEFORE))
            left = [one for one in left if one not in {name_of(model.name, each) for each in held}]
    return tuple(held)


def _unless_fixed(one: Ruling, model: Model, red: AbstractSet[str]) -> Ruling:
    if one.known or one.outcome is Outcome.FAIL or name_of(model.name, one) not in red:
        return one
    return replace(one, outcome=Outcome.FAIL, advice=_BEFORE)


def _rulings(compared: Comparison, model: Model, best: Group, target: str) -> list[Ruling]:
    changes = {one.name: one for one in compared.metrics}
    not_numbers = _not_numbers(best)
    known = changes.keys() | set(_not_numbers(compared.baseline))
    new_ones = [name for name in not_numbers if name not in known]
    rulings: list[Ruling] = []
    for rule in (one for one in model.rules if applies(one, target)):
        names = sorted(globs.matching(changes, rule.metric))
        if names and len(rulings) + len(names) > MOST_RULINGS:
            found = f"{len(names)} metrics are too many to check"
            # Otherwise logging very many metrics would be a way to pass.
            rulings.append(Ruling(rule.metric, rule, Outcome(rule.then), expectation(rule), found, known=False))
        elif names:
            rulings += [_Check(rule, changes[name], compared, model).ruling() for name in names]
            if rule.at_least is not None or rule.at_most is not None:
                # A slice that is not a number is outside every bound, whatever the other slices are.
                rulings += _odd(rule, globs.matching(new_ones, rule.metric))
        elif odd := globs.matching(not_numbers, rule.metric):
            rulings += _odd(rule, odd)
        else:
            missing = "no run has logged it" if rule.metric.isidentifier() else "no metric has such a name"
            rulings.append(Ruling(rule.metric, rule, model.if_unknown, expectation(rule), missing, known=False))
    return rulings


def _odd(rule: Rule, names: list[str]) -> list[Ruling]:
    broken = Outcome(rule.then)
    return [Ruling(name, rule, broken, expectation(rule), "not a number") for name in names[:_MOST_ODD]]


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
class _Check:
    """One rule applied to one metric that it names."""

    rule: Rule
    change: MetricChange
    compared: Comparison
    model: Model

    @property
    def broken(self) -> Outcome:
        return Outcome.FAIL if self.rule.then is Then.FAIL else Outcome.WARN

    def say(self, outcome: Outcome, sentence: str, *, known: bool = True, advice: str = "") -> Ruling:
        return Ruling(self.change.name, self.rule, outcome, expectation(self.rule), sentence, known, advice)

    def ruling(self) -> Ruling:
        rule = self.rule
        if self.change.current is None:
            # Otherwise deleting a metric would be a way to pass.
            return self.say(self.broken, "no longer logged, or not a number")
        value = _value(rule, self.change, self.compared.best)
        if value is None:
            return self.say(self.broken, "its history is not known", known=False, advice=_FINITE)
        if rule.at_least is not None and value < rule.at_least:
            return self.say(self.broken, f"{number(value)} is less")
        if rule.at_most is not None and value > rule.at_most:
            return self.say(self.broken, f"{number(value)} is more")
        partial = self._of_a_part()
        if partial is not None or rule.worse_by is None:
            return partial or self.say(Outcome.PASS, number(value))
        return self._against_baseline(rule.worse_by, value)

    def _of_a_part(self) -> Ruling | None:
        """Handle a mean over only some of the runs or folds, which would hide the others."""
        best, baseline = self.compared.best, self.compared.baseline
        if best is None:
            return None
        if odd := self.compared.odd(self.change.name):
            return self.say(self.broken, f"not a number in {odd} of {_counted(len(best.runs), 'run')}")
        if not self.model.pair_by or baseline is None:
            return None
        lost, of_all = folds.lost(baseline.runs, best.runs, self.change.name, self.model.pair_by)
        if not lost:
            return None
        sentence = f"{lost} of the baseline's {_counted(of_all, 'fold')} not logged here"
        return self.say(self.broken, sentence, known=False, advice=_ALL_FOLDS)

    def _against_baseline(self, tolerance: Tolerance, value: float) -> Ruling:
        if self.compared.incomparable and self.compared.evades:
            return self.say(self.broken, self.compared.incomparable, known=False, advice=_SAME_DATA)
        if self.compared.incomparable:
            return self._unknown(self.compared.incomparable)
        if self.change.baseline is None:
            return self.say(Outcome.PASS, "no baseline yet")
        of_best = self.rule.value is Value.BEST
        before = _value(self.rule, self.change, self.compared.baseline) if of_best else self.change.baseline.mean
        if before is None:
            return self._unknown("the baseline's history is not known")
        lower = self.rule.better is HigherOrLower.LOWER
        direction = MetricDirection(Better.LOWER if lower else Better.HIGHER, Basis.STATED)
        loss = -direction.gain(value - before)
        allowed = abs(before) * tolerance.amount / 100 if tolerance.percent else tolerance.amount
        difference = difference_text(self.change.name, direction, before, value)
        if loss <= 0 or loss <= allowed * (1 + 1e-9):
            return self.say(Outcome.PASS, "unchanged" if loss == 0 else difference)
        return self._of_a_loss(difference, allowed or loss)

    def _of_a_loss(self, difference: str, to_show: float) -> Ruling:
        """Rule on a loss that the rule does not allow, if it is real. `to_show` is the difference that more seeds would
        have to show.
        """
        weighed, now, before = self.change.evidence, self.change.current, self.change.baseline
        if weighed is None and now is not None and before is not None and now.n < before.n:
            fewer = f"{_counted(now.n, 'run')} here, {before.n} in the baseline: train with as many"
            return self.say(self.broken, f"{difference}; {_NOISE_UNKNOWN}", known=False, advice=fewer)
        if weighed is None:
            return self._unknown(f"{difference}; {_NOISE_UNKNOWN}")
        if weighed.hidden is not None:
            spread = f"these runs spread {number(weighed.hidden, decimals=1)} times as much as the branch's"
            return self._unknown(f"{difference}; {spread}, which may hide a drop")
        if not weighed.real():
            seeds = evidence.seeds_needed(weighed.sd, to_show)
            more = f"; {seeds} seeds a side would tell" if seeds else ""
            return self.say(Outcome.PASS, f"{difference}, within noise{more}")
        return self.say(self.broken, f"{difference}, real")

    def _unknown(self, sentence: str) -> Ruling:
        return self.say(self.model.if_unknown, sentence, known=False)


def applies(rule: Rule, target: str) -> bool:
    """Whether a rule is meant for a target branch."""
    return rule.target is None or fnmatch.fnmatchcase(target, rule.target)


def _not_numbers(group: Group | None) -> list[str]:
    """List the metrics for which no run of a group logged a number, such as the loss of a training that diverged."""
    if group is None:
        return []
    return sorted({name for run in group.runs for name in run.metrics} - group.metrics.keys())


def _value(rule: Rule, one: MetricChange, group: Group | None) -> float | None:
    """Return the value that a rule looks at: the mean of the runs' last values, or of their best."""
    if rule.value is Value.LAST:
        return one.current.mean if one.current else None
    if group is None:
        return None
    place = 0 if rule.better is HigherOrLower.LOWER else 1
    found = [run.extremes[one.name][place] for run in group.runs if one.name in run.extremes]
    found = [value for value in found if usable(value)]
    return sum(found) / len(found) if found else None

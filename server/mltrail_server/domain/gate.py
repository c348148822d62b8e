"""What the contract's rules say of a comparison: pass, warn or fail, and why."""

import fnmatch
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import Model, Outcome, Rule, Then, Tolerance, Value, Way

from . import evidence, folds, globs
from .comparison import Comparison, MetricChange
from .comparison import difference_text as difference_of
from .direction import Basis, Better, MetricDirection
from .grouping import Group, usable
from .numbers import number

MOST_RULINGS = 10_000
"""A model's rules may hold a thousand globs and its runs any number of metrics: so many pairs are looked at."""

_MOST_ODD = 100
_SAME_DATA = "this merge request has changed it: log the data that the baseline has, or have somebody accept the new"
_ALL_FOLDS = "train all of them"
_BEFORE = "it failed in this merge request before: show that it is mended, or have somebody accept it"
_FINITE = "this merge request has logged no number to tell it by: log finite values"
_SEVERITY = (Outcome.PASS, Outcome.WARN, Outcome.FAIL)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one rule says of one metric. `expects` tells the rule, `sentence` what was found: neither holds anything
    that a user wrote. `known` is False where the outcome is unknown; it is then what the contract wants: what a
    broken rule leads to where that is the merge request's doing, else `if_unknown`. `advice` says
    what to do then.
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
        """The sentence, and what to do."""
        return f"{self.sentence}; {self.advice}" if self.advice else self.sentence


def judge(
    compared: Comparison, model: Model, *, target: str, red: AbstractSet[str] = frozenset()
) -> tuple[Ruling, ...]:
    """Hold each rule that is meant for this target branch against each metric that it names.

    `red` are the rules that this merge request has broken before, as `name_of` names them: what nobody can tell any
    more is not mended.
    """
    if compared.best is None:
        return ()
    rulings = _rulings(compared, model, compared.best, target)
    return _still_red(rulings, model, target, red) if red else tuple(rulings)


def name_of(model: str, ruling: Ruling) -> str:
    """Name what is ruled in a form that stays the same from pipeline to pipeline."""
    return f"{model}: {ruling.metric} {ruling.expects}"


def _still_red(rulings: Iterable[Ruling], model: Model, target: str, red: AbstractSet[str]) -> tuple[Ruling, ...]:
    held = [
        replace(one, outcome=Outcome.FAIL, advice=_BEFORE)
        if not one.known and one.outcome is not Outcome.FAIL and name_of(model.name, one) in red
        else one
        for one in rulings
    ]
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


def _rulings(compared: Comparison, model: Model, best: Group, target: str) -> list[Ruling]:
    changes = {one.name: one for one in compared.metrics}
    not_numbers = _not_numbers(best)
    before = set(_not_numbers(compared.baseline)) if compared.baseline is not None else set()
    new_ones = [name for name in not_numbers if name not in changes and name not in before]
    rulings: list[Ruling] = []
    for rule in model.rules:
        if not applies(rule, target):
            continue
        names = sorted(globs.matching(changes, rule.metric))
        if names and len(rulings) + len(names) > MOST_RULINGS:
            found = f"{len(names)} metrics are too many to check"
            # Otherwise logging very many would be a way to pass.
            rulings.append(Ruling(rule.metric, rule, Outcome(rule.then), expectation(rule), found, known=False))
        elif names:
            rulings += [_ruling(rule, changes[name], compared, model) for name in names]
            if rule.at_least is not None or rule.at_most is not None:
                # A slice that is no number keeps no bound, whatever the others do.
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
    """Sum up rulings in words, and what came of models that were not trained."""
    found, missed = list(outcomes), list(silent)
    broken, warnings = found.count(Outcome.FAIL), found.count(Outcome.WARN)
    failing, warning = missed.count(Outcome.FAIL), missed.count(Outcome.WARN)
    beside = _counted(warnings + warning, "warning") if warnings + warning else ""
    if broken or failing:
        parts = [f"{_counted(broken, 'rule')} broken"] if broken else []
        parts += [f"{_counted(failing, 'model')} not trained here"] if failing else []
        return f"gate failed: {', '.join(parts)}" + (f", {beside}" if beside else "")
    missing = f": {_counted(warning, 'model')} not trained here" if warning else ""
    return f"gate passed with {beside}{missing}" if beside else "gate passed"


def _counted(number_of: int, noun: str) -> str:
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"


def expectation(rule: Rule) -> str:
    """Say in words what a rule wants."""
    parts = []
    if rule.worse_by is not None:
        word = {Way.HIGHER: "drop", Way.LOWER: "rise"}.get(rule.better or Way.HIGHER, "drop")
        bound = "" if rule.worse_by.amount == 0 else f" by more than {_amount(rule.worse_by)}"
        parts.append(f"must not {word}{bound}")
    if rule.at_least is not None:
        parts.append(f"at least {rule.at_least:g}")
    if rule.at_most is not None:
        parts.append(f"at most {rule.at_most:g}")
    return ", ".join(parts) + (" (best value)" if rule.value is Value.BEST else "")


def _amount(tolerance: Tolerance) -> str:
    return f"{tolerance.amount:g} %" if tolerance.percent else f"{tolerance.amount:g}"


def _ruling(rule: Rule, one: MetricChange, compared: Comparison, model: Model) -> Ruling:
    broken = Outcome.FAIL if rule.then is Then.FAIL else Outcome.WARN

    def say(outcome: Outcome, sentence: str, *, known: bool = True, advice: str = "") -> Ruling:
        return Ruling(one.name, rule, outcome, expectation(rule), sentence, known, advice)

    if one.current is None:
        # Otherwise deleting a metric would be a way to pass.
        return say(broken, "no longer logged, or not a number")
    value = _value(rule, one, compared.best)
    if value is None:
        return say(broken, "its history is not known", known=False, advice=_FINITE)
    if rule.at_least is not None and value < rule.at_least:
        return say(broken, f"{number(value)} is less")
    if rule.at_most is not None and value > rule.at_most:
        return say(broken, f"{number(value)} is more")
    partial = _of_a_part(rule, one, compared, model, broken)
    if partial is not None or rule.worse_by is None:
        return partial or say(Outcome.PASS, number(value))
    return _against_baseline(rule, rule.worse_by, one, value, compared, model, broken)


def _of_a_part(rule: Rule, one: MetricChange, compared: Comparison, model: Model, broken: Outcome) -> Ruling | None:
    """Rule on a mean of some of the runs or folds only: it would hide what became of the others."""
    if compared.best is None:
        return None
    if odd := compared.odd(one.name):
        found = f"not a number in {odd} of {_counted(len(compared.best.runs), 'run')}"
        return Ruling(one.name, rule, broken, expectation(rule), found)
    if not model.pair_by or compared.baseline is None:
        return None
    lost, of_all = folds.lost(compared.baseline.runs, compared.best.runs, one.name, model.pair_by)
    if not lost:
        return None
    found = f"{lost} of the baseline's {_counted(of_all, 'fold')} not logged here"
    return Ruling(one.name, rule, broken, expectation(rule), found, known=False, advice=_ALL_FOLDS)


def _against_baseline(  # noqa: C901, PLR0911, PLR0917 - a way out for each thing that a reviewer reads
    rule: Rule,
    tolerance: Tolerance,
    one: MetricChange,
    value: float,
    compared: Comparison,
    model: Model,
    broken: Outcome,
) -> Ruling:
    def say(outcome: Outcome, sentence: str, *, known: bool = True, advice: str = "") -> Ruling:
        return Ruling(one.name, rule, outcome, expectation(rule), sentence, known, advice)

    if compared.incomparable and compared.evades:
        return say(broken, compared.incomparable, known=False, advice=_SAME_DATA)
    if compared.incomparable:
        return say(model.if_unknown, compared.incomparable, known=False)
    if one.baseline is None:
        return say(Outcome.PASS, "no baseline yet")
    before = _value(rule, one, compared.baseline) if rule.value is Value.BEST else one.baseline.mean
    if before is None:
        return say(model.if_unknown, "the baseline's history is not known", known=False)
    direction = MetricDirection(Better.LOWER if rule.better is Way.LOWER else Better.HIGHER, Basis.TOLD)
    loss = -direction.gain(value - before)
    allowed = abs(before) * tolerance.amount / 100 if tolerance.percent else tolerance.amount
    difference = difference_of(one.name, direction, before, value)
    if loss <= 0 or loss <= allowed * (1 + 1e-9):
        return say(Outcome.PASS, "unchanged" if loss == 0 else difference)
    if one.evidence is None and one.current is not None and one.current.n < one.baseline.n:
        fewer = f"{_counted(one.current.n, 'run')} here, {one.baseline.n} in the baseline: train with as many"
        return say(broken, f"{difference}; noise unknown, add seeds to tell", known=False, advice=fewer)
    if one.evidence is None:
        return say(model.if_unknown, f"{difference}; noise unknown, add seeds to tell", known=False)
    if one.evidence.hidden is not None:
        spread = f"these runs spread {number(one.evidence.hidden, decimals=1)} times as much as the branch's"
        return say(model.if_unknown, f"{difference}; {spread}, which may hide a drop", known=False)
    if not one.evidence.real():
        seeds = evidence.seeds_needed(one.evidence.sd, allowed or loss)
        more = f"; {seeds} seeds a side would tell" if seeds else ""
        return say(Outcome.PASS, f"{difference}, within noise{more}")
    return say(broken, f"{difference}, real")


def applies(rule: Rule, target: str) -> bool:
    """Tell whether a rule is meant for a target branch."""
    return rule.target is None or fnmatch.fnmatchcase(target, rule.target)


def _not_numbers(group: Group) -> list[str]:
    """List what a group has logged and no run as a number, such as the loss of a training that went astray."""
    return sorted({name for run in group.runs for name in run.metrics} - group.metrics.keys())


def _value(rule: Rule, one: MetricChange, group: Group | None) -> float | None:
    """Answer the value that a rule looks at: the mean of the last ones, or of each run's best."""
    if rule.value is Value.LAST:
        return one.current.mean if one.current else None
    if group is None:
        return None
    place = 0 if rule.better is Way.LOWER else 1
    found = [run.extremes[one.name][place] for run in group.runs if one.name in run.extremes]
    found = [value for value in found if usable(value)]
    return sum(found) / len(found) if found else None

"""Apply the contract's rules to a comparison: pass, warn or fail, and why."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from mltrail_contract import Model, Outcome, Rule

from . import globs, rules
from .comparison import Comparison
from .grouping import Group
from .hypotheses import Decision, Hypothesis, Key
from .numbers import count
from .rule_check import Check
from .rules import Ruling, applies, expectation, name_of
from .verdict import Verdict

MOST_RULINGS = 10_000
"""The most pairs of rule and metric to check: a model may have a hundred globs, and its runs any number of metrics."""

_MOST_ODD = 100


def hypotheses(checks: Iterable[Check | Ruling], pipelines: Mapping[int, int]) -> list[Hypothesis]:
    """List what the rules that compare with the baseline ask to be tested. `pipelines` maps the place of a pipeline of
    the target branch, the baseline's first, to its id.
    """
    return [
        check.question.hypothesis(pipelines)
        for check in checks
        if isinstance(check, Check) and check.question is not None
    ]


def judge(
    checks: Iterable[Check | Ruling],
    model: Model,
    *,
    target: str,
    decisions: Mapping[Key, Decision],
    red: AbstractSet[str] = frozenset(),
) -> tuple[Ruling, ...]:
    """Apply the rules for this target branch. `decisions` answer `hypotheses`.

    `red` are the rules that this merge request has broken before, as `rules.name_of` names them: one whose result is
    unknown now, or that only just holds, counts as still broken.
    """
    rulings = [one.ruling(decisions, red) if isinstance(one, Check) else one for one in checks]
    return _still_red(rulings, model, target, red) if red else tuple(rulings)


def compared_by_rules(compared: Comparison, model: Model, *, target: str) -> set[str]:
    """Name the metrics whose last values a rule compares with the baseline's."""
    return {
        name
        for rule in model.rules
        if applies(rule, target) and rules.compares_last(rule)
        for name in globs.matching({one.name: None for one in compared.metrics}, rule.metric)
    }


def _still_red(rulings: Iterable[Ruling], model: Model, target: str, red: AbstractSet[str]) -> tuple[Ruling, ...]:
    """Fail what was broken before and is unknown now, and what is not logged any more."""
    held = [rules.unless_fixed(one, model.name, red) for one in rulings]
    left = sorted(red - {name_of(model.name, one) for one in held})
    for rule in model.rules if left else ():
        start, end = f"{model.name}: ", f" {expectation(rule)}"
        if applies(rule, target):
            metrics = [one[len(start) : -len(end)] for one in left if one.startswith(start) and one.endswith(end)]
            held += [
                Ruling(one, rule, Outcome.FAIL, expectation(rule), "no longer logged", Verdict.WORSE, rules.BEFORE)
                for one in globs.matching(metrics, rule.metric)
            ]
            left = [one for one in left if one not in {name_of(model.name, each) for each in held}]
    return tuple(held)


def checks(compared: Comparison, model: Model, *, target: str) -> list[Check | Ruling]:
    """List each rule with each metric that it names, and rulings where there is nothing to check."""
    if compared.best is None:
        return []
    changes = {one.name: one for one in compared.metrics}
    not_numbers = _not_numbers(compared.best)
    known = changes.keys() | set(_not_numbers(compared.baseline))
    new_ones = [name for name in not_numbers if name not in known]
    found: list[Check | Ruling] = []
    for place, rule in enumerate(model.rules):
        if not applies(rule, target):
            continue
        names = sorted(globs.matching(changes, rule.metric))
        if names and len(found) + len(names) > MOST_RULINGS:
            # Otherwise logging very many metrics would be a way to pass.
            many = f"{len(names)} metrics are too many to check"
            found.append(_unchecked(rule, Outcome(rule.then), many))
        elif names:
            found += [Check(place, rule, changes[name], compared, model) for name in names]
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


def summary(outcomes: Iterable[Outcome], silent: Iterable[Outcome] = ()) -> str:
    """Sum up the outcomes of rules, and those of models that were not trained, in words."""
    found, missed = list(outcomes), list(silent)
    broken, warnings = found.count(Outcome.FAIL), found.count(Outcome.WARN)
    failing, warning = missed.count(Outcome.FAIL), missed.count(Outcome.WARN)
    warned = count(warnings + warning, "warning") if warnings + warning else ""
    if broken or failing:
        parts = [f"{count(broken, 'rule')} broken"] if broken else []
        parts += [f"{count(failing, 'model')} not trained here"] if failing else []
        return f"gate failed: {', '.join(parts)}" + (f", {warned}" if warned else "")
    missing = f": {count(warning, 'model')} not trained here" if warning else ""
    return f"gate passed with {warned}{missing}" if warned else "gate passed"


def _not_numbers(group: Group | None) -> list[str]:
    """List the metrics for which no run of a group logged a number, such as the loss of a training that diverged."""
    if group is None:
        return []
    return sorted({name for run in group.runs for name in run.metrics} - group.metrics.keys())

"""Apply the contract's rules about cases."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from mltrail_contract import Model, Outcome, Rule
from mltrail_server.domain import gate
from mltrail_server.domain.gate import Ruling
from mltrail_server.domain.verdict import Verdict

from . import words
from .result import CaseResult

_OWN_CASES = "this merge request is the cause: log the baseline's cases, or have somebody accept the new ones"
_BEFORE = "it failed in this merge request before: show that it is fixed, or have somebody accept it"


def judge(
    model: Model, results: Iterable[CaseResult], *, target: str, red: AbstractSet[str] = frozenset()
) -> tuple[Ruling, ...]:
    """Apply each rule about cases for this target branch.

    `red` are the rules that this merge request has broken before, as `gate.name_of` names them: one whose result is
    unknown now counts as still broken.
    """
    by_name = {one.name: one for one in results}
    rulings = (_ruling(model, rule, by_name) for rule in model.case_rules if gate.applies(rule, target))
    return tuple(_unless_fixed(one, model, red) for one in rulings)


def expectation(rule: Rule) -> str:
    """Say in words what a rule about cases expects."""
    most = rule.broke_at_most or 0
    return f"must break at most {words.count(most)}" if most else "must break no case"


def _ruling(model: Model, rule: Rule, by_name: Mapping[str, CaseResult]) -> Ruling:
    name, allowed = rule.cases or "", rule.broke_at_most or 0
    found = by_name.get(name)
    if found is None or found.counts is None:
        return _unknown(model, rule, found)
    broken = found.counts.broke > allowed
    sentence = words.changed(found.counts, f"{allowed:,} allowed" if broken else "")
    return Ruling(
        name,
        rule,
        Outcome(rule.then) if broken else Outcome.PASS,
        expectation(rule),
        sentence,
        Verdict.WORSE if broken else Verdict.WITHIN_LIMIT,
    )


def _unknown(model: Model, rule: Rule, found: CaseResult | None) -> Ruling:
    ours = found is not None and found.ours
    return Ruling(
        rule.cases or "",
        rule,
        Outcome(rule.then) if ours else model.if_unknown,
        expectation(rule),
        found.problem if found is not None else words.UNREAD,
        Verdict.CANT_TELL,
        advice=_OWN_CASES if ours else "",
    )


def _unless_fixed(one: Ruling, model: Model, red: AbstractSet[str]) -> Ruling:
    if one.verdict is not Verdict.CANT_TELL or one.outcome is Outcome.FAIL or gate.name_of(model.name, one) not in red:
        return one
    return replace(one, outcome=Outcome.FAIL, advice=_BEFORE)

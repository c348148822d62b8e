"""Judge tables of cases: by the contract's rules about them, and without a rule."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import Model, Outcome, Rule, Then
from mltrail_server.domain import rules
from mltrail_server.domain.hypotheses import Decision, Family, Hypothesis, Key
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.verdict import WORST_FIRST, Verdict

from . import tested, words
from .comparison import CaseMetric
from .result import CaseResult

_OWN_CASES = "this merge request is the cause: log the same cases as the baseline, or have somebody accept this table"


@dataclass(frozen=True, slots=True)
class CaseInput:
    """A model's tables, compared. `red` are the rules that this merge request has broken before, by `rules.name_of`.
    Earlier looks at the same files cost nothing: each has a model of its own, and so a question of its own.
    """

    model: Model
    tables: Sequence[CaseResult]
    target: str
    red: AbstractSet[str] = frozenset()


def hypotheses(given: CaseInput) -> list[Hypothesis]:
    """List what is tested: what each rule with `worse_by` asks, and each table that no such rule names."""
    by_name = {one.name: one for one in given.tables if one.compared is not None}
    asked = [
        _hypothesis(given, by_name[rule.cases or ""], place, rule)
        for place, rule in _rules(given)
        if rule.worse_by is not None and rule.cases in by_name
    ]
    ruled = _compared_by_rules(given)
    return asked + [_hypothesis(given, one) for name, one in by_name.items() if name not in ruled]


def judge(given: CaseInput, decisions: Mapping[Key, Decision]) -> tuple[tuple[CaseResult, ...], tuple[Ruling, ...]]:
    """Return the tables with their verdicts, and what each rule for this target branch says. `decisions` answer
    `hypotheses`. A table has the worst verdict of the rules that compare it. A rule that was broken before and whose
    result is unknown now counts as still broken.
    """
    by_name = {one.name: one for one in given.tables}
    rulings = tuple(
        rules.unless_fixed(_ruling(given, place, rule, by_name, decisions), given.model.name, given.red)
        for place, rule in _rules(given)
    )
    comparing = [one for one in rulings if one.rule.worse_by is not None]
    comparing.sort(key=lambda one: WORST_FIRST.index(one.verdict), reverse=True)
    of_rule = {one.metric: one for one in comparing}
    tables = tuple(
        _as_ruled(one, of_rule[one.name]) if one.name in of_rule else _as_tested(given, one, decisions)
        for one in given.tables
    )
    return tables, rulings


def expectation(model: Model, rule: Rule) -> str:
    """Say in words what a rule about cases expects."""
    parts = []
    if rule.broke_at_most is not None:
        parts.append(f"must break at most {words.count(rule.broke_at_most)}" if rule.broke_at_most else _NONE)
    table = model.cases.get(rule.cases or "")
    if rule.worse_by is not None and table is not None:
        metric, tolerance = CaseMetric(table.measure), rule.worse_by
        amount = f"{tolerance.amount:g} %" if tolerance.percent else words.amount(metric, tolerance.amount)
        word = "rise" if words.lower_is_better(table) else "drop"
        parts.append(f"{words.name(metric)} must not {word}" + (f" by more than {amount}" if tolerance.amount else ""))
    return ", ".join(parts)


_NONE = "must break no case"


def _rules(given: CaseInput) -> Iterator[tuple[int, Rule]]:
    return ((place, rule) for place, rule in enumerate(given.model.case_rules) if rules.applies(rule, given.target))


def _compared_by_rules(given: CaseInput) -> set[str | None]:
    return {rule.cases for _, rule in _rules(given) if rule.worse_by is not None}


def _hypothesis(given: CaseInput, one: CaseResult, place: int | None = None, rule: Rule | None = None) -> Hypothesis:
    return Hypothesis(
        Key(given.model.name, one.name, place, cases=True),
        Family.FAIL if rule is not None and rule.then is Then.FAIL else Family.OTHER,
        one.better,
        _allowed(rule, one) if rule is not None else 0.0,
        one.compared.judged if one.compared is not None else None,
    )


def _allowed(rule: Rule, one: CaseResult) -> float:
    """Return the loss that a rule tolerates, in the table's measure."""
    tolerance = rule.worse_by
    if tolerance is None or one.compared is None:
        return 0.0
    return rules.allowed(tolerance, one.compared.held_to)


def _ruling(
    given: CaseInput,
    place: int,
    rule: Rule,
    by_name: Mapping[str, CaseResult],
    decisions: Mapping[Key, Decision],
) -> Ruling:
    one = by_name.get(rule.cases or "")
    if one is None or one.compared is None:
        return _unknown(given.model, rule, one)
    bar = _bar(given.model, rule, one)
    if rule.worse_by is None or (bar is not None and bar.verdict is Verdict.WORSE):
        return bar or _unknown(given.model, rule, one)
    decision, allowed = decisions.get(Key(given.model.name, one.name, place, cases=True)), _allowed(rule, one)
    found = tested.found(one, decision, allowed)
    outcome = {Verdict.WORSE: Outcome(rule.then), Verdict.CANT_TELL: given.model.if_unknown}
    ruled = Ruling(
        one.name,
        rule,
        outcome.get(found.verdict, Outcome.PASS),
        expectation(given.model, rule),
        found.sentence,
        found.verdict,
        found.advice,
        decision,
    )
    if ruled.outcome is Outcome.FAIL or rules.name_of(given.model.name, ruled) not in given.red:
        return ruled
    return rules.unless_cleared(ruled, tested.chance(one, allowed))


def _bar(model: Model, rule: Rule, one: CaseResult) -> Ruling | None:
    """Hold the number of broken cases against the rule's plain bound."""
    if rule.broke_at_most is None or one.counts is None:
        return None
    broken = one.counts.broke > rule.broke_at_most
    return Ruling(
        one.name,
        rule,
        Outcome(rule.then) if broken else Outcome.PASS,
        expectation(model, rule),
        words.changed(one.counts, f"{rule.broke_at_most:,} allowed" if broken else ""),
        Verdict.WORSE if broken else Verdict.WITHIN_LIMIT,
    )


def _unknown(model: Model, rule: Rule, found: CaseResult | None) -> Ruling:
    ours = found is not None and found.ours
    return Ruling(
        rule.cases or "",
        rule,
        Outcome(rule.then) if ours else model.if_unknown,
        expectation(model, rule),
        (found.problem if found is not None else "") or words.UNREAD,
        Verdict.CANT_TELL,
        advice=_OWN_CASES if ours else "",
    )


def _as_ruled(one: CaseResult, ruling: Ruling) -> CaseResult:
    return replace(
        one,
        verdict=ruling.verdict,
        reason=ruling.sentence,
        advice=ruling.advice,
        decision=ruling.decision,
        allowed=_allowed(ruling.rule, one),
    )


def _as_tested(given: CaseInput, one: CaseResult, decisions: Mapping[Key, Decision]) -> CaseResult:
    decision = decisions.get(Key(given.model.name, one.name, cases=True))
    found = tested.found(one, decision)
    return replace(one, verdict=found.verdict, reason=found.sentence, advice=found.advice, decision=decision)

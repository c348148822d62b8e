"""Judge tables of cases: by the contract's rules about them, and without a rule."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import CaseTable, Model, Outcome, Rule, Then
from mltrail_server.domain import rules
from mltrail_server.domain.hypotheses import Decision, Family, Hypothesis, Key
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.verdict import WORST_FIRST, Verdict

from . import evaluation_rule, tested, words
from .comparison import CaseMetric
from .evaluate import SEPARATOR
from .evaluation import EvaluationResult
from .evaluation_rule import OWN_CASES, OWN_EVALUATION, Bounds
from .result import CaseResult


@dataclass(frozen=True, slots=True)
class CaseInput:
    """A model's tables, compared, those of its evaluations' scorers included. `red` are the rules that this merge
    request has broken before, by `rules.name_of`. Earlier looks at the same files cost nothing: each has a model of its
    own, and so a question of its own.
    """

    model: Model
    tables: Sequence[CaseResult]
    target: str
    red: AbstractSet[str] = frozenset()
    evaluations: Sequence[EvaluationResult] = ()


def hypotheses(given: CaseInput) -> list[Hypothesis]:
    """List what is tested: what each rule with `worse_by` asks, and each table that no such rule names."""
    asked = [
        _hypothesis(given, one, place, rule)
        for place, rule in _rules(given)
        if rule.worse_by is not None
        for one in _tables(given, rule)
        if one.compared is not None
    ]
    ruled = _compared_by_rules(given)
    return asked + [
        _hypothesis(given, one) for one in given.tables if one.compared is not None and one.name not in ruled
    ]


def judge(given: CaseInput, decisions: Mapping[Key, Decision]) -> tuple[tuple[CaseResult, ...], tuple[Ruling, ...]]:
    """Return the tables with their verdicts, and what each rule for this target branch says. `decisions` answer
    `hypotheses`. A table has the worst verdict of the rules that compare it. A rule that was broken before and whose
    result is unknown now counts as still broken.
    """
    rulings = tuple(
        rules.unless_fixed(ruling, given.model.name, given.red)
        for place, rule in _rules(given)
        for ruling in _rulings(given, place, rule, decisions)
    )
    rulings += tuple(_still_red(given, rulings))
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
    table = model.cases.get(rule.cases or "")
    if table is not None:
        return _expectation(rule, table)
    parts = [Bounds(model, rule, None, None).expects]
    if (tolerance := rule.worse_by) is not None:
        amount = f" by more than {tolerance.amount:g}{' %' if tolerance.percent else ''}" if tolerance.amount else ""
        parts.append(f"may not get worse on any scorer{amount}")
    return ", ".join(part for part in parts if part)


def _expectation(rule: Rule, table: CaseTable, *, of_scorer: bool = False) -> str:
    """Say what a rule expects of one table. How many cases of an evaluation break is not about one scorer's table."""
    parts = []
    if rule.broke_at_most is not None and not of_scorer:
        parts.append(f"must break at most {words.count(rule.broke_at_most)}" if rule.broke_at_most else _NONE)
    if rule.worse_by is not None:
        metric, tolerance = CaseMetric(table.measure), rule.worse_by
        amount = f"{tolerance.amount:g} %" if tolerance.percent else words.amount(metric, tolerance.amount)
        word = "rise" if words.lower_is_better(table) else "drop"
        bound = f" by more than {amount}" if tolerance.amount else ""
        parts.append(f"{words.name(metric, of_scorer=of_scorer)} {_MUST_NOT}{word}{bound}")
    return ", ".join(parts)


_NONE = "must break no case"
_MUST_NOT = "must not "


def _rules(given: CaseInput) -> Iterator[tuple[int, Rule]]:
    return ((place, rule) for place, rule in enumerate(given.model.case_rules) if rules.applies(rule, given.target))


def _tables(given: CaseInput, rule: Rule) -> list[CaseResult]:
    """List the tables that a rule is about: the one that it names, or those of an evaluation's scorers."""
    if rule.cases in given.model.evaluations:
        return evaluation_rule.tables(rule, given.tables)
    return [one for one in given.tables if one.name == rule.cases and not one.evaluation]


def _compared_by_rules(given: CaseInput) -> set[str]:
    return {one.name for _, rule in _rules(given) if rule.worse_by is not None for one in _tables(given, rule)}


def _rulings(given: CaseInput, place: int, rule: Rule, decisions: Mapping[Key, Decision]) -> list[Ruling]:
    """Return what a rule says: one ruling about a table; of an evaluation one about its cases, and one per scorer."""
    found = _tables(given, rule)
    if rule.cases not in given.model.evaluations:
        return [_ruling(given, place, rule, found[0] if found else None, decisions)]
    evaluation = next((one for one in given.evaluations if one.name == rule.cases), None)
    unlogged = evaluation_rule.unlogged(rule, given.tables)
    about_cases = Bounds(given.model, rule, evaluation, unlogged).ruling()
    rulings = [] if about_cases is None else [about_cases]
    if rule.worse_by is not None and not found:
        # Whatever keeps a bound from being checked keeps this from being tested.
        if about_cases is None or about_cases.known:
            rulings.append(_unknown(given.model, rule, unlogged))
    elif rule.worse_by is not None:
        rulings += [_ruling(given, place, rule, one, decisions) for one in found]
    return rulings


def _still_red(given: CaseInput, rulings: Sequence[Ruling]) -> Iterator[Ruling]:
    """Fail a scorer that broke a rule before and of which nothing is known any more, on either side."""
    left = given.red - {rules.name_of(given.model.name, one) for one in rulings}
    for _, rule in _rules(given):
        start = f"{given.model.name}: {rule.cases}{SEPARATOR}"
        if rule.worse_by is None or rule.cases not in given.model.evaluations:
            continue
        for one in sorted(name for name in left if name.startswith(start) and _MUST_NOT in name):
            # What is expected is said in words that this scorer's kind decides, and its name may have any words.
            metric, _, expects = one.removeprefix(f"{given.model.name}: ").rpartition(f" {_MUST_NOT}")
            scorer, _, measure = metric.removeprefix(f"{rule.cases}{SEPARATOR}").rpartition(" ")
            if measure == "rate":
                scorer, measure = scorer.removesuffix(" pass"), "pass rate"
            if evaluation_rule.is_about(rule, scorer):
                left -= {one}
                expected = f"{measure} {_MUST_NOT}{expects}"
                name = f"{rule.cases}{SEPARATOR}{scorer}"
                yield Ruling(name, rule, Outcome(rule.then), expected, _GONE, Verdict.WORSE, rules.BEFORE)


_GONE = "this scorer no longer judges any case"


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
    one: CaseResult | None,
    decisions: Mapping[Key, Decision],
) -> Ruling:
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
        _expectation(rule, one.table, of_scorer=bool(one.scorer)),
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
    if rule.broke_at_most is None or one.counts is None or one.evaluation:
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
    expects = expectation(model, rule)
    if found is not None and rule.cases in model.evaluations:
        expects = _expectation(rule, found.table, of_scorer=True)
    return Ruling(
        found.name if found is not None else evaluation_rule.name_in(rule),
        rule,
        Outcome(rule.then) if ours else model.if_unknown,
        expects,
        (found.problem if found is not None else "") or words.UNREAD,
        Verdict.CANT_TELL,
        advice="" if not ours else OWN_EVALUATION if rule.cases in model.evaluations else OWN_CASES,
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

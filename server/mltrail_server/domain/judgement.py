"""Judge all models of a merge request together: what became of each metric, and what each rule says.

Comparisons only measure. What is tested is gathered over all models here, so that the whole merge request has one
chance in twenty of a false alarm, however many models, slices and metrics it has.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import Model

from . import gate, hypotheses, rules
from .cases import rule as case_rules
from .cases.evaluation import EvaluationResult
from .cases.result import CaseResult
from .cases.rule import CaseInput
from .comparison import NO_BASELINE, NO_CONTRACT, Comparison, MetricChange
from .direction import Better, is_of_training
from .evidence import UNTESTED, Evidence
from .history import single_values
from .hypotheses import Decision, Family, Hypothesis, Key, Look
from .rule_check import Check
from .rules import Ruling
from .tested import Found, Tested, is_luck
from .verdict import WORST_FIRST, Verdict

_SHOWN_FIRST = (
    *(Verdict.WORSE, Verdict.BETTER, Verdict.CANT_TELL),
    *(Verdict.WITHIN_LIMIT, Verdict.NO_CLEAR_CHANGE),
)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One model, measured. `model` is its part of the contract, with the rules that apply.

    `red` are the rules that this merge request has broken before. `counts` is False for a model that the merge request
    leaves untouched: it takes no part in the families. `pipelines` are the ids of the target branch's pipelines, the
    baseline's first, then the history's. `cases` are its tables of cases, compared; those of its `evaluations` as well.
    """

    name: str
    comparison: Comparison
    model: Model = NO_CONTRACT
    target: str = ""
    red: AbstractSet[str] = frozenset()
    counts: bool = True
    pipelines: Sequence[int] = ()
    cases: Sequence[CaseResult] = ()
    evaluations: Sequence[EvaluationResult] = ()

    @property
    def contract(self) -> Model:
        """Its part of the contract under its own name, which a model without a contract lacks."""
        return replace(self.model, name=self.name)


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """`comparison` has its metrics' verdicts, and its metrics in the order in which they are shown. The rulings about
    cases come last.
    """

    comparison: Comparison
    rulings: tuple[Ruling, ...] = ()
    cases: tuple[CaseResult, ...] = ()


def judge_models(inputs: Iterable[ModelInput]) -> dict[str, JudgedModel]:
    """Judge the models of one merge request."""
    given = list(inputs)
    together = [one for one in given if one.counts]
    families = [together, *([one] for one in given if not one.counts)]
    judged: dict[str, JudgedModel] = {}
    for family in families:
        checks = {one.name: gate.checks(one.comparison, one.contract, target=one.target) for one in family}
        decisions = hypotheses.decide([asked for one in family for asked in _hypotheses(one, checks[one.name])])
        judged |= {one.name: _judged(one, checks[one.name], decisions) for one in family}
    return {one.name: judged[one.name] for one in given}


def _hypotheses(given: ModelInput, checks: Sequence[Check | Ruling]) -> list[Hypothesis]:
    compared = given.comparison
    pipelines = dict(enumerate(given.pipelines))
    asked = gate.hypotheses(checks, pipelines)
    ruled = _ruled_by(given)
    for change in compared.metrics:
        if change.name in ruled or change.current is None or change.baseline is None:
            continue
        earlier = [change.baseline, *(one.metrics.get(change.name) if one else None for one in compared.comparable)]
        values = single_values(earlier)
        asked.append(
            Hypothesis(
                Key(given.name, change.name),
                Family.OTHER,
                change.direction.better,
                0.0,
            ).at(
                [Look(compared.share, change.current, change.evidence), *change.earlier],
                {pipelines.get(place, -place): value for place, value in values.items()},
            )
        )
    return asked + case_rules.hypotheses(_case_input(given))


def _case_input(given: ModelInput) -> CaseInput:
    return CaseInput(given.contract, given.cases, given.target, given.red, given.evaluations)


def _ruled_by(given: ModelInput) -> set[str]:
    """Name the metrics whose last values a rule compares with the baseline's: they need no test of their own."""
    return gate.compared_by_rules(given.comparison, given.contract, target=given.target)


def _judged(given: ModelInput, checks: Sequence[Check | Ruling], decisions: Mapping[Key, Decision]) -> JudgedModel:
    compared = given.comparison
    red = given.red if compared.best is not None else frozenset[str]()
    rulings = gate.judge(checks, given.contract, target=given.target, decisions=decisions, red=red)
    ruled = _ruled_by(given)
    of_rule: dict[str, Ruling] = {}
    for ruling in sorted(rulings, key=lambda one: WORST_FIRST.index(one.verdict)):
        if ruling.metric in ruled and rules.compares_last(ruling.rule):
            of_rule.setdefault(ruling.metric, ruling)
    metrics = [
        _as_ruled(one, of_rule[one.name])
        if one.name in of_rule
        else _as_tested(compared, one, decisions.get(Key(given.name, one.name)))
        for one in compared.metrics
    ]
    metrics.sort(key=lambda one: (one.name != compared.rank_by, _SHOWN_FIRST.index(one.verdict), one.name))
    luck = any(_luck(one) for one in metrics if one.name == compared.rank_by)
    cases, about_cases = case_rules.judge(_case_input(given), decisions) if compared.best is not None else ((), ())
    return JudgedModel(replace(compared, metrics=tuple(metrics), luck=luck), (*rulings, *about_cases), cases)


def _as_ruled(change: MetricChange, ruling: Ruling) -> MetricChange:
    return replace(
        change,
        verdict=ruling.verdict,
        reason=ruling.sentence,
        advice=ruling.advice,
        decision=ruling.decision,
        evidence=_shown(change, ruling.decision),
    )


def _as_tested(compared: Comparison, change: MetricChange, decision: Decision | None) -> MetricChange:
    found = _found(compared, change, decision)
    return replace(
        change,
        verdict=found.verdict,
        reason=found.sentence,
        advice=found.advice,
        decision=decision,
        evidence=_shown(change, decision),
    )


def _shown(change: MetricChange, decision: Decision | None) -> Evidence | None:
    """Correct the interval as the test is. Where there is no test although the direction is known, nothing is known."""
    if decision is not None:
        return decision.evidence
    if change.evidence is None or change.direction.better is Better.UNKNOWN:
        return change.evidence
    return replace(change.evidence, ends=UNTESTED)


def _found(compared: Comparison, change: MetricChange, decision: Decision | None) -> Found:
    before, now = change.baseline, change.current
    if before is None:
        return Found(Verdict.CANT_TELL, f"new here: {NO_BASELINE}")
    if now is None:
        return Found(Verdict.WORSE, compared.missing(change.name))
    if diverged := compared.diverged(change.name):
        return Found(Verdict.WORSE, diverged)
    if compared.incomparable:
        return Found(Verdict.CANT_TELL, compared.incomparable)
    return Tested(
        change.name,
        change.direction,
        before,
        now,
        change.evidence,
        decision,
        change.level,
        trained_on=is_of_training(change.name),
    ).found()


def _luck(change: MetricChange) -> bool:
    decision, weighed = change.decision, change.evidence
    return decision is not None and not decision.better and weighed is not None and is_luck(weighed, change.direction)

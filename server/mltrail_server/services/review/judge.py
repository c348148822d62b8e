"""Judge a pipeline by one version of the contract: the one that binds, or the one that a merge request proposes."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_contract import Contract, Model, Outcome, QualityCriteria
from mltrail_server.domain import conclusion, gate, globs, judgement, rules, selection, silence
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.comparison import NO_CONTRACT, Comparison, compare, contract_of
from mltrail_server.domain.conclusion import Conclusion, Level
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import JudgedModel, ModelInput
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.silence import Circumstances, Silence, SilenceKind
from mltrail_server.services.contract.contracts import ContractVersion

from . import baselines, extremes, model_runs
from .baselines import ModelBaseline
from .cases import evaluations
from .cases.evaluations import Asked, Evaluated
from .judged import Judged, ModelReport, gone_sentence
from .model_runs import GateInput, Selected

_INHERITED = (
    "It failed in another merge request of this branch or commit, which was not merged: what was broken there has to "
    "be fixed here"
)


def judge(given: GateInput, version: ContractVersion) -> Judged:
    """Compare all models of a pipeline as one version of the contract asks for, and apply its rules."""
    repaired = given.contract.repaired if version is given.contract.binding else None
    return _judge(given, version) if repaired is None else _judge_repair(given, version, repaired)


_NO_EVALUATIONS = Evaluated()


@dataclass(frozen=True, slots=True)
class _Measured:
    """One model, and what it is judged by. `model` is its part of the contract, None if that does not mention it."""

    name: str
    selected: Selected
    comparison: Comparison
    baseline: ModelBaseline
    model: Model | None
    touched: bool
    evaluated: Evaluated = _NO_EVALUATIONS

    @property
    def runs(self) -> Sequence[Run]:
        return self.selected.runs

    @property
    def missing(self) -> bool:
        """Whether there is nothing to judge, and nothing to wait for."""
        return self.comparison.best is None and not any(run.state is RunState.RUNNING for run in self.runs)


def _judge_repair(given: GateInput, version: ContractVersion, repaired: ContractVersion) -> Judged:
    """Judge a merge request that repairs the target branch's file: by the file's last valid version, so that a repair
    cannot relax a rule, and by the merge request's own.
    """
    own = _judge(given, repaired)
    before = None if version.earlier is None else _judge(given, ContractVersion(version.earlier))
    if before is None:
        outcome = rules.worst([Outcome.WARN, own.outcome or Outcome.PASS])
        sentence = (
            f"the invalid contract is mended here, and no earlier one is known; by the mended one: {own.sentence}"
        )
        return Judged(version, outcome, sentence, own.models, own.questions)
    outcome = rules.worst([before.outcome or Outcome.PASS, own.outcome or Outcome.PASS])
    stricter = before if before.outcome is outcome or own.outcome is not outcome else own
    which = "the last valid one" if stricter is before else "the mended one"
    sentence = f"the invalid contract is mended here; by {which}: {stricter.sentence}"
    return Judged(version, outcome, sentence, stricter.models, stricter.questions)


def _judge(given: GateInput, version: ContractVersion) -> Judged:
    contract = version.contract
    selected = model_runs.select(given, contract)
    chosen = baselines.choose(given.tx, contract, list(selected), given.branch)
    for name in selected:
        selected[name], chosen[name] = model_runs.with_evaluations(given, contract, name, selected[name], chosen[name])
    compared = _compared(given, contract, selected, chosen)
    unclaimed = model_runs.unclaimed(contract, selected)
    measured = []
    for name, its_runs in sorted(selected.items()):
        model = contract.models.get(name) if contract else None
        touched = model is None or selection.touched(model, given.contract.changed_paths)
        measured.append(_Measured(name, its_runs, compared[name], chosen[name], model, touched))
    tables, evaluated = _tables(given, measured), _evaluated(given, measured)
    measured = [_with_evaluations(one, evaluated[one.name]) if one.name in evaluated else one for one in measured]
    judged = judgement.judge_models(_model_input(given, one, tables.get(one.name, ())) for one in measured)
    models = []
    for one in measured:
        report = _model_report(given, one, judged[one.name], unclaimed)
        # A model that the merge request does not touch, and of which there is nothing, is not worth a word.
        if report.runs or report.outcome is not None or report.silence is not None:
            models.append(report)
    outcome, sentence = _gate(given, version, models)
    questions = selection.unmatched_models(contract, given.runs, given.contract.changed_paths)
    return Judged(version, outcome, sentence, tuple(models), tuple(questions))


def _compared(
    given: GateInput,
    contract: Contract | None,
    selected: Mapping[str, Selected],
    chosen: Mapping[str, ModelBaseline],
) -> dict[str, Comparison]:
    """Compare each model with its baseline."""
    compared = {}
    for name, its_runs in selected.items():
        baseline = chosen[name]
        comparison = compare(
            its_runs.runs,
            baseline.runs,
            history=[runs for _, runs in baseline.history],
            earlier=model_runs.earlier_looks(given, contract, name, its_runs),
            model=contract_of(contract, name),
        )
        if baseline.gone is not None:
            # A baseline that somebody has removed is not the same as one that never existed.
            comparison = replace(comparison, incomparable=gone_sentence(baseline.gone), evades=False)
        inherited = (_INHERITED,) if name in given.inherited else ()
        compared[name] = replace(comparison, remarks=(*inherited, *its_runs.remarks, *comparison.remarks))
    return extremes.added(given.tx, contract, compared) if contract else compared


def _model_input(given: GateInput, one: _Measured, tables: Sequence[CaseResult]) -> ModelInput:
    model = one.model or NO_CONTRACT
    baseline = one.baseline
    return ModelInput(
        one.name,
        one.comparison,
        model if _has_rules(given, one) else replace(model, rules=(), case_rules=()),
        given.target,
        given.red.get(one.name, frozenset()),
        one.touched,
        [baseline.pipeline.id if baseline.pipeline else 0, *(pipeline.id for pipeline, _ in baseline.history)],
        (*tables, *one.evaluated.tables),
        one.evaluated.evaluations,
    )


def _tables(given: GateInput, measured: Sequence[_Measured]) -> dict[str, tuple[CaseResult, ...]]:
    """Compare the tables of cases of the models that the merge request touches."""
    asked = {one.name: (one.model, one.comparison) for one in measured if one.model is not None and one.touched}
    return given.cases.of(given.tx, asked) if given.cases is not None else {}


def _evaluated(given: GateInput, measured: Sequence[_Measured]) -> dict[str, Evaluated]:
    """Compare the evaluations of the models that the merge request touches, whether or not a contract names them."""
    asked = {
        one.name: Asked(one.model or NO_CONTRACT, one.comparison, one.runs, one.baseline.runs)
        for one in measured
        if one.touched
    }
    return given.cases.evaluations(given.tx, asked) if given.cases is not None else {}


def _with_evaluations(one: _Measured, evaluated: Evaluated) -> _Measured:
    """Add a model's evaluations, and the bars that its run declares if the contract accepts those. What scorers' tables
    say is not said a second time by the metrics that clients compute from them.
    """
    model = one.model
    if model is not None and model.quality_criteria is QualityCriteria.ACCEPT:
        model = replace(model, rules=(*model.rules, *evaluations.declared_rules(evaluated)))
    shown_by_scorers = evaluations.metrics_of_scorers(evaluated, [change.name for change in one.comparison.metrics])
    shown_by_scorers -= globs.matching_any(shown_by_scorers, [rule.metric for rule in (model or NO_CONTRACT).rules])
    metrics = tuple(change for change in one.comparison.metrics if change.name not in shown_by_scorers)
    return replace(one, model=model, comparison=replace(one.comparison, metrics=metrics), evaluated=evaluated)


def _model_report(
    given: GateInput,
    one: _Measured,
    judged: JudgedModel,
    unclaimed: AbstractSet[tuple[str, str]],
) -> ModelReport:
    silent = _silence(given, one, unclaimed) if one.missing and one.touched else None
    rulings: tuple[Ruling, ...] = ()
    outcome = None
    if silent is not None:
        outcome = silent.outcome
    elif _has_rules(given, one):
        rulings = judged.rulings
        outcome = _outcome(one, rulings)
    shown = conclusion.of_model(judged.comparison, rulings, judged.cases)
    if silent is not None and (not one.runs or silent.kind in (SilenceKind.RED, SilenceKind.MOVED)):
        shown = Conclusion(Level.UNKNOWN, silent.sentence)
    baseline = one.baseline
    return ModelReport(
        one.name,
        tuple(one.runs),
        judged.comparison,
        baseline.pipeline,
        shown,
        one.model,
        one.touched,
        rulings,
        outcome,
        baseline.version,
        tuple(pipeline for pipeline, _ in baseline.history),
        gone=baseline.gone,
        made_by=one.selected.pipeline,
        silence=silent,
        carried=one.selected.carried,
        imported=baseline.imported,
        unused=baseline.unused,
        cases=judged.cases,
        evaluations=tuple(each.judged(judged.cases) for each in one.evaluated.evaluations) if judged.cases else (),
    )


def _has_rules(given: GateInput, one: _Measured) -> bool:
    """Whether the rules of a model's contract apply to this merge request."""
    model = one.model
    if model is None or not (model.rules or model.case_rules) or not one.touched or (one.missing and given.fork):
        return False
    trained_or_expected = given.runs or one.runs or model.paths
    return bool(trained_or_expected) and bool(one.runs or not model.retired)


def _outcome(one: _Measured, rulings: Sequence[Ruling]) -> Outcome:
    """Return the worst of what a model's rules say."""
    unknown = [one.model.if_unknown] if one.missing and one.model is not None else []
    return rules.worst([ruling.outcome for ruling in rulings] + unknown)


def _silence(given: GateInput, one: _Measured, unclaimed: AbstractSet[tuple[str, str]]) -> Silence | None:
    """Judge what it means that a model has no succeeded run; None if none is expected."""
    model, baseline = one.model, one.baseline
    if given.jobs is None or model is None or not silence.counts(model, given.target):
        return None
    red = given.red.get(model.name, frozenset())
    if not red and not baseline.runs and baseline.gone is None:
        return None
    trained_by = {run.job_name for run in baseline.runs}
    busy = {pipeline_id for job in trained_by for pipeline_id in given.jobs.busy.get(job, ())}
    if busy:
        return silence.still_busy(busy)
    seen = Circumstances(
        red,
        manual=bool(trained_by & given.jobs.waiting),
        moved=_has_moved(given, baseline, unclaimed),
        deleted=any(run.state is RunState.DELETED for run in one.runs),
        cut=given.cut,
        meant=bool(given.runs or (model.paths and given.contract.changed_paths is not None)),
    )
    return silence.of(model, given.target, seen)


def _has_moved(given: GateInput, baseline: ModelBaseline, unclaimed: AbstractSet[tuple[str, str]]) -> bool:
    """Whether a job that has trained the baseline has now logged to an experiment of no known model."""
    return silence.moved(
        {run.job_name for run in baseline.runs},
        unclaimed,
        {run.experiment for runs in given.branch.runs.values() for run in runs},
        own={run.experiment for run in baseline.runs},
    )


def _gate(given: GateInput, version: ContractVersion, models: Sequence[ModelReport]) -> tuple[Outcome | None, str]:
    """Return the outcome for all models together, and its sentence."""
    if version.problems:
        return given.if_invalid, "contract invalid"
    if version is given.contract.binding and not given.contract.read:
        return given.if_invalid, "the contract file has not been read yet"
    outcomes = _outcomes(models)
    if not outcomes:
        return None, _without_outcome(version, models)
    return rules.worst(outcomes), _summary(models)


def _summary(models: Sequence[ModelReport]) -> str:
    """Say how many rules hold, and how many models have no run that counts."""
    rulings = [ruling.outcome for model in models for ruling in model.rulings]
    missing = [model for model in models if model.outcome is not None and model.comparison.best is None]
    if missing and not rulings and all(map(_has_tried, missing)):
        return "no rule could be checked: no run has succeeded"
    silent = _outcomes([model for model in missing if model.silence is not None])
    unknown = _outcomes([model for model in missing if model.silence is None])
    return gate.summary([*rulings, *unknown], silent)


def _outcomes(models: Sequence[ModelReport]) -> list[Outcome]:
    return [model.outcome for model in models if model.outcome is not None]


def _has_tried(model: ModelReport) -> bool:
    """Whether jobs have tried to train a model and failed, which they say themselves. What was never begun, or was
    meant to hide a failure, is shown as such.
    """
    return bool(model.runs) and (model.silence is None or model.silence.kind is SilenceKind.SILENT)


def _without_outcome(version: ContractVersion, models: Sequence[ModelReport]) -> str:
    if any(model.silence is not None and model.silence.kind is SilenceKind.WAITING for model in models):
        return "a manual job waits to be started"
    return "no rules" if version.contract else "no contract file"

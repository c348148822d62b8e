"""Judge a pipeline by one version of the contract: the one that binds, or the one that a merge request proposes."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mltrail_contract import Contract, Model, Outcome, Value
from mltrail_server.domain import conclusion, gate, globs, judgement, looks, rules, selection, silence
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.comparison import NO_CONTRACT, Comparison, ParameterChange, compare
from mltrail_server.domain.conclusion import Conclusion, Level
from mltrail_server.domain.evaluations import evaluates, settle
from mltrail_server.domain.grouping import Extremes, Gone, Group, Run, RunState
from mltrail_server.domain.judgement import JudgedModel, ModelInput
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.selection import UnmatchedModel
from mltrail_server.domain.silence import Circumstances, Silence, SilenceKind
from mltrail_server.services.contract.contracts import ContractVersion, PipelineContract
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.review import pipeline_runs
from mltrail_server.store.review.jobs import HeadJobs

from . import baselines
from .baselines import Branch, ModelBaseline
from .cases.results import CaseResults
from .looks import EarlierPipelines

_MOST_VALUES = 5_000  # a database accepts some 30,000 values in a statement
_NOT_IN_A_LOGIN = re.compile(r"[^\w. -]", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One model: all runs of the pipeline, and the best of them compared with the baseline's best.

    `model` is its part of the contract, None if the contract does not mention it. `touched` is False if the merge
    request changes nothing of the model, so that its rules don't apply. `version` is the baseline if the contract names
    one. `history` are the target branch's pipelines before the baseline, newest first. `environment` lists packages
    whose versions differ. `made_by` is the pipeline whose runs these are. `silence` says what it means that no run has
    succeeded; `gone` says who has removed the baseline for good. `carried`: it is of an earlier commit. `cases` are its
    tables.
    """

    name: str
    runs: tuple[Run, ...]
    comparison: Comparison
    baseline: Pipeline | None
    conclusion: Conclusion
    model: Model | None = None
    touched: bool = True
    rulings: tuple[Ruling, ...] = ()
    outcome: Outcome | None = None
    version: Version | None = None
    history: tuple[Pipeline, ...] = ()
    environment: tuple[ParameterChange, ...] = ()
    gone: Gone | None = None
    made_by: Pipeline | None = None
    silence: Silence | None = None
    cases: tuple[CaseResult, ...] = ()
    carried: bool = False

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for a reviewer that no verdict rests on, without anything that a user wrote."""
        if not self.carried or self.made_by is None:
            return self.comparison.remarks
        where = "under its paths " if self.model is not None and self.model.paths else ""
        sentence = f"Carried forward from pipeline {self.made_by.id}: nothing {where}has changed since"
        return (sentence, *self.comparison.remarks)

    @property
    def failures(self) -> frozenset[str]:
        """Name what fails, each in a form that stays the same from pipeline to pipeline."""
        if self.silence is not None and self.silence.outcome is Outcome.FAIL:
            return self.silence.rules or frozenset({f"{self.name}: not trained here"})
        return frozenset(rules.name_of(self.name, ruling) for ruling in self.rulings if ruling.outcome is Outcome.FAIL)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one version of the contract says. `outcome` is None if there is no gate; `sentence` contains nothing that a
    user wrote. `questions` ask to which model runs belong that no model claims.
    """

    contract: ContractVersion
    outcome: Outcome | None
    sentence: str
    models: tuple[ModelReport, ...]
    questions: tuple[UnmatchedModel, ...] = ()


@dataclass(frozen=True, slots=True)
class GateInput:
    """What a judgement is made from, the same for each version of the contract.

    `made` are the runs of a commit's pipelines, the newest first; `branch` has those of the target branch. `red` are
    the rules that each model has broken before in this merge request. `jobs` are those of the commit's pipelines, None
    if nobody asks what it means that a model was not trained.
    """

    tx: Transaction
    made: Sequence[tuple[Pipeline, Sequence[Run]]]
    branch: Branch
    contract: PipelineContract
    target: str
    if_invalid: Outcome
    red: Mapping[str, frozenset[str]] = field(default_factory=dict)
    jobs: HeadJobs | None = None
    earlier: EarlierPipelines = field(default_factory=EarlierPipelines)  # of the merge request
    head: str = ""  # the commit that is judged
    fork: bool = False  # its runs don't count
    cut: bool = False  # there are more runs than were read
    cases: CaseResults | None = None  # compares tables of cases

    @property
    def runs(self) -> list[Run]:
        return [run for _, runs in self.made for run in runs]


def judge(given: GateInput, version: ContractVersion) -> Judged:
    """Compare all models of a pipeline as one version of the contract asks for, and apply its rules."""
    repaired = given.contract.repaired if version is given.contract.binding else None
    return _judge(given, version) if repaired is None else _judge_repair(given, version, repaired)


def lacks(given: GateInput, contract: Contract | None) -> bool:
    """Whether a model of a contract has no succeeded run."""
    if contract is None:
        return False
    selected = _selected(given, contract)
    return not all(_any_succeeded(selected[name].runs) for name in contract.models)


def gone_sentence(gone: Gone) -> str:
    """Say who has removed the baseline. Only characters that GitLab allows in a login are shown, so that nothing breaks
    out of the note.
    """
    day = datetime.fromtimestamp(gone.removed_ms / 1000, UTC).date().isoformat()
    return f"the baseline was removed by {_NOT_IN_A_LOGIN.sub('', gone.removed_by)[:100] or 'somebody'} on {day}"


@dataclass(frozen=True, slots=True)
class _Selected:
    """A model's runs, and the pipeline that has made them; None if no pipeline of the commit has. `carried`: it is of
    an earlier commit. `remarks` say what came of evaluations, and contain nothing that a user wrote.
    """

    pipeline: Pipeline | None
    runs: Sequence[Run]
    carried: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """All that one model is judged by. `model` is its part of the contract, None if that does not mention it."""

    name: str
    selected: _Selected
    comparison: Comparison
    baseline: ModelBaseline
    model: Model | None
    touched: bool

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
    selected = _selected(given, contract)
    chosen = baselines.choose(given.tx, contract, list(selected), given.branch)
    for name in selected:
        selected[name], chosen[name] = _evaluated(given, contract, name, selected[name], chosen[name])
    compared = _compared(given, contract, selected, chosen)
    unclaimed = _unclaimed(contract, selected)
    cases = []
    for name, its_runs in sorted(selected.items()):
        model = contract.models.get(name) if contract else None
        touched = model is None or selection.touched(model, given.contract.changed_paths)
        cases.append(_Case(name, its_runs, compared[name], chosen[name], model, touched))
    tables = _tables(given, cases)
    judged = judgement.judge_models(_model_input(given, case, tables.get(case.name, ())) for case in cases)
    models = []
    for case in cases:
        report = _model_report(given, case, judged[case.name], unclaimed)
        # A model that the merge request does not touch, and of which there is nothing, is not worth a word.
        if report.runs or report.outcome is not None or report.silence is not None:
            models.append(report)
    outcome, sentence = _gate(given, version, models)
    questions = selection.unmatched_models(contract, given.runs, given.contract.changed_paths)
    return Judged(version, outcome, sentence, tuple(models), tuple(questions))


def _selected(given: GateInput, contract: Contract | None) -> dict[str, _Selected]:
    """Give each model its runs: those of the newest pipeline that has succeeded ones, else of the newest that has any.

    A commit may have several pipelines, and one that logs nothing of a model takes nothing back.
    """
    chosen: dict[str, _Selected] = {}
    # The contract's models are looked up even if there is no pipeline.
    made: Sequence[tuple[Pipeline | None, Sequence[Run]]] = given.made or [(None, ())]
    for pipeline, runs in made:
        for name, its_runs in selection.select(contract, runs).items():
            newer = chosen.get(name)
            if newer is None or not newer.runs or (not _any_succeeded(newer.runs) and _any_succeeded(its_runs)):
                chosen[name] = _Selected(pipeline, its_runs)
    return chosen if contract is None else chosen | _carried(given, contract, chosen)


def _carried(given: GateInput, contract: Contract, chosen: Mapping[str, _Selected]) -> dict[str, _Selected]:
    """Take the runs of an earlier commit for models of which nothing was logged and nothing has changed since.

    Not if their job still runs, or has now logged something that no model claims.
    """
    jobs = given.jobs
    if jobs is None or given.cut:
        return {}
    strangers = {job for job, _ in _unclaimed(contract, chosen)}
    found = {}
    for name, model in contract.models.items():
        if chosen[name].runs or not selection.touched(model, given.contract.changed_paths):
            continue
        for pipeline, runs in given.earlier.without_a_change_of(model):
            of_model = selection.select(contract, runs).get(name, [])
            trained_by = {run.job_name for run in of_model}
            if _any_succeeded(of_model):
                if not trained_by & (jobs.busy.keys() | strangers):
                    found[name] = _Selected(pipeline, of_model, carried=True)
                break
    return found


def _any_succeeded(runs: Sequence[Run]) -> bool:
    return any(run.state is RunState.SUCCEEDED for run in runs)


def _evaluated(
    given: GateInput, contract: Contract | None, name: str, selected: _Selected, baseline: ModelBaseline
) -> tuple[_Selected, ModelBaseline]:
    """Put evaluations in the place of the runs whose models they evaluate, on both sides."""
    if not any(map(evaluates, selected.runs)):
        return selected, baseline
    own = selected.pipeline.id if selected.pipeline is not None else 0
    others = [runs for number, runs in given.earlier.runs.items() if number != own]
    known = [run for runs in others for run in selection.select(contract, runs).get(name, ()) if not evaluates(run)]
    model = contract.models.get(name, NO_CONTRACT) if contract else NO_CONTRACT
    settled = settle(selected.runs, baseline.runs, earlier=known, best=_best_of(baseline, model))
    if settled.remeasured:
        baseline = replace(baseline, runs=settled.baseline, history=())
    return replace(selected, runs=settled.runs, remarks=settled.remarks), baseline


def _best_of(baseline: ModelBaseline, model: Model) -> str:
    """Return the MLflow run id of the baseline's best run: the version's, if the contract names one."""
    if baseline.version is not None:
        return next((run.eid for run in baseline.runs if run.iid == baseline.version.candidate_iid), "")
    best = compare(baseline.runs, [], model=model).best_run
    return best.eid if best is not None else ""


def _compared(
    given: GateInput,
    contract: Contract | None,
    selected: Mapping[str, _Selected],
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
            earlier=_earlier(given, contract, name, its_runs),
            model=contract.models.get(name, NO_CONTRACT) if contract else NO_CONTRACT,
        )
        if baseline.gone is not None:
            # A baseline that somebody has removed is not the same as one that never existed.
            comparison = replace(comparison, incomparable=gone_sentence(baseline.gone), evades=False)
        compared[name] = replace(comparison, remarks=(*its_runs.remarks, *comparison.remarks))
    return _with_extremes(given, contract, compared) if contract else compared


def _earlier(given: GateInput, contract: Contract | None, name: str, newest: _Selected) -> list[list[Run]]:
    """List what earlier looks at the same files have made of a model: retried jobs of the same pipeline, and earlier
    pipelines. The newest look comes first. A pipeline of the same commit that still trains is none yet: the report
    waits for it. One of another commit is, or else a job that never ends would hide what the others have found.
    """
    found = looks.attempts(newest.runs)
    if newest.pipeline is not None:
        for pipeline, runs in given.earlier.on_files_of(newest.pipeline):
            of_model = [run for run in selection.select(contract, runs).get(name, ()) if not evaluates(run)]
            if pipeline.head != given.head or not any(run.state is RunState.RUNNING for run in of_model):
                found += [of_model, *looks.attempts(of_model)]
    return found


def _unclaimed(contract: Contract | None, selected: Mapping[str, _Selected]) -> set[tuple[str, str]]:
    """List the jobs and experiments of successful runs that belong to no model in the contract."""
    return {
        (run.job_name, run.experiment)
        for name, its_runs in selected.items()
        if not contract or name not in contract.models
        for run in its_runs.runs
        if run.state is RunState.SUCCEEDED
    }


def _model_input(given: GateInput, case: _Case, tables: Sequence[CaseResult]) -> ModelInput:
    model = case.model or NO_CONTRACT
    baseline = case.baseline
    return ModelInput(
        case.name,
        case.comparison,
        model if _has_rules(given, case) else replace(model, rules=(), case_rules=()),
        given.target,
        given.red.get(case.name, frozenset()),
        case.touched,
        [baseline.pipeline.id if baseline.pipeline else 0, *(pipeline.id for pipeline, _ in baseline.history)],
        tables,
    )


def _tables(given: GateInput, cases: Sequence[_Case]) -> dict[str, tuple[CaseResult, ...]]:
    """Compare the tables of cases of the models that the merge request touches."""
    asked = {case.name: (case.model, case.comparison) for case in cases if case.model is not None and case.touched}
    return given.cases.of(given.tx, asked) if given.cases is not None else {}


def _model_report(
    given: GateInput,
    case: _Case,
    judged: JudgedModel,
    unclaimed: AbstractSet[tuple[str, str]],
) -> ModelReport:
    silent = _silence(given, case, unclaimed) if case.missing and case.touched else None
    rulings: tuple[Ruling, ...] = ()
    outcome = None
    if silent is not None:
        outcome = silent.outcome
    elif _has_rules(given, case):
        rulings = judged.rulings
        outcome = _outcome(case, rulings)
    shown = conclusion.of_model(judged.comparison, rulings, judged.cases)
    if silent is not None and (not case.runs or silent.kind in (SilenceKind.RED, SilenceKind.MOVED)):
        shown = Conclusion(Level.UNKNOWN, silent.sentence)
    baseline = case.baseline
    return ModelReport(
        case.name,
        tuple(case.runs),
        judged.comparison,
        baseline.pipeline,
        shown,
        case.model,
        case.touched,
        rulings,
        outcome,
        baseline.version,
        tuple(pipeline for pipeline, _ in baseline.history),
        gone=baseline.gone,
        made_by=case.selected.pipeline,
        silence=silent,
        carried=case.selected.carried,
        cases=judged.cases,
    )


def _has_rules(given: GateInput, case: _Case) -> bool:
    """Whether the rules of a model's contract apply to this merge request."""
    model = case.model
    if model is None or not (model.rules or model.case_rules) or not case.touched or (case.missing and given.fork):
        return False
    trained_or_expected = given.runs or case.runs or model.paths
    return bool(trained_or_expected) and bool(case.runs or not model.retired)


def _outcome(case: _Case, rulings: Sequence[Ruling]) -> Outcome:
    """Return the worst of what a model's rules say."""
    unknown = [case.model.if_unknown] if case.missing and case.model is not None else []
    return rules.worst([ruling.outcome for ruling in rulings] + unknown)


def _silence(given: GateInput, case: _Case, unclaimed: AbstractSet[tuple[str, str]]) -> Silence | None:
    """Judge what it means that a model has no succeeded run; None if none is expected."""
    model, baseline = case.model, case.baseline
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
        deleted=any(run.state is RunState.DELETED for run in case.runs),
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


def _with_extremes(given: GateInput, contract: Contract, compared: dict[str, Comparison]) -> dict[str, Comparison]:
    """Add the extremes of histories where a rule is about the best value. Two statements for all models together."""
    best_of = {
        name: [rule.metric for rule in model.rules if rule.value is Value.BEST]
        for name, model in contract.models.items()
    }
    names: dict[str, None] = {}
    iids: dict[int, None] = {}
    # The baseline's come first, so that a merge request can't hide its history by logging very much.
    for side in (_baselines, _bests, _histories):
        for name, comparison in compared.items():
            for group in side(comparison) if best_of.get(name) else ():
                logged = globs.matching_any(sorted(group.metrics), best_of[name])
                names |= dict.fromkeys(sorted(logged))
                iids |= dict.fromkeys(run.evidence_iid for run in group.runs)
    extremes = pipeline_runs.extremes(given.tx, list(iids)[:_MOST_VALUES], set(list(names)[:_MOST_VALUES]))

    def extended(group: Group | None) -> Group | None:
        if group is None:
            return None
        runs = tuple(_with_its_extremes(run, extremes.get(run.evidence_iid, {})) for run in group.runs)
        return replace(group, runs=runs)

    if not extremes:
        return compared
    return {
        name: replace(
            comparison,
            best=extended(comparison.best),
            baseline=extended(comparison.baseline),
            history=tuple(map(extended, comparison.history)),
        )
        for name, comparison in compared.items()
    }


def _with_its_extremes(run: Run, found: Mapping[str, Extremes]) -> Run:
    if run.snapshot_iid is not None:
        found = {name: one._replace(points=None) for name, one in found.items()}
    return replace(run, extremes=found)


def _baselines(compared: Comparison) -> list[Group]:
    return [compared.baseline] if compared.baseline is not None else []


def _bests(compared: Comparison) -> list[Group]:
    return [compared.best] if compared.best is not None else []


def _histories(compared: Comparison) -> list[Group]:
    return [one for one in compared.history if one is not None]

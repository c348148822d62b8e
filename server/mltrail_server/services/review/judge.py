"""Hold a pipeline against one version of the contract: the one that binds, or the one that a merge request proposes."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mltrail_contract import Contract, Model, Outcome, Value
from mltrail_server.domain import gate, globs, selection, silence, verdict
from mltrail_server.domain.comparison import NO_CONTRACT, Comparison, ParameterChange, compare
from mltrail_server.domain.gate import Ruling
from mltrail_server.domain.grouping import Gone, Group, Run, RunState
from mltrail_server.domain.selection import UnmatchedModel
from mltrail_server.domain.silence import Circumstances, Silence, SilenceKind
from mltrail_server.domain.verdict import Level, Verdict
from mltrail_server.services.contract import contracts
from mltrail_server.services.contract.contracts import PipelineContract
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.review import pipeline_runs
from mltrail_server.store.review.jobs import HeadJobs

from . import baselines
from .baselines import Against, Branch

_MOST_VALUES = 5_000
_NO_LOGIN = re.compile(r"[^\w. -]", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One model: all runs of the pipeline, and the best of them against the baseline's best.

    `model` is what the contract says, None where it does not speak of it. `touched` is False where the merge request
    changes nothing of the model, so that no rule is held against it. `version` is the baseline where the contract names
    one. `history` are the target branch's pipelines before the baseline, newest first.
    `environment` lists packages whose versions differ. `made_by` is the pipeline whose runs these are, and `silence`
    tells what it means that there is no succeeded one.
    """

    name: str
    runs: tuple[Run, ...]
    comparison: Comparison
    baseline: Pipeline | None
    verdict: Verdict
    model: Model | None = None
    touched: bool = True
    rulings: tuple[Ruling, ...] = ()
    outcome: Outcome | None = None
    version: Version | None = None
    history: tuple[Pipeline, ...] = ()
    environment: tuple[ParameterChange, ...] = ()
    gone: Gone | None = None  # who has removed the baseline for good
    made_by: Pipeline | None = None
    silence: Silence | None = None

    @property
    def failures(self) -> frozenset[str]:
        """Name what fails, each in a form that stays the same from pipeline to pipeline."""
        if self.silence is not None and self.silence.outcome is Outcome.FAIL:
            return self.silence.rules or frozenset({f"{self.name}: not trained here"})
        return frozenset(gate.name_of(self.name, one) for one in self.rulings if one.outcome is Outcome.FAIL)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one version of the contract says. `outcome` is None where nothing gates; `sentence` holds nothing that a
    user wrote. `questions` ask whose runs are those that belong to no model.
    """

    contract: contracts.ContractVersion
    outcome: Outcome | None
    sentence: str
    models: tuple[ModelReport, ...]
    questions: tuple[UnmatchedModel, ...] = ()


@dataclass(frozen=True, slots=True)
class Bench:
    """What is the same for each version of the contract: the runs of the pipelines of a commit, the newest first, and
    the target branch's. `red` are the rules that each model has broken in this merge request before; `jobs` are
    those of the commit's pipelines, None where nobody asks what silence means.
    """

    tx: Transaction
    made: Sequence[tuple[Pipeline, Sequence[Run]]]
    found: Branch
    known: PipelineContract
    target: str
    if_invalid: Outcome
    red: Mapping[str, frozenset[str]] = field(default_factory=dict)
    jobs: HeadJobs | None = None
    fork: bool = False  # whose runs don't count
    cut: bool = False  # there are more runs than are looked at

    @property
    def runs(self) -> list[Run]:
        return [run for _, runs in self.made for run in runs]


def judge(bench: Bench, version: contracts.ContractVersion) -> Judged:
    """Compare all models of a pipeline as one version of the contract wants it, and hold its rules against them."""
    mended = bench.known.repaired if version is bench.known.binding else None
    return _judge(bench, version) if mended is None else _mended(bench, version, mended)


def _mended(bench: Bench, version: contracts.ContractVersion, mended: contracts.ContractVersion) -> Judged:
    """Judge a merge request that mends the target branch's file: by the last one that could be read, so that mending is
    no way to relax a rule, and by the merge request's own.
    """
    own = _judge(bench, mended)
    before = None if version.earlier is None else _judge(bench, contracts.ContractVersion(version.earlier))
    if before is None:
        outcome = gate.worst([Outcome.WARN, own.outcome or Outcome.PASS])
        told = f"the invalid contract is mended here, and no earlier one is known; by the mended one: {own.sentence}"
        return Judged(version, outcome, told, own.models, own.questions)
    outcome = gate.worst([before.outcome or Outcome.PASS, own.outcome or Outcome.PASS])
    stricter = before if before.outcome is outcome or own.outcome is not outcome else own
    which = "the last valid one" if stricter is before else "the mended one"
    told = f"the invalid contract is mended here; by {which}: {stricter.sentence}"
    return Judged(version, outcome, told, stricter.models, stricter.questions)


def _judge(bench: Bench, version: contracts.ContractVersion) -> Judged:
    contract = version.contract
    selected = _selected(bench, contract)
    against = baselines.choose(bench.tx, contract, list(selected), bench.found)
    compared = {
        name: compare(
            runs,
            against[name].runs,
            history=[earlier for _, earlier in against[name].history],
            model=contract.models.get(name, NO_CONTRACT) if contract else NO_CONTRACT,
        )
        for name, (_, runs) in selected.items()
    }
    # What somebody has removed is not the same as what never was.
    compared |= {
        name: replace(compared[name], incomparable=gone_told(gone), evades=False)
        for name, one in against.items()
        if (gone := one.gone) is not None
    }
    if contract:
        compared = _with_extremes(bench, contract, compared)
    strangers = {
        (run.job_name, run.experiment)
        for name, (_, runs) in selected.items()
        if not contract or name not in contract.models
        for run in runs
        if run.state is RunState.SUCCEEDED
    }
    models = tuple(
        _model(
            bench,
            name,
            made,
            compared[name],
            against[name],
            contract.models.get(name) if contract else None,
            strangers,
        )
        for name, made in sorted(selected.items())
    )
    # A model that the merge request does not touch, and of which there is nothing, is not worth a word.
    models = tuple(one for one in models if one.runs or one.outcome is not None or one.silence is not None)
    outcome, sentence = _gate(bench, version, models)
    asked = selection.unmatched_models(contract, bench.runs, bench.known.changed_paths)
    return Judged(version, outcome, sentence, models, tuple(asked))


def _selected(bench: Bench, contract: Contract | None) -> dict[str, tuple[Pipeline | None, Sequence[Run]]]:
    """Give each model its runs: those of the newest pipeline that has succeeded ones, else of the newest that has any.

    A commit may have several pipelines, and one that logs nothing of a model takes nothing back.
    """
    found: dict[str, tuple[Pipeline | None, Sequence[Run]]] = {}
    # The contract's models are asked for also where there is no pipeline.
    made: Sequence[tuple[Pipeline | None, Sequence[Run]]] = bench.made or [(None, ())]
    for pipeline, runs in made:
        for name, of_model in selection.select(contract, runs).items():
            before = found.get(name)
            if before is None or not before[1] or (not _succeeded(before[1]) and _succeeded(of_model)):
                found[name] = (pipeline, of_model)
    return found


def lacks(bench: Bench, contract: Contract | None) -> bool:
    """Tell whether a model of a contract has no succeeded run."""
    selected = _selected(bench, contract)
    return contract is not None and any(not _succeeded(selected[name][1]) for name in contract.models)


def _succeeded(runs: Sequence[Run]) -> bool:
    return any(run.state is RunState.SUCCEEDED for run in runs)


def _model(  # noqa: PLR0917 - all that a model is judged by
    bench: Bench,
    name: str,
    made: tuple[Pipeline | None, Sequence[Run]],
    compared: Comparison,
    against: Against,
    model: Model | None,
    strangers: AbstractSet[tuple[str, str]],
) -> ModelReport:
    runs = made[1]
    touched = model is None or selection.touched(model, bench.known.changed_paths)
    rulings: tuple[Ruling, ...] = ()
    outcome = None
    missing = compared.best is None and not any(run.state is RunState.RUNNING for run in runs)
    silent = _silence(bench, runs, against, model, strangers) if missing and touched else None
    if silent is not None:
        outcome = silent.outcome
    elif missing and bench.fork:
        outcome = None
    elif model is not None and model.rules and touched and (bench.runs or model.paths) and (runs or not model.retired):
        rulings = gate.judge(compared, model, target=bench.target, red=bench.red.get(name, frozenset()))
        outcome = gate.worst([one.outcome for one in rulings] + ([model.if_unknown] if missing else []))
    told = verdict.of_model(compared)
    if silent is not None and (not runs or silent.kind in (SilenceKind.RED, SilenceKind.MOVED)):
        told = Verdict(Level.UNKNOWN, silent.sentence)
    return ModelReport(
        name,
        tuple(runs),
        compared,
        against.pipeline,
        told,
        model,
        touched,
        rulings,
        outcome,
        against.version,
        tuple(one for one, _ in against.history),
        gone=against.gone,
        made_by=made[0],
        silence=silent,
    )


def _silence(
    bench: Bench,
    runs: Sequence[Run],
    against: Against,
    model: Model | None,
    strangers: AbstractSet[tuple[str, str]],
) -> Silence | None:
    """Tell what it means that a model has no succeeded run; None where nobody expects one."""
    if bench.jobs is None or model is None or not silence.counts(model, bench.target):
        return None
    red = bench.red.get(model.name, frozenset())
    if not red and not against.runs and against.gone is None:
        return None
    trained_by = {run.job_name for run in against.runs}
    busy = {pipeline_id for name in trained_by for pipeline_id in bench.jobs.busy.get(name, ())}
    if busy:
        return silence.still_busy(busy)
    known = {run.experiment for runs in bench.found.runs.values() for run in runs}
    return silence.of(
        model,
        bench.target,
        Circumstances(
            red,
            manual=bool(trained_by & bench.jobs.waiting),
            moved=silence.moved(trained_by, strangers, known, own={run.experiment for run in against.runs}),
            deleted=any(run.state is RunState.DELETED for run in runs),
            cut=bench.cut,
            meant=bool(bench.runs or (model.paths and bench.known.changed_paths is not None)),
        ),
    )


def gone_told(gone: Gone) -> str:
    """Say who has removed the baseline. Of the login only what GitLab allows in one is shown: nothing breaks out."""
    day = datetime.fromtimestamp(gone.removed_ms / 1000, UTC).date().isoformat()
    return f"the baseline was removed by {_NO_LOGIN.sub('', gone.removed_by)[:100] or 'somebody'} on {day}"


def _gate(
    bench: Bench, version: contracts.ContractVersion, models: Sequence[ModelReport]
) -> tuple[Outcome | None, str]:
    if version.problems:
        return bench.if_invalid, "contract invalid"
    if version is bench.known.binding and not bench.known.read:
        return bench.if_invalid, "the contract file has not been read yet"
    outcomes = [model.outcome for model in models if model.outcome is not None]
    if not outcomes:
        return None, _nothing(version, models)
    rulings = [ruling for model in models for ruling in model.rulings]
    missing = [model for model in models if model.outcome is not None and model.comparison.best is None]
    # A job that has failed says so itself; what was never begun, or was meant to hide a failure, is shown as such.
    tried = [one for one in missing if one.runs and (one.silence is None or one.silence.kind is SilenceKind.SILENT)]
    if not rulings and tried and len(tried) == len(missing):
        return gate.worst(outcomes), "no rule could be checked: no run has succeeded"
    silent = [one.outcome for one in missing if one.silence is not None and one.outcome is not None]
    unknown = [one.outcome for one in missing if one.silence is None and one.outcome is not None]
    return gate.worst(outcomes), gate.summary([*(one.outcome for one in rulings), *unknown], silent)


def _nothing(version: contracts.ContractVersion, models: Sequence[ModelReport]) -> str:
    if any(model.silence is not None and model.silence.kind is SilenceKind.WAITING for model in models):
        return "a manual job waits to be started"
    return "no rules" if version.contract else "no contract file"


def _with_extremes(bench: Bench, contract: Contract, compared: dict[str, Comparison]) -> dict[str, Comparison]:
    """Add the extremes of histories where a rule looks at the best value. Two statements for all models together."""
    looked_at = {
        name: [rule.metric for rule in model.rules if rule.value is Value.BEST]
        for name, model in contract.models.items()
    }
    names: dict[str, None] = {}
    iids: dict[int, None] = {}
    # The baseline's come first, so that a merge request can't hide its history by logging very much.
    for side in ("baseline", "best"):
        for name, one in compared.items():
            group: Group | None = getattr(one, side)
            if looked_at.get(name) and group is not None:
                logged = globs.matching_any(sorted(group.metrics), looked_at[name])
                names |= dict.fromkeys(sorted(logged))
                iids |= dict.fromkeys(run.evidence_iid for run in group.runs)
    # A database takes some 30,000 values in a statement.
    found = pipeline_runs.extremes(bench.tx, list(iids)[:_MOST_VALUES], set(list(names)[:_MOST_VALUES]))

    def extended(group: Group | None) -> Group | None:
        if group is None:
            return None
        return replace(group, runs=tuple(replace(run, extremes=found.get(run.evidence_iid, {})) for run in group.runs))

    if not found:
        return compared
    return {
        name: replace(one, best=extended(one.best), baseline=extended(one.baseline)) for name, one in compared.items()
    }

"""Hold a pipeline against one version of the contract: the one that binds, or the one that a merge request proposes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import sqlalchemy as sa

from mltrail_contract import Contract, Model, Outcome, Value
from mltrail_server.domain import gate, globs, selection, verdict
from mltrail_server.domain.comparison import UNWRITTEN, Comparison, ParameterChange, compare
from mltrail_server.domain.gate import Ruling
from mltrail_server.domain.grouping import Gone, Group, Run, State
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.selection import Question
from mltrail_server.domain.verdict import Verdict
from mltrail_server.store import run_data
from mltrail_server.store.pipelines import Pipeline
from mltrail_server.store.versions import Version

from . import baselines, contracts
from .baselines import Against, Branch
from .contracts import Known

_MOST_VALUES = 5_000
_NO_LOGIN = re.compile(r"[^\w. -]", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One model: all runs of the pipeline, and the best of them against the baseline's best.

    `model` is what the contract says, None where it does not speak of it. `touched` is False where the merge request
    changes nothing of the model, so that no rule is held against it. `version` is the baseline where the contract names
    one. `history` are the target branch's pipelines before the baseline, newest first.
    `environment` lists packages whose versions differ.
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


@dataclass(frozen=True, slots=True)
class Judged:
    """What one version of the contract says. `outcome` is None where nothing gates; `sentence` holds nothing that a
    user wrote. `questions` ask whose runs are those that belong to no model.
    """

    contract: contracts.Version
    outcome: Outcome | None
    sentence: str
    models: tuple[ModelReport, ...]
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Bench:
    """What is the same for each version of the contract: the pipeline's runs and the target branch's."""

    connection: sa.Connection
    project_id: ProjectId
    runs: Sequence[Run]
    found: Branch
    known: Known
    target: str
    if_invalid: Outcome


def judge(bench: Bench, version: contracts.Version) -> Judged:
    """Compare all models of a pipeline as one version of the contract wants it, and hold its rules against them."""
    mended = bench.known.repaired if version is bench.known.binding else None
    return _judge(bench, version) if mended is None else _mended(bench, version, mended)


def _mended(bench: Bench, version: contracts.Version, mended: contracts.Version) -> Judged:
    """Judge a merge request that mends the target branch's file: by the last one that could be read, so that mending is
    no way to relax a rule, and by the merge request's own.
    """
    own = _judge(bench, mended)
    before = None if version.earlier is None else _judge(bench, contracts.Version(version.earlier))
    if before is None:
        outcome = gate.worst([Outcome.WARN, own.outcome or Outcome.PASS])
        told = f"the invalid contract is mended here, and no earlier one is known; by the mended one: {own.sentence}"
        return Judged(version, outcome, told, own.models, own.questions)
    outcome = gate.worst([before.outcome or Outcome.PASS, own.outcome or Outcome.PASS])
    stricter = before if before.outcome is outcome or own.outcome is not outcome else own
    which = "the last valid one" if stricter is before else "the mended one"
    told = f"the invalid contract is mended here; by {which}: {stricter.sentence}"
    return Judged(version, outcome, told, stricter.models, stricter.questions)


def _judge(bench: Bench, version: contracts.Version) -> Judged:
    contract = version.contract
    selected = selection.select(contract, bench.runs)
    against = baselines.choose(bench.connection, bench.project_id, contract, list(selected), bench.found)
    compared = {
        name: compare(
            runs,
            against[name].runs,
            history=[earlier for _, earlier in against[name].history],
            model=contract.models.get(name, UNWRITTEN) if contract else UNWRITTEN,
        )
        for name, runs in selected.items()
    }
    # What somebody has removed is not the same as what never was.
    compared |= {
        name: replace(compared[name], incomparable=gone_told(gone))
        for name, one in against.items()
        if (gone := one.gone) is not None
    }
    if contract:
        compared = _with_extremes(bench, contract, compared)
    models = tuple(
        _model(bench, name, runs, compared[name], against[name], contract.models.get(name) if contract else None)
        for name, runs in sorted(selected.items())
    )
    # A model that the merge request does not touch, and of which there is nothing, is not worth a word.
    models = tuple(one for one in models if one.runs or one.outcome is not None)
    outcome, sentence = _gate(bench, version, models)
    asked = selection.questions(contract, bench.runs, bench.known.changed_paths)
    return Judged(version, outcome, sentence, models, tuple(asked))


def _model(
    bench: Bench, name: str, runs: Sequence[Run], compared: Comparison, against: Against, model: Model | None
) -> ModelReport:
    touched = model is None or selection.touched(model, bench.known.changed_paths)
    rulings: tuple[Ruling, ...] = ()
    outcome = None
    if model is not None and model.rules and touched and (bench.runs or model.paths):
        rulings = gate.judge(compared, model, target=bench.target)
        missing = compared.best is None and not any(run.state is State.RUNNING for run in runs)
        outcome = gate.worst([one.outcome for one in rulings] + ([model.if_unknown] if missing else []))
    return ModelReport(
        name,
        tuple(runs),
        compared,
        against.pipeline,
        verdict.of_model(compared),
        model,
        touched,
        rulings,
        outcome,
        against.version,
        tuple(one for one, _ in against.history),
        gone=against.gone,
    )


def gone_told(gone: Gone) -> str:
    """Say who has removed the baseline. Of the login only what GitLab allows in one is shown: nothing breaks out."""
    day = datetime.fromtimestamp(gone.removed_ms / 1000, UTC).date().isoformat()
    return f"the baseline was removed by {_NO_LOGIN.sub('', gone.removed_by)[:100] or 'somebody'} on {day}"


def _gate(bench: Bench, version: contracts.Version, models: Sequence[ModelReport]) -> tuple[Outcome | None, str]:
    if version.problems:
        return bench.if_invalid, "contract invalid"
    if version is bench.known.binding and not bench.known.read:
        return bench.if_invalid, "the contract file has not been read yet"
    outcomes = [model.outcome for model in models if model.outcome is not None]
    if not outcomes:
        return None, "no rules" if version.contract else "no contract file"
    rulings = [ruling for model in models for ruling in model.rulings]
    if not rulings and any(model.comparison.best is None for model in models if model.outcome is not None):
        return gate.worst(outcomes), "no rule could be checked: no run has succeeded"
    missing = [model.outcome for model in models if model.outcome is not None and model.comparison.best is None]
    return gate.worst(outcomes), gate.told([*(one.outcome for one in rulings), *missing])


def _with_extremes(bench: Bench, contract: Contract, compared: dict[str, Comparison]) -> dict[str, Comparison]:
    """Add the extremes of histories where a rule looks at the best value. Two statements for all models together."""
    looked_at = {
        name: [rule.metric for rule in model.rules if rule.value is Value.BEST]
        for name, model in contract.models.items()
    }
    names: set[str] = set()
    iids: set[int] = set()
    for name, one in compared.items():
        if looked_at.get(name):
            names |= globs.matching_any((change.name for change in one.metrics), looked_at[name])
            iids |= {run.evidence_iid for group in (one.best, one.baseline) if group for run in group.runs}
    # A database takes some 30,000 values in a statement.
    found = run_data.extremes(
        bench.connection, bench.project_id, sorted(iids)[:_MOST_VALUES], set(sorted(names)[:_MOST_VALUES])
    )

    def extended(group: Group | None) -> Group | None:
        if group is None:
            return None
        return replace(group, runs=tuple(replace(run, extremes=found.get(run.evidence_iid, {})) for run in group.runs))

    if not found:
        return compared
    return {
        name: replace(one, best=extended(one.best), baseline=extended(one.baseline)) for name, one in compared.items()
    }

"""Which runs a model is judged by: those of a commit's pipelines, carried forward from an earlier commit, or measured
again by an evaluation.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from mltrail_contract import Contract, Model, Outcome
from mltrail_server.domain import looks, selection
from mltrail_server.domain.comparison import compare, contract_of
from mltrail_server.domain.evaluations import evaluates, settle
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.services.contract.contracts import PipelineContract
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review.jobs import HeadJobs

from .baselines import Branch, ModelBaseline
from .cases.results import CaseResults
from .looks import EarlierPipelines


@dataclass(frozen=True, slots=True)
class GateInput:
    """What a judgement is made from, the same for each version of the contract.

    `made` are the runs of a commit's pipelines, the newest first; `branch` has those of the target branch. `red` are
    the rules that each model has broken before in this merge request, and `inherited` the models that have broken some
    in other merge requests of its branch or commit. `jobs` are those of the commit's pipelines, None if nobody asks
    what it means that a model was not trained.
    """

    tx: Transaction
    made: Sequence[tuple[Pipeline, Sequence[Run]]]
    branch: Branch
    contract: PipelineContract
    target: str
    if_invalid: Outcome
    red: Mapping[str, frozenset[str]] = field(default_factory=dict)
    inherited: AbstractSet[str] = frozenset()
    jobs: HeadJobs | None = None
    earlier: EarlierPipelines = field(default_factory=EarlierPipelines)  # of the merge request
    head: str = ""  # the commit that is judged
    fork: bool = False  # its runs don't count
    cut: bool = False  # there are more runs than were read
    cases: CaseResults | None = None  # compares tables of cases

    @property
    def runs(self) -> list[Run]:
        return [run for _, runs in self.made for run in runs]


@dataclass(frozen=True, slots=True)
class Selected:
    """A model's runs, and the pipeline that made them; None if no pipeline of the commit did. `carried`: it is from an
    earlier commit. `remarks` say what came of evaluations, and contain nothing that a user wrote.
    """

    pipeline: Pipeline | None
    runs: Sequence[Run]
    carried: bool = False
    remarks: tuple[str, ...] = ()


def select(given: GateInput, contract: Contract | None) -> dict[str, Selected]:
    """Give each model its runs: those of the newest pipeline that has succeeded ones, else of the newest that has any.

    A commit may have several pipelines, and one that logs nothing for a model takes nothing back.
    """
    chosen: dict[str, Selected] = {}
    # The contract's models are looked up even if there is no pipeline.
    made: Sequence[tuple[Pipeline | None, Sequence[Run]]] = given.made or [(None, ())]
    for pipeline, runs in made:
        for name, its_runs in selection.select(contract, runs).items():
            newer = chosen.get(name)
            if newer is None or not newer.runs or (not _any_succeeded(newer.runs) and _any_succeeded(its_runs)):
                chosen[name] = Selected(pipeline, its_runs)
    return chosen if contract is None else chosen | _carried(given, contract, chosen)


def _carried(given: GateInput, contract: Contract, chosen: Mapping[str, Selected]) -> dict[str, Selected]:
    """Take an earlier commit's runs for models that logged nothing here and have not changed since.

    Not if their job is still running, or has now logged something that no model claims.
    """
    jobs = given.jobs
    if jobs is None or given.cut:
        return {}
    strangers = {job for job, _ in unclaimed(contract, chosen)}
    found = {}
    for name, model in contract.models.items():
        if chosen[name].runs or not selection.touched(model, given.contract.changed_paths):
            continue
        for pipeline, runs in given.earlier.without_a_change_of(model):
            of_model = selection.select(contract, runs).get(name, [])
            trained_by = {run.job_name for run in of_model}
            if _any_succeeded(of_model):
                if not trained_by & (jobs.busy.keys() | strangers):
                    found[name] = Selected(pipeline, of_model, carried=True)
                break
    return found


def _any_succeeded(runs: Sequence[Run]) -> bool:
    return any(run.state is RunState.SUCCEEDED for run in runs)


def with_evaluations(
    given: GateInput, contract: Contract | None, name: str, selected: Selected, baseline: ModelBaseline
) -> tuple[Selected, ModelBaseline]:
    """Put evaluations in the place of the runs whose models they evaluate, on both sides."""
    if not any(map(evaluates, selected.runs)):
        return selected, baseline
    own = selected.pipeline.id if selected.pipeline is not None else 0
    others = [runs for number, runs in given.earlier.runs.items() if number != own]
    known = [run for runs in others for run in selection.select(contract, runs).get(name, ()) if not evaluates(run)]
    model = contract_of(contract, name)
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


def earlier_looks(given: GateInput, contract: Contract | None, name: str, newest: Selected) -> list[list[Run]]:
    """List the runs of a model that earlier looks at the same files have made: retried jobs of the same pipeline, and
    earlier pipelines. The newest look comes first. A pipeline of the same commit that is still training is not a look
    yet, since the report waits for it. One of another commit is: otherwise a job that never ends would hide what the
    others have found.
    """
    found = looks.attempts(newest.runs)
    if newest.pipeline is not None:
        for pipeline, runs in given.earlier.on_files_of(newest.pipeline):
            of_model = [run for run in selection.select(contract, runs).get(name, ()) if not evaluates(run)]
            if pipeline.head != given.head or not any(run.state is RunState.RUNNING for run in of_model):
                found += [of_model, *looks.attempts(of_model)]
    return found


def unclaimed(contract: Contract | None, selected: Mapping[str, Selected]) -> set[tuple[str, str]]:
    """List the jobs and experiments of successful runs that belong to no model in the contract."""
    return {
        (run.job_name, run.experiment)
        for name, its_runs in selected.items()
        if not contract or name not in contract.models
        for run in its_runs.runs
        if run.state is RunState.SUCCEEDED
    }


def lacks(given: GateInput, contract: Contract | None) -> bool:
    """Whether a model of a contract has no succeeded run."""
    if contract is None:
        return False
    selected = select(given, contract)
    return not all(_any_succeeded(selected[name].runs) for name in contract.models)

"""Which of whose runs a pipeline may promote, model by model, or the sentence that says why not."""

from dataclasses import dataclass, replace

from mltrail_contract import Contract, Outcome
from mltrail_server.domain import ci
from mltrail_server.domain.errors import forbidden, not_found
from mltrail_server.domain.grouping import Run
from mltrail_server.gitlab.client import GitLab
from mltrail_server.store import candidates, jobs, models, promotions

from . import examine, families, promotion_rights, reviewed, terms
from .deps import Scope
from .examine import Examined
from .judging import ModelReport
from .terms import Terms


@dataclass(frozen=True, slots=True)
class Choice:
    """The runs of one model. `trained_in` is the pipeline that made them. With a `problem` nothing is promoted;
    `refused` tells that somebody should look at it.
    """

    model: str
    terms: Terms
    runs: tuple[Run, ...] = ()
    trained_in: int = 0
    merge_request_iid: int | None = None
    problem: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be promoted for a pipeline, by model. `only` is the run that somebody has named."""

    pipeline: ci.Pipeline
    project: ci.Project
    models: tuple[Choice, ...]
    only: int | None = None
    contract: Contract | None = None


def of_pipeline(scope: Scope, gitlab: GitLab, pipeline_id: int, *, model: str | None, pre_release: bool) -> Choices:
    """Choose from what a pipeline has trained itself, else from what its merge request has.

    Asks GitLab about everything that decides. Raises FORBIDDEN for a pipeline that does not promote at all.
    """
    pipeline_id = families.root_of(scope.deps, gitlab, scope.project_id, pipeline_id)
    told = gitlab.pipeline(scope.project_id, pipeline_id)
    if not pre_release:
        promotion_rights.check_ref(scope, gitlab, told)
    refreshed = examine.refresh(scope.deps, scope.project_id, pipeline_id)
    reports = [one for one in refreshed.report.models if one.runs and model in (None, one.name)]
    found = {one.name: _own(refreshed, one) for one in reports}
    if not pre_release:
        found = {name: _allowed(one, told, refreshed) for name, one in found.items()}
        found |= _reviewed(scope, gitlab, told, refreshed, model, known=set(found))
        found |= _asked(scope, told, refreshed, model, known=set(found))
    if model is not None and not found:
        known = ", ".join(sorted(one.name for one in refreshed.report.models if one.runs)) or "nothing"
        problem = f"this pipeline has no runs of it, but of {known}"
        found[model] = Choice(model, _terms(refreshed, model), problem=problem)
    contract = refreshed.report.gate.contract.contract
    return Choices(told, refreshed.project, tuple(found[name] for name in sorted(found)), contract=contract)


def of_candidate(scope: Scope, gitlab: GitLab, candidate_iid: int, *, model: str | None) -> Choices:
    """Choose a run that a person has named. Raises NOT_FOUND for one that is not there, FORBIDDEN for one that no job
    vouches for, or whose pipeline does not promote.
    """
    with scope.deps.db.read() as connection:
        found = candidates.get_by_iid(connection, scope.project_id, candidate_iid)
        links = jobs.links_of(connection, scope.project_id, candidate_iid) if found is not None else []
    if found is None:
        raise not_found(f"This project has no run number {candidate_iid}.")
    pipeline_id = next((link.pipeline_id for link in links if link.verified), None)
    if pipeline_id is None:
        raise forbidden(
            f"The run {found.name} was logged without a job's token, so nothing tells what it was made of. Only runs "
            "of jobs are promoted; train it in a pipeline."
        )
    pipeline_id = families.root_of(scope.deps, gitlab, scope.project_id, pipeline_id)
    told = gitlab.pipeline(scope.project_id, pipeline_id)
    refreshed = examine.refresh(scope.deps, scope.project_id, pipeline_id)
    report = next((one for one in refreshed.report.models if candidate_iid in {run.iid for run in one.runs}), None)
    if report is None or model not in (None, report.name):
        raise not_found(f"The run {found.name} is deleted, or is none of the model {model}.")
    choice = _own(refreshed, report)
    request_iid = refreshed.report.pipeline.merge_request_iid
    if request_iid is None:
        promotion_rights.check_ref(scope, gitlab, told)
        choice = _allowed(choice, told, refreshed)
    else:
        choice = _merged(scope, gitlab, told, refreshed, choice, request_iid)
    choice = replace(choice, refused=bool(choice.problem))  # somebody has asked for this very run
    return Choices(told, refreshed.project, (choice,), candidate_iid, refreshed.report.gate.contract.contract)


def _own(refreshed: Examined, report: ModelReport) -> Choice:
    pipeline = refreshed.report.pipeline
    choice = Choice(report.name, _terms(refreshed, report.name), report.runs, pipeline.id, pipeline.merge_request_iid)
    return _gated(choice, report)


def _gated(choice: Choice, report: ModelReport) -> Choice:
    """Hold a model's gate against it: what the merge request may not bring in is not promoted either."""
    if report.outcome is not Outcome.FAIL:
        return choice
    broken = [one for one in report.rulings if one.outcome is Outcome.FAIL]
    told = "; ".join(f"{one.metric}: {one.full_sentence} ({one.expects})" for one in broken[:3])
    return replace(choice, problem=f"the gate is red: {told or 'no run of a succeeded job counts'}", refused=True)


def _allowed(choice: Choice, told: ci.Pipeline, refreshed: Examined) -> Choice:
    default = refreshed.project.default_branch
    problem = choice.terms.refusal(told.ref, default_branch=default, tag=told.tag)
    if problem is None:
        return choice
    if not choice.terms.by_contract:
        raise forbidden(f"{problem[0].upper()}{problem[1:]}.")
    # What the contract does not promote from where the job always runs is no mistake of anybody's.
    meant = not choice.terms.problem and (told.tag or told.ref == default)
    return replace(choice, problem=problem, refused=not meant)


def _asked(
    scope: Scope, told: ci.Pipeline, refreshed: Examined, model: str | None, *, known: set[str]
) -> dict[str, Choice]:
    """Ask about models that the contract promotes from here and of which no run is known.

    Somebody has to answer before the first version: later it may be that this pipeline has not trained the model.
    """
    found = {}
    for one in refreshed.report.gate.questions:
        choice = Choice(one.model, _terms(refreshed, one.model))
        if one.model in known or model not in (None, one.model) or _allowed(choice, told, refreshed).problem:
            continue
        with scope.deps.db.read() as connection:
            model_id = models.id_of(connection, scope.project_id, one.model)
            last = promotions.newest(connection, scope.project_id, model_id) if model_id is not None else None
        found[one.model] = replace(choice, problem=one.sentence(repr), refused=last is None or model is not None)
    return found


def _reviewed(
    scope: Scope, gitlab: GitLab, told: ci.Pipeline, refreshed: Examined, model: str | None, *, known: set[str]
) -> dict[str, Choice]:
    """Choose from the merge request's runs for models that this pipeline has not trained itself."""
    if model is not None and model in known:
        return {}
    found = reviewed.find(scope, gitlab, told, default_branch=refreshed.project.default_branch)
    choices = {}
    for name, one in found.models.items():
        if name in known or model not in (None, name):
            continue
        choice = Choice(name, _terms(refreshed, name), one.report.runs, one.pipeline_id, one.merge_request_iid)
        if choice.terms.promote is not None and not choice.terms.promote.reuse_reviewed:
            problem = "this pipeline has not trained it, and the contract file does not say `reuse_reviewed: true`"
            choice = replace(choice, problem=problem)
        choices[name] = _allowed(_gated(choice, one.report), told, refreshed)
    missed = set(found.missed) - known if model is None else {model} - known
    if found.problem and not missed and not known:
        missed = {""}
    for name in missed if found.problem else ():
        choice = Choice(name, _terms(refreshed, name), problem=found.problem, refused=True)
        promote = choice.terms.promote
        if name == "" or (promote is not None and promote.reuse_reviewed):
            choices[name] = _allowed(choice, told, refreshed) if name else choice
    return choices


def _merged(
    scope: Scope, gitlab: GitLab, told: ci.Pipeline, refreshed: Examined, choice: Choice, request_iid: int
) -> Choice:
    """Let a merge request's run pass once it is merged into a branch that promotes, with the same files."""
    request = gitlab.merge_request(scope.project_id, request_iid)
    target = replace(told, ref=request.target_branch, tag=False)
    promotion_rights.check_ref(scope, gitlab, target)
    problem = reviewed.of_candidate(scope, gitlab, told, request)
    if problem:
        return replace(choice, problem=problem, refused=True)
    return _allowed(choice, target, refreshed)


def _terms(refreshed: Examined, model: str) -> Terms:
    binding = refreshed.report.gate.contract
    return terms.of(binding.contract, binding.problems, model)

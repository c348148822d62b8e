"""Which of whose runs a pipeline may promote, model by model, or the sentence that says why not.

Find the candidates of the merge request that a pipeline's commit came from, if they were trained on the same files.

Every kind of merge ends here in the same question. A merge commit, a squash, a rebase or a fast-forward makes another
commit or none; a merged results or train pipeline has run on a commit that nobody sees again: what decides is whether
the files are equal.
"""

from dataclasses import dataclass, replace

from mltrail_contract import Contract, Outcome
from mltrail_server.domain import gitlab_ci, reviewed
from mltrail_server.domain.errors import Code, MltrailError, forbidden, not_found
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.services.context.deps import Ci, Scope
from mltrail_server.services.contract import policy
from mltrail_server.services.contract.policy import Policy
from mltrail_server.services.pipelines import child_pipelines, trees
from mltrail_server.services.review import examine
from mltrail_server.services.review.examine import Examined
from mltrail_server.services.review.judge import ModelReport
from mltrail_server.store.ci import jobs, pipelines
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import models
from mltrail_server.store.tracking import candidates

from . import rights

_MOST_PIPELINES = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A model's runs in a pipeline that ran on the same files."""

    report: ModelReport
    pipeline_id: int
    merge_request_iid: int | None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What was found, by model. `problem` says why there is nothing where one would look for it, "" when there was
    nothing to look at; `missed` are the models that the likeliest pipeline has trained on other files.
    """

    models: dict[str, Found]
    problem: str
    missed: tuple[str, ...] = ()


def find_reviewed(scope: Scope, ci: Ci, told: gitlab_ci.Pipeline, *, default_branch: str | None) -> Reviewed:
    """Find, for a pipeline of a branch or tag, the runs that its merge requests and its commit's earlier pipelines have
    made on the same files. For each model the newest pipeline counts.
    """
    sources = _sources(scope, ci, told, default_branch)
    if not sources:
        return Reviewed({}, "")
    own = trees.of_pipeline(ci, told.id, told.sha)
    equal = [one for one in sources if one.sha == told.sha or _is_equal(ci, one, own)]
    found: dict[str, Found] = {}
    for source in equal:
        report = examine.refresh(ci, source.id).report
        for one in report.models:
            if one.runs:
                found.setdefault(one.name, Found(one, source.id, report.pipeline.merge_request_iid))
    if equal:
        return Reviewed(found, "")
    names = trees.differing(ci, sources[0].sha, told.sha)
    report = examine.refresh(ci, sources[0].id).report
    missed = [one.name for one in report.models if any(run.state is RunState.SUCCEEDED for run in one.runs)]
    return Reviewed({}, reviewed.why_not(names), tuple(missed))


def reviewed_problem(scope: Scope, ci: Ci, source: gitlab_ci.Pipeline, request: gitlab_ci.MergeRequest) -> str:
    """Say why a merge request's candidate is not what its merge has brought; "" when it is."""
    if request.state != "merged":
        return f"its merge request !{request.iid} is not merged"
    merged = request.merge_commit_sha or request.squash_commit_sha or request.sha
    own = trees.of_pipeline(ci, source.id, source.sha)
    try:
        theirs = ci.gitlab.tree(scope.project_id, merged) if merged else []
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        theirs = []
    if own is not None and own == reviewed.digest(theirs):
        return ""
    return reviewed.why_not(trees.differing(ci, source.sha, merged or source.sha))


def _sources(scope: Scope, ci: Ci, told: gitlab_ci.Pipeline, default_branch: str | None) -> list[Pipeline]:
    """List the pipelines that may have trained what this commit holds, the likeliest first."""
    target = default_branch if told.tag else told.ref
    requests = [
        one
        for one in ci.gitlab.commit_merge_requests(scope.project_id, told.sha)
        if one.state == "merged" and one.source_project_id == scope.project_id and one.target_branch == target
    ]
    # A commit may have come by several: the one that it is the very merge of goes first, then the newest.
    requests.sort(key=lambda one: (told.sha not in (one.merge_commit_sha, one.squash_commit_sha, one.sha), -one.iid))
    with scope.project.read() as tx:
        same = pipelines.trained_at(tx, told.sha, limit=_MOST_PIPELINES)
        found = [one for one in same if one.id != told.id]
        for request in requests:
            of_request = pipelines.of_merge_request(
                tx, request.iid, branch=request.source_branch, before=told.id, limit=_MOST_PIPELINES
            )
            found += [one for one in of_request if one.id not in {told.id, *(known.id for known in found)}]
    return found[:_MOST_PIPELINES]


def _is_equal(ci: Ci, source: Pipeline, own: str | None) -> bool:
    theirs = trees.of_pipeline(ci, source.id, source.sha)
    return own is not None and own == theirs


@dataclass(frozen=True, slots=True)
class Choice:
    """The runs of one model. `trained_in` is the pipeline that made them. With a `problem` nothing is promoted;
    `refused` tells that somebody should look at it.
    """

    model: str
    terms: Policy
    runs: tuple[Run, ...] = ()
    trained_in: int = 0
    merge_request_iid: int | None = None
    problem: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be promoted for a pipeline, by model. `only` is the run that somebody has named."""

    pipeline: gitlab_ci.Pipeline
    project: gitlab_ci.Project
    models: tuple[Choice, ...]
    only: int | None = None
    contract: Contract | None = None


def of_pipeline(scope: Scope, ci: Ci, pipeline_id: int, *, model: str | None, pre_release: bool) -> Choices:
    """Choose from what a pipeline has trained itself, else from what its merge request has.

    Asks GitLab about everything that decides. Raises FORBIDDEN for a pipeline that does not promote at all.
    """
    pipeline_id = child_pipelines.root_of(ci, pipeline_id)
    told = ci.gitlab.pipeline(scope.project_id, pipeline_id)
    if not pre_release:
        rights.check_ref(scope, ci, told)
    refreshed = examine.refresh(ci, pipeline_id)
    reports = [one for one in refreshed.report.models if one.runs and model in (None, one.name)]
    found = {one.name: _own(refreshed, one) for one in reports}
    if not pre_release:
        found = {name: _allowed(one, told, refreshed) for name, one in found.items()}
        found |= _reviewed(scope, ci, told, refreshed, model, known=set(found))
        found |= _asked(scope, told, refreshed, model, known=set(found))
    if model is not None and not found:
        known = ", ".join(sorted(one.name for one in refreshed.report.models if one.runs)) or "nothing"
        problem = f"this pipeline has no runs of it, but of {known}"
        found[model] = Choice(model, _terms(refreshed, model), problem=problem)
    contract = refreshed.report.gate.contract.contract
    return Choices(told, refreshed.project, tuple(found[name] for name in sorted(found)), contract=contract)


def of_candidate(scope: Scope, ci: Ci, candidate_iid: int, *, model: str | None) -> Choices:
    """Choose a run that a person has named. Raises NOT_FOUND for one that is not there, FORBIDDEN for one that no job
    vouches for, or whose pipeline does not promote.
    """
    with scope.project.read() as tx:
        found = candidates.get_by_iid(tx, candidate_iid)
        links = jobs.ties_of(tx, candidate_iid) if found is not None else []
    if found is None:
        raise not_found(f"This project has no run number {candidate_iid}.")
    pipeline_id = next((link.pipeline_id for link in links if link.verified), None)
    if pipeline_id is None:
        raise forbidden(
            f"The run {found.name} was logged without a job's token, so nothing tells what it was made of. Only runs "
            "of jobs are promoted; train it in a pipeline."
        )
    pipeline_id = child_pipelines.root_of(ci, pipeline_id)
    told = ci.gitlab.pipeline(scope.project_id, pipeline_id)
    refreshed = examine.refresh(ci, pipeline_id)
    report = next((one for one in refreshed.report.models if candidate_iid in {run.iid for run in one.runs}), None)
    if report is None or model not in (None, report.name):
        raise not_found(f"The run {found.name} is deleted, or is none of the model {model}.")
    choice = _own(refreshed, report)
    request_iid = refreshed.report.pipeline.merge_request_iid
    if request_iid is None:
        rights.check_ref(scope, ci, told)
        choice = _allowed(choice, told, refreshed)
    else:
        choice = _merged(scope, ci, told, refreshed, choice, request_iid)
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


def _allowed(choice: Choice, told: gitlab_ci.Pipeline, refreshed: Examined) -> Choice:
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
    scope: Scope, told: gitlab_ci.Pipeline, refreshed: Examined, model: str | None, *, known: set[str]
) -> dict[str, Choice]:
    """Ask about models that the contract promotes from here and of which no run is known.

    Somebody has to answer before the first version: later it may be that this pipeline has not trained the model.
    """
    found = {}
    for one in refreshed.report.gate.questions:
        choice = Choice(one.model, _terms(refreshed, one.model))
        if one.model in known or model not in (None, one.model) or _allowed(choice, told, refreshed).problem:
            continue
        with scope.project.read() as tx:
            model_id = models.id_of(tx, one.model)
            last = promotions.newest(tx, model_id) if model_id is not None else None
        found[one.model] = replace(choice, problem=one.sentence(repr), refused=last is None or model is not None)
    return found


def _reviewed(
    scope: Scope, ci: Ci, told: gitlab_ci.Pipeline, refreshed: Examined, model: str | None, *, known: set[str]
) -> dict[str, Choice]:
    """Choose from the merge request's runs for models that this pipeline has not trained itself."""
    if model is not None and model in known:
        return {}
    found = find_reviewed(scope, ci, told, default_branch=refreshed.project.default_branch)
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
    scope: Scope, ci: Ci, told: gitlab_ci.Pipeline, refreshed: Examined, choice: Choice, request_iid: int
) -> Choice:
    """Let a merge request's run pass once it is merged into a branch that promotes, with the same files."""
    request = ci.gitlab.merge_request(scope.project_id, request_iid)
    target = replace(told, ref=request.target_branch, tag=False)
    rights.check_ref(scope, ci, target)
    problem = reviewed_problem(scope, ci, told, request)
    if problem:
        return replace(choice, problem=problem, refused=True)
    return _allowed(choice, target, refreshed)


def _terms(refreshed: Examined, model: str) -> Policy:
    binding = refreshed.report.gate.contract
    return policy.of_model(binding.contract, binding.problems, model)

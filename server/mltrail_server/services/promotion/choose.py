"""Which runs a pipeline may promote, model by model, or why none: its own, else those of its merge request.

A merge request's runs may be promoted after the merge if they were trained on the same files. A merge commit, a squash,
a rebase and a fast-forward create different commits or none, and a merged results or train pipeline has run on a commit
that is gone later, so the files are compared and not the commits.
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
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.store.ci import jobs, pipelines
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import models
from mltrail_server.store.tracking import candidates

from . import rights

_MOST_PIPELINES = 10
_MOST_BROKEN = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """The runs of one model. `trained_in` is the pipeline that made them. With a `problem` nothing is promoted;
    `refused` says that somebody should look at it.
    """

    model: str
    policy: Policy
    runs: tuple[Run, ...] = ()
    trained_in: int = 0
    merge_request_iid: int | None = None
    problem: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be promoted for a pipeline, by model. `only` is the run that somebody has named."""

    pipeline: gitlab_ci.GitLabPipeline
    project: gitlab_ci.GitLabProject
    models: tuple[Choice, ...]
    only: int | None = None
    contract: Contract | None = None


def from_pipeline(scope: Scope, ci: Ci, pipeline_id: int, *, model: str | None, pre_release: bool) -> Choices:
    """Choose from what a pipeline has trained itself, else from what its merge request has.

    Asks GitLab about everything that decides. Raises FORBIDDEN for a pipeline that does not promote at all.
    """
    pipeline_id = child_pipelines.root_of(ci, pipeline_id)
    pipeline = ci.gitlab.pipeline(ci.project_id, pipeline_id)
    if not pre_release:
        rights.check_ref(scope, ci, pipeline)
    asked = _Asked(ci, pipeline, examine.refresh(ci, pipeline_id), model)
    report = asked.examined.report
    trained = [one for one in report.models if one.runs]
    choices = {one.name: _own(asked.examined, one) for one in trained if asked.includes(one.name)}
    if not pre_release:
        choices = {name: _if_allowed(choice, pipeline, asked.examined) for name, choice in choices.items()}
        choices |= _reviewed(asked, trained=set(choices))
        choices |= _unanswered(asked, known=set(choices))
    if model is not None and not choices:
        names = ", ".join(sorted(one.name for one in trained)) or "nothing"
        problem = f"this pipeline has no runs of it, but of {names}"
        choices[model] = Choice(model, _policy(asked.examined, model), problem=problem)
    by_name = tuple(choices[name] for name in sorted(choices))
    return Choices(pipeline, asked.examined.project, by_name, contract=report.gate.contract.contract)


def from_run(scope: Scope, ci: Ci, candidate_iid: int, *, model: str | None) -> Choices:
    """Choose a run that a person has named. Raises NOT_FOUND if it does not exist, FORBIDDEN if no job vouches for it
    or if its pipeline does not promote.
    """
    with scope.project.read() as tx:
        run = candidates.get_by_iid(tx, candidate_iid)
        ties = jobs.ties_of(tx, candidate_iid) if run is not None else []
    if run is None:
        raise not_found(f"This project has no run number {candidate_iid}.")
    pipeline_id = next((tie.pipeline_id for tie in ties if tie.verified), None)
    if pipeline_id is None:
        raise forbidden(
            f"The run {run.name} was logged without a job's token, so nothing tells what it was made of. Only runs "
            "of jobs are promoted; train it in a pipeline."
        )
    pipeline_id = child_pipelines.root_of(ci, pipeline_id)
    pipeline = ci.gitlab.pipeline(ci.project_id, pipeline_id)
    examined = examine.refresh(ci, pipeline_id)
    report = next((one for one in examined.report.models if candidate_iid in {run.iid for run in one.runs}), None)
    if report is None or model not in (None, report.name):
        raise not_found(f"The run {run.name} is deleted, or is none of the model {model}.")
    choice = _own(examined, report)
    request_iid = examined.report.pipeline.merge_request_iid
    if request_iid is None:
        rights.check_ref(scope, ci, pipeline)
        choice = _if_allowed(choice, pipeline, examined)
    else:
        choice = _if_merged(scope, ci, pipeline, examined, choice, request_iid)
    choice = replace(choice, refused=bool(choice.problem))  # somebody has asked for this very run
    return Choices(pipeline, examined.project, (choice,), candidate_iid, examined.report.gate.contract.contract)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for: the promotion of a pipeline, of one model if `model` names it."""

    ci: Ci
    pipeline: gitlab_ci.GitLabPipeline
    examined: Examined
    model: str | None

    def includes(self, name: str) -> bool:
        return self.model in (None, name)


def _policy(examined: Examined, model: str) -> Policy:
    binding = examined.report.gate.contract
    return policy.of_model(binding.contract, binding.problems, model)


def _own(examined: Examined, report: ModelReport) -> Choice:
    """Choose the runs that a pipeline has made itself."""
    pipeline = examined.report.pipeline
    choice = Choice(report.name, _policy(examined, report.name), report.runs, pipeline.id, pipeline.merge_request_iid)
    return if_not_red(choice, report)


def if_not_red(choice: Choice, report: ModelReport) -> Choice:
    """Apply a model's gate: what the merge request may not bring in is not promoted either. Asks GitLab nothing."""
    if report.outcome is not Outcome.FAIL:
        return choice
    broken = [ruling for ruling in report.rulings if ruling.outcome is Outcome.FAIL]
    listed = "; ".join(f"{one.metric}: {one.explained}" for one in broken[:_MOST_BROKEN])
    return replace(choice, problem=f"the gate is red: {listed or 'no run of a succeeded job counts'}", refused=True)


def _if_allowed(choice: Choice, pipeline: gitlab_ci.GitLabPipeline, examined: Examined) -> Choice:
    """Apply a model's policy: which refs promote it."""
    default = examined.project.default_branch
    problem = choice.policy.refusal(pipeline.ref, default_branch=default, tag=pipeline.tag)
    if problem is None:
        return choice
    if not choice.policy.by_contract:
        raise forbidden(f"{problem[0].upper()}{problem[1:]}.")
    # The job always runs on tags and the default branch; if the contract does not promote from there, that is no error.
    meant = not choice.policy.problem and (pipeline.tag or pipeline.ref == default)
    return replace(choice, problem=problem, refused=not meant)


def _if_merged(
    scope: Scope, ci: Ci, pipeline: gitlab_ci.GitLabPipeline, examined: Examined, choice: Choice, request_iid: int
) -> Choice:
    """Allow a merge request's run once it is merged into a branch that promotes, with the same files."""
    request = ci.gitlab.merge_request(ci.project_id, request_iid)
    target = replace(pipeline, ref=request.target_branch, tag=False)
    rights.check_ref(scope, ci, target)
    problem = _reviewed_problem(ci, pipeline, request)
    if problem:
        return replace(choice, problem=problem, refused=True)
    return _if_allowed(choice, target, examined)


def _reviewed_problem(ci: Ci, source: gitlab_ci.GitLabPipeline, request: gitlab_ci.GitLabMergeRequest) -> str:
    """Say why a merge request's candidate is not what its merge has brought; "" if it is."""
    if request.state != "merged":
        return f"its merge request !{request.iid} is not merged"
    merged = request.merge_commit_sha or request.squash_commit_sha or request.sha
    own = trees.of_pipeline(ci, source.id, source.sha)
    try:
        theirs = ci.gitlab.tree(ci.project_id, merged) if merged else []
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        theirs = []
    if own is not None and own == reviewed.digest(theirs):
        return ""
    return reviewed.why_not(trees.differing(ci, source.sha, merged or source.sha))


def _unanswered(asked: _Asked, *, known: set[str]) -> dict[str, Choice]:
    """Ask about models that the contract promotes from here and of which no run is known.

    Before the first version somebody has to answer; later the pipeline may just not have trained the model.
    """
    choices = {}
    for question in asked.examined.report.gate.questions:
        name = question.model
        choice = Choice(name, _policy(asked.examined, name))
        if name in known or not asked.includes(name):
            continue
        if _if_allowed(choice, asked.pipeline, asked.examined).problem:
            continue
        with asked.ci.project.read() as tx:
            model_id = models.id_of(tx, name)
            last = promotions.newest(tx, model_id) if model_id is not None else None
        refused = last is None or asked.model is not None
        choices[name] = replace(choice, problem=question.sentence(repr), refused=refused)
    return choices


@dataclass(frozen=True, slots=True)
class _ReviewedRuns:
    """A model's runs in a pipeline that ran on the same files."""

    report: ModelReport
    pipeline_id: int
    merge_request_iid: int | None


@dataclass(frozen=True, slots=True)
class _ReviewedModels:
    """Reviewed runs by model. `problem` says why there are none if some were expected; then `missed` are the models
    that the likeliest pipeline has trained on other files.
    """

    models: dict[str, _ReviewedRuns]
    problem: str = ""
    missed: tuple[str, ...] = ()


def _reviewed(asked: _Asked, *, trained: set[str]) -> dict[str, Choice]:
    """Choose from the merge request's runs, for models that this pipeline has not trained itself."""
    if asked.model is not None and asked.model in trained:
        return {}
    found = _find_reviewed(asked)
    choices = {
        name: _from_reviewed(asked, name, runs)
        for name, runs in found.models.items()
        if name not in trained and asked.includes(name)
    }
    return choices | _missed(asked, found, trained=trained) if found.problem else choices


def _from_reviewed(asked: _Asked, name: str, runs: _ReviewedRuns) -> Choice:
    model_policy = _policy(asked.examined, name)
    choice = Choice(name, model_policy, runs.report.runs, runs.pipeline_id, runs.merge_request_iid)
    if model_policy.promote is not None and not model_policy.promote.reuse_reviewed:
        problem = "this pipeline has not trained it, and the contract file does not say `reuse_reviewed: true`"
        choice = replace(choice, problem=problem)
    return _if_allowed(if_not_red(choice, runs.report), asked.pipeline, asked.examined)


def _missed(asked: _Asked, found: _ReviewedModels, *, trained: set[str]) -> dict[str, Choice]:
    """Say of which models the merge request's runs can't be promoted; if none can be named and this pipeline has
    trained none, say it without a name.
    """
    missed = {asked.model} if asked.model is not None else set(found.missed)
    choices = {}
    for name in missed - trained:
        choice = Choice(name, _policy(asked.examined, name), problem=found.problem, refused=True)
        promote = choice.policy.promote
        if promote is not None and promote.reuse_reviewed:
            choices[name] = _if_allowed(choice, asked.pipeline, asked.examined)
    if not missed - trained and not trained:
        choices[""] = Choice("", _policy(asked.examined, ""), problem=found.problem, refused=True)
    return choices


def _find_reviewed(asked: _Asked) -> _ReviewedModels:
    """Find runs that were trained on this pipeline's files, by the merge requests that brought its commit or by the
    commit's earlier pipelines. For each model the newest pipeline counts.
    """
    ci, pipeline = asked.ci, asked.pipeline
    sources = _sources(asked)
    if not sources:
        return _ReviewedModels({})
    own = trees.of_pipeline(ci, pipeline.id, pipeline.sha)
    equal = [source for source in sources if source.sha == pipeline.sha or _has_tree(ci, source, own)]
    found: dict[str, _ReviewedRuns] = {}
    for source in equal:
        report = examine.refresh(ci, source.id).report
        for model in report.models:
            if model.runs:
                found.setdefault(model.name, _ReviewedRuns(model, source.id, report.pipeline.merge_request_iid))
    if equal:
        return _ReviewedModels(found)
    names = trees.differing(ci, sources[0].sha, pipeline.sha)
    report = examine.refresh(ci, sources[0].id).report
    missed = [one.name for one in report.models if any(run.state is RunState.SUCCEEDED for run in one.runs)]
    return _ReviewedModels({}, reviewed.why_not(names), tuple(missed))


def _has_tree(ci: Ci, source: Pipeline, digest: str | None) -> bool:
    theirs = trees.of_pipeline(ci, source.id, source.sha)
    return digest is not None and digest == theirs


def _sources(asked: _Asked) -> list[Pipeline]:
    """List the pipelines that may have trained what this commit contains, the likeliest first."""
    pipeline, project_id = asked.pipeline, asked.ci.project_id
    target = asked.examined.project.default_branch if pipeline.tag else pipeline.ref
    requests = [
        request
        for request in asked.ci.gitlab.commit_merge_requests(project_id, pipeline.sha)
        if request.state == "merged" and request.source_project_id == project_id and request.target_branch == target
    ]
    # Several merge requests may have brought a commit: the one whose merge commit this is comes first, then the newest.
    requests.sort(key=lambda request: (not _is_merge_of(pipeline.sha, request), -request.iid))
    with asked.ci.project.read() as tx:
        same = pipelines.trained_at(tx, pipeline.sha, limit=_MOST_PIPELINES)
        found = {one.id: one for one in same if one.id != pipeline.id}
        for request in requests:
            of_request = pipelines.of_merge_request(
                tx, request.iid, branch=request.source_branch, before=pipeline.id, limit=_MOST_PIPELINES
            )
            for one in of_request:
                if one.id != pipeline.id:
                    found.setdefault(one.id, one)
    return list(found.values())[:_MOST_PIPELINES]


def _is_merge_of(sha: str, request: gitlab_ci.GitLabMergeRequest) -> bool:
    return sha in (request.merge_commit_sha, request.squash_commit_sha, request.sha)

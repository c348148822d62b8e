"""Find the candidates of the merge request that a pipeline's commit came from, if they were trained on the same files.

Every kind of merge ends here in the same question. A merge commit, a squash, a rebase or a fast-forward makes another
commit or none; a merged results or train pipeline has run on a commit that nobody sees again: what decides is whether
the files are equal.
"""

from dataclasses import dataclass

from mltrail_server.domain import ci, reviewed
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.grouping import RunState
from mltrail_server.gitlab.client import GitLab
from mltrail_server.store import pipeline_trees
from mltrail_server.store.pipelines import Pipeline

from . import examine, trees
from .deps import Scope
from .judging import ModelReport

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


def find(scope: Scope, gitlab: GitLab, told: ci.Pipeline, *, default_branch: str | None) -> Reviewed:
    """Find, for a pipeline of a branch or tag, the runs that its merge requests and its commit's earlier pipelines have
    made on the same files. For each model the newest pipeline counts.
    """
    sources = _sources(scope, gitlab, told, default_branch)
    if not sources:
        return Reviewed({}, "")
    own = trees.of_pipeline(scope.deps, gitlab, scope.project_id, told.id, told.sha)
    equal = [one for one in sources if one.sha == told.sha or _is_equal(scope, gitlab, one, own)]
    found: dict[str, Found] = {}
    for source in equal:
        report = examine.refresh(scope.deps, scope.project_id, source.id).report
        for one in report.models:
            if one.runs:
                found.setdefault(one.name, Found(one, source.id, report.pipeline.merge_request_iid))
    if equal:
        return Reviewed(found, "")
    names = trees.differing(gitlab, scope.project_id, sources[0].sha, told.sha)
    report = examine.refresh(scope.deps, scope.project_id, sources[0].id).report
    missed = [one.name for one in report.models if any(run.state is RunState.SUCCEEDED for run in one.runs)]
    return Reviewed({}, reviewed.why_not(names), tuple(missed))


def of_candidate(scope: Scope, gitlab: GitLab, source: ci.Pipeline, request: ci.MergeRequest) -> str:
    """Say why a merge request's candidate is not what its merge has brought; "" when it is."""
    if request.state != "merged":
        return f"its merge request !{request.iid} is not merged"
    merged = request.merge_commit_sha or request.squash_commit_sha or request.sha
    own = trees.of_pipeline(scope.deps, gitlab, scope.project_id, source.id, source.sha)
    try:
        theirs = gitlab.tree(scope.project_id, merged) if merged else []
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        theirs = []
    if own is not None and own == reviewed.digest(theirs):
        return ""
    return reviewed.why_not(trees.differing(gitlab, scope.project_id, source.sha, merged or source.sha))


def _sources(scope: Scope, gitlab: GitLab, told: ci.Pipeline, default_branch: str | None) -> list[Pipeline]:
    """List the pipelines that may have trained what this commit holds, the likeliest first."""
    target = default_branch if told.tag else told.ref
    requests = [
        one
        for one in gitlab.commit_merge_requests(scope.project_id, told.sha)
        if one.state == "merged" and one.source_project_id == scope.project_id and one.target_branch == target
    ]
    # A commit may have come by several: the one that it is the very merge of goes first, then the newest.
    requests.sort(key=lambda one: (told.sha not in (one.merge_commit_sha, one.squash_commit_sha, one.sha), -one.iid))
    with scope.deps.db.read() as connection:
        same = pipeline_trees.trained_at(connection, scope.project_id, told.sha, limit=_MOST_PIPELINES)
        found = [one for one in same if one.id != told.id]
        for request in requests:
            of_request = pipeline_trees.of_merge_request(
                connection,
                scope.project_id,
                request.iid,
                branch=request.source_branch,
                before=told.id,
                limit=_MOST_PIPELINES,
            )
            found += [one for one in of_request if one.id not in {told.id, *(known.id for known in found)}]
    return found[:_MOST_PIPELINES]


def _is_equal(scope: Scope, gitlab: GitLab, source: Pipeline, own: str | None) -> bool:
    theirs = trees.of_pipeline(scope.deps, gitlab, scope.project_id, source.id, source.sha)
    return own is not None and own == theirs

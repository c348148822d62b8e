"""The other pipelines of a merge request's newest commit.

A model may be trained in another pipeline than the one that is asked about: that a model was not trained means
something only once all of them have ended.
"""

import logging
from dataclasses import dataclass, replace

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import jobs, merge_requests, pipelines
from mltrail_server.store.ci.merge_requests import MergeRequest

_MOST_PIPELINES = 10
_MOST_COMPARED = 3
_MOST_PATHS = 3000
"""More than GitLab shows of a comparison by default."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OtherPipelines:
    """The other pipelines of a commit: which may still train something, and whether any of them has changed since we
    last asked.
    """

    unfinished: tuple[int, ...] = ()
    changed: bool = False


def newest(ci: Ci, request: MergeRequest, head: str) -> list[gitlab_ci.GitLabPipeline]:
    """List GitLab's pipelines of a merge request's commit, the newest first: its own, and its branch's."""
    own = f"refs/merge-requests/{request.iid}/"
    fork = request.source_project_id not in (None, ci.project_id)
    return [
        pipeline
        for pipeline in ci.gitlab.pipelines_of(ci.project_id, head)
        if pipeline.ref.startswith(own) or (not fork and not pipeline.tag and pipeline.ref == request.source_branch)
    ]


def refresh(ci: Ci, request: MergeRequest, head: str, *, but: int) -> OtherPipelines:
    """Ask GitLab about the other pipelines of a commit and their jobs. One call, and one for each that has not ended as
    far as we know.
    """
    others = [pipeline for pipeline in newest(ci, request, head) if pipeline.id != but][:_MOST_PIPELINES]
    with ci.project.read() as tx:
        stored = {pipeline.id: pipelines.get(tx, pipeline.id) for pipeline in others}
    stale = [pipeline for pipeline in others if not _has_ended(pipeline, stored[pipeline.id])]
    if not stale:
        return OtherPipelines()
    with_jobs = [(pipeline, ci.gitlab.pipeline_jobs(ci.project_id, pipeline.id)) for pipeline in stale]
    with ci.project.write() as tx:
        for pipeline, its_jobs in with_jobs:
            before = stored[pipeline.id]
            pipelines.refresh(
                tx,
                pipeline,
                merge_request_iid=_merge_request_iid(pipeline, before, request),
                on_default_branch=False,
                head_sha=before.head_sha if before is not None else None,
            )
            jobs.refresh(tx, its_jobs)
    unfinished = tuple(pipeline.id for pipeline in stale if pipeline.status not in gitlab_ci.ENDED)
    return OtherPipelines(unfinished, changed=True)


def compare(ci: Ci, request: MergeRequest, head: str) -> bool:
    """Ask GitLab what differs between a commit and the merge request's earlier ones that have trained, and keep it.
    Returns whether anything new is known.

    One call for each of the newest earlier commits, once.
    """
    with ci.project.read() as tx:
        trained = pipelines.trained_for(tx, request.iid, branch=request.source_branch, limit=_MOST_PIPELINES)
        known = merge_requests.compared(tx, request.iid, head)
    before = list(dict.fromkeys(one.pipeline.head for one in trained if one.pipeline.head != head))
    wanted = [sha for sha in before[:_MOST_COMPARED] if sha not in known.paths]
    paths = dict(known.paths)
    for sha in wanted:
        try:
            found = ci.gitlab.compared_paths(ci.project_id, sha, head)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                _log.warning("!%s of project %s: %s", request.iid, ci.project_id, error.message)
                break
            found = None
        paths[sha] = None if found is None or len(found) > _MOST_PATHS else tuple(sorted(found))
    if len(paths) == len(known.paths):
        return False
    with ci.project.write() as tx:
        merge_requests.keep_compared(tx, request.iid, replace(known, paths=paths))
    return True


def _merge_request_iid(
    pipeline: gitlab_ci.GitLabPipeline, stored: pipelines.Pipeline | None, request: MergeRequest
) -> int:
    """Return the merge request that a pipeline counts towards: its own, or the first that was found for a branch's."""
    if pipeline.ref.startswith("refs/merge-requests/") or stored is None or stored.merge_request_iid is None:
        return request.iid
    return stored.merge_request_iid


def _has_ended(pipeline: gitlab_ci.GitLabPipeline, stored: pipelines.Pipeline | None) -> bool:
    """Whether a pipeline had ended when it was stored, and has not been started again."""
    return stored is not None and stored.status == pipeline.status and pipeline.status in gitlab_ci.ENDED

"""The other pipelines of a merge request's newest commit.

A model may be trained in another pipeline than the one that is asked about: that a model was not trained means
something only once all of them have ended.
"""

from dataclasses import dataclass

from mltrail_server.domain import gitlab_ci
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import jobs, pipelines
from mltrail_server.store.ci.merge_requests import MergeRequest

_MOST_PIPELINES = 10


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

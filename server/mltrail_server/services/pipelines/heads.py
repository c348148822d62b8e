"""What else GitLab runs for a merge request's newest commit: a model may be trained in another pipeline than the one
that is asked about, and silence counts only once they are over.
"""

from dataclasses import dataclass

from mltrail_server.domain import gitlab_ci
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import jobs, pipelines
from mltrail_server.store.ci.merge_requests import MergeRequest

_MOST_PIPELINES = 10


def newest(ci: Ci, request: MergeRequest, head: str) -> list[gitlab_ci.Pipeline]:
    """List the pipelines that GitLab has of a merge request's commit, the newest first: its own, and its branch's."""
    own = f"refs/merge-requests/{request.iid}/"
    fork = request.source_project_id not in (None, ci.project_id)
    return [
        one
        for one in ci.gitlab.pipelines_of(ci.project_id, head)
        if one.ref.startswith(own) or (not fork and not one.tag and one.ref == request.source_branch)
    ]


@dataclass(frozen=True, slots=True)
class Others:
    """The other pipelines of a commit: those that may still train something, and whether any was news to us."""

    unfinished: tuple[int, ...] = ()
    changed: bool = False


def refresh(ci: Ci, request: MergeRequest, head: str, *, but: int) -> Others:
    """Ask GitLab about the other pipelines of a commit and their jobs. One call, and one for each that has not ended as
    far as we know.
    """
    others = [one for one in newest(ci, request, head) if one.id != but][:_MOST_PIPELINES]
    with ci.project.read() as tx:
        known = {one.id: pipelines.get(tx, one.id) for one in others}
    stale = [one for one in others if not _is_over(one, known[one.id])]
    if not stale:
        return Others()
    found = [(one, ci.gitlab.pipeline_jobs(ci.project_id, one.id)) for one in stale]
    with ci.project.write() as tx:
        for one, its_jobs in found:
            before = known[one.id]
            pipelines.refresh(
                tx,
                one,
                merge_request_iid=_iid(one, before, request),
                on_default_branch=False,
                head_sha=before.head_sha if before is not None else None,
            )
            jobs.refresh(tx, its_jobs)
    return Others(tuple(one.id for one in stale if one.status not in gitlab_ci.ENDED), changed=True)


def _iid(told: gitlab_ci.Pipeline, known: pipelines.Pipeline | None, request: MergeRequest) -> int:
    """Tell which merge request a pipeline counts to: its own, or the first one that was found for a branch's."""
    if told.ref.startswith("refs/merge-requests/") or known is None or known.merge_request_iid is None:
        return request.iid
    return known.merge_request_iid


def _is_over(told: gitlab_ci.Pipeline, known: pipelines.Pipeline | None) -> bool:
    return known is not None and known.status == told.status and told.status in gitlab_ci.ENDED

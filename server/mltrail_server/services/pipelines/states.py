"""What GitLab says of a pipeline now: its jobs, its merge request. Candidates follow their jobs."""

import re
from dataclasses import dataclass

from mltrail_server.domain import gitlab_ci, job_outcome
from mltrail_server.domain.candidate import Status
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import PROJECT_AGE_MS, Ci
from mltrail_server.services.context.job_states import GRACE_MS
from mltrail_server.store.ci import jobs, merge_requests, pipelines
from mltrail_server.store.ci.jobs import TiedJob
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidate_tags, candidates

from . import child_pipelines

REQUEST_AGE_MS = 10 * 60_000
"""So old may be what we know of a merge request, when nobody asks for the newest. What changes meanwhile is seen by
webhooks and by the sweep over a project's open ones.
"""

_MOST_REQUESTS = 5
"""So many merge requests of one branch get a comment of its pipeline."""

_MERGE_REQUEST_REF = re.compile(r"refs/merge-requests/(\d+)/")


@dataclass(frozen=True, slots=True)
class PipelineState:
    """`settled`: every job of every candidate is over. `pipeline` is None when GitLab does not have it any more.
    `others` are open merge requests of the same branch beside the pipeline's own.
    """

    project: gitlab_ci.Project
    pipeline: gitlab_ci.Pipeline | None
    merge_request_iid: int | None
    settled: bool
    others: tuple[int, ...] = ()

    @property
    def of_train(self) -> bool:
        """Tell whether it is a merge train's pipeline, which may be begun again and again."""
        told = self.pipeline
        return told is not None and told.ref.startswith("refs/merge-requests/") and told.ref.endswith("/train")

    @property
    def has_or_may_get_a_request(self) -> bool:
        """Tell whether a merge request is there or may be opened for what this pipeline has trained."""
        told = self.pipeline
        return told is not None and not told.tag and told.ref != self.project.default_branch


def refresh(ci: Ci, pipeline_id: int, *, fresh: bool) -> PipelineState:
    """Ask GitLab about a pipeline, close what its jobs have left open, and find its merge request.

    One call while it trains, two or three when it is over, and one for each child pipeline that trains; `fresh` asks
    for everything. Raises what GitLab's refusal means, NOT_FOUND for a pipeline that neither GitLab nor we know.
    """
    project = ci.gitlab.project(ci.project_id, max_age_ms=0 if fresh else PROJECT_AGE_MS)
    with ci.project.read() as tx:
        link = pipelines.link_of(tx, pipeline_id)
        before = jobs.tied_in(tx, pipeline_id)
    pipeline, its_jobs = _look(ci, pipeline_id, known=bool(before))
    if pipeline is None:
        return _mark_deleted(ci, pipeline_id, project, link.merge_request_iid, _gone(ci, [], before, all_are=True))
    its_jobs = [*its_jobs, *child_pipelines.jobs_of_children(ci, pipeline_id, fresh=fresh)]
    gone = _gone(ci, its_jobs, before, all_are=False)
    on_branch = not pipeline.tag and pipeline.ref != project.default_branch
    requests = _Requests(link.merge_request_iid)
    if on_branch:
        ended = {job.id for job in its_jobs if job.status in gitlab_ci.ENDED} | set(gone)
        trains = not all(job.job_id in ended for job in before)
        requests = _find_requests(ci, pipeline, link, fresh=fresh, trains=trains)
    head = _head(ci, pipeline, link, requests.found)
    with ci.project.write() as tx:
        on_default_branch = not pipeline.tag and not on_branch
        pipelines.refresh(
            tx, pipeline, merge_request_iid=requests.iid, on_default_branch=on_default_branch, head_sha=head
        )
        jobs.refresh(tx, its_jobs)
        jobs.vanish(tx, gone)
        jobs.settle_flags(tx, its_jobs, grace_ms=GRACE_MS)
        for request in requests.fetched:
            merge_requests.refresh(tx, request)
        return _state(tx, project, pipeline_id, pipeline, requests.iid)


@dataclass(frozen=True, slots=True)
class _Requests:
    """The merge request of a pipeline, as far as GitLab was asked about it, and others of the same branch."""

    iid: int | None
    found: gitlab_ci.MergeRequest | None = None
    others: tuple[gitlab_ci.MergeRequest, ...] = ()

    @property
    def fetched(self) -> list[gitlab_ci.MergeRequest]:
        return [*([self.found] if self.found is not None else []), *self.others]


def _find_requests(
    ci: Ci, pipeline: gitlab_ci.Pipeline, link: pipelines.Link, *, fresh: bool, trains: bool
) -> _Requests:
    """Find the merge requests of a branch's pipeline. `trains`: some of its jobs have not ended yet."""
    own, iid, found = _own_request(pipeline), link.merge_request_iid, None
    if not fresh and trains and own is not None and _is_known(ci, own):
        iid = own
    elif fresh or not link.resolved or not trains:
        found = _merge_request(ci, pipeline, link, since=ci.now - (0 if fresh else REQUEST_AGE_MS))
        iid = found.iid if found else iid
    asks_for_others = own is None and (fresh or not link.resolved)
    return _Requests(iid, found, tuple(_beside(ci, pipeline, iid)) if asks_for_others else ())


def _mark_deleted(
    ci: Ci, pipeline_id: int, project: gitlab_ci.Project, iid: int | None, gone: list[int]
) -> PipelineState:
    """Record that GitLab does not have a pipeline any more."""
    with ci.project.write() as tx:
        pipelines.vanish(tx, pipeline_id)
        jobs.vanish(tx, gone)
        return _state(tx, project, pipeline_id, None, iid)


def _state(
    tx: Transaction,
    project: gitlab_ci.Project,
    pipeline_id: int,
    pipeline: gitlab_ci.Pipeline | None,
    iid: int | None,
) -> PipelineState:
    """Tag and close the candidates of a pipeline by what is known now."""
    others: tuple[int, ...] = ()
    if iid is not None and pipeline is not None and not pipeline.tag and _own_request(pipeline) is None:
        opened = merge_requests.opened_of_branch(tx, pipeline.ref, limit=_MOST_REQUESTS)
        others = tuple(one for one in opened if one != iid)
    tied = jobs.tied_in(tx, pipeline_id)
    if iid is not None:
        stamped = {job.candidate_iid for job in tied if job.verified}
        candidate_tags.put_all(tx, stamped, {gitlab_ci.MERGE_REQUEST_TAG: str(iid)})
    detached = _close(tx, tied)
    return PipelineState(project, pipeline, iid, _all_ended(tied) and not detached, others)


def _is_known(ci: Ci, iid: int) -> bool:
    with ci.project.read() as tx:
        return merge_requests.get(tx, iid) is not None


def _look(ci: Ci, pipeline_id: int, *, known: bool) -> tuple[gitlab_ci.Pipeline | None, list[gitlab_ci.Job]]:
    """Ask for a pipeline and its jobs; None for one that we know and GitLab does not have any more."""
    try:
        return ci.gitlab.look(ci.project_id, pipeline_id)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND or not known:
            raise
    # Not the pipeline may have gone, but the project, or the bot's sight of it: then this raises.
    ci.gitlab.project(ci.project_id)
    return None, []


def _gone(ci: Ci, told: list[gitlab_ci.Job], before: list[TiedJob], *, all_are: bool) -> list[int]:
    """List the jobs of candidates that GitLab does not have any more, without having told us of their end."""
    listed = {job.id for job in told}
    missing = {job.job_id for job in before if job.job_id not in listed and job.status not in gitlab_ci.ENDED}
    return sorted(missing) if all_are else [one for one in sorted(missing) if _is_deleted(ci, one)]


def _is_deleted(ci: Ci, job_id: int) -> bool:
    """Make sure: a list may lack a job because its pages were cut while others went."""
    try:
        ci.gitlab.job(ci.project_id, job_id)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return True
    return False


def _own_request(told: gitlab_ci.Pipeline) -> int | None:
    """Read the merge request off the ref of its own pipelines."""
    match = _MERGE_REQUEST_REF.match(told.ref)
    return int(match[1]) if match else None


def _merge_request(
    ci: Ci, told: gitlab_ci.Pipeline, link: pipelines.Link, *, since: int
) -> gitlab_ci.MergeRequest | None:
    """Find the merge request of a pipeline: its own, or the oldest open one of its branch. None also where we know it
    well enough, or where it was deleted.
    """
    if link.merge_request_iid is not None and (link.refreshed_ms or 0) > since:
        return None
    iid = _own_request(told) or link.merge_request_iid
    if iid is None:
        found = sorted(ci.gitlab.open_merge_requests(ci.project_id, told.ref), key=lambda one: one.iid)
        iid = found[0].iid if found else None
    if iid is None:
        return None
    try:
        return ci.gitlab.merge_request(ci.project_id, iid)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None


def _beside(ci: Ci, told: gitlab_ci.Pipeline, iid: int | None) -> list[gitlab_ci.MergeRequest]:
    """Fetch the open merge requests of a branch beside one: a branch may be offered to several others."""
    found = sorted(one.iid for one in ci.gitlab.open_merge_requests(ci.project_id, told.ref) if one.iid != iid)
    requests = []
    for other in found[:_MOST_REQUESTS]:
        try:
            requests.append(ci.gitlab.merge_request(ci.project_id, other))
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
    return requests


def _head(ci: Ci, told: gitlab_ci.Pipeline, link: pipelines.Link, request: gitlab_ci.MergeRequest | None) -> str | None:
    """Tell of which commit of its merge request a pipeline is that runs on a merged one; None for others."""
    if link.head_sha is not None or not told.ref.endswith(("/merge", "/train")) or _own_request(told) is None:
        return link.head_sha
    try:
        parents = ci.gitlab.commit_parents(ci.project_id, told.sha)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        parents = []
    newest = request.sha if request is not None else None
    # GitLab merges the source into the target; a train may squash or rebase before, so that no parent is the head.
    return newest if newest in parents or not parents else parents[-1] if len(parents) > 1 else newest


def _all_ended(its_jobs: list[TiedJob]) -> bool:
    return job_outcome.all_ended(job.status for job in its_jobs)


def _close(tx: Transaction, tied: list[TiedJob]) -> bool:
    """End candidates that are still running though all their jobs have ended: a client may die without a word.

    A detached one has its own time. Answers whether there is such a one.
    """
    of_candidate: dict[int, list[TiedJob]] = {}
    for job in tied:
        of_candidate.setdefault(job.candidate_iid, []).append(job)
    detached = False
    over = [iid for iid, its_jobs in of_candidate.items() if _all_ended(its_jobs)]
    for candidate in candidates.of_iids(tx, over):
        if candidate.status.ended:
            continue
        if candidate.detached_until_ms is not None and tx.now < candidate.detached_until_ms:
            detached = True
            continue
        status, reason = job_outcome.of({job.status: job.failure_reason for job in of_candidate[candidate.iid]})
        if candidate.detached_until_ms is not None:
            status, reason = Status.KILLED, "detached from its job, and not ended in time"
        candidates.change(tx, candidate.iid, status=status, status_reason=reason, ended_ms=candidate.ended_ms or tx.now)
    return detached

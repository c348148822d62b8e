"""A pipeline's current state in GitLab: its jobs and its merge requests. Candidates end with their jobs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

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

_REQUEST_AGE_MS = 10 * 60_000
"""How old our copy of a merge request may be, unless the newest is asked for. Webhooks and the poll of a project's open
merge requests bring changes sooner.
"""

_MOST_REQUESTS = 5
"""How many merge requests of one branch get the note of its pipeline."""

_MERGE_REQUEST_REF = re.compile(r"refs/merge-requests/(\d+)/")


@dataclass(frozen=True, slots=True)
class PipelineState:
    """`settled`: every job of every candidate has ended. `pipeline` is None if GitLab no longer has it. `others` are
    the open merge requests of the same branch besides the pipeline's own.
    """

    project: gitlab_ci.GitLabProject
    pipeline: gitlab_ci.GitLabPipeline | None
    merge_request_iid: int | None
    settled: bool
    others: tuple[int, ...] = ()

    @property
    def of_train(self) -> bool:
        """Whether it is a merge train's pipeline, which GitLab may start again and again."""
        ref = self.pipeline.ref if self.pipeline is not None else ""
        return ref.startswith("refs/merge-requests/") and ref.endswith("/train")

    @property
    def has_or_may_get_a_request(self) -> bool:
        """Whether a merge request exists or may be opened for what this pipeline has trained."""
        return self.pipeline is not None and _may_have_request(self.project, self.pipeline)


def refresh(ci: Ci, pipeline_id: int, *, fresh: bool) -> PipelineState:
    """Ask GitLab about a pipeline, end the candidates whose jobs have ended, and find its merge request.

    One call while it trains, two or three once it has ended, and one for each child pipeline that trains; `fresh` asks
    for everything. Raises the error that GitLab's refusal stands for, NOT_FOUND for a pipeline that neither GitLab nor
    we know.
    """
    project = ci.gitlab.project(ci.project_id, max_age_ms=0 if fresh else PROJECT_AGE_MS)
    with ci.project.read() as tx:
        link = pipelines.link_of(tx, pipeline_id)
        before = jobs.tied_in(tx, pipeline_id)
    pipeline, listed = _fetch(ci, pipeline_id, known=bool(before))
    if pipeline is not None:
        listed = [*listed, *child_pipelines.jobs_of_children(ci, pipeline_id, fresh=fresh)]
    gone = _gone(ci, listed, before, all_are=pipeline is None)
    requests = _Requests(link)
    if pipeline is not None and _may_have_request(project, pipeline):
        ended = {job.id for job in listed if job.status in gitlab_ci.ENDED} | set(gone)
        trains = not all(job.job_id in ended for job in before)
        requests = _requests(ci, pipeline, link, trains=trains, fresh=fresh)
    iid = requests.iid
    head = None if pipeline is None else _head(ci, pipeline, link, requests.own)
    with ci.project.write() as tx:
        if pipeline is None:
            pipelines.vanish(tx, pipeline_id)
        else:
            on_default_branch = not pipeline.tag and pipeline.ref == project.default_branch
            pipelines.refresh(tx, pipeline, merge_request_iid=iid, on_default_branch=on_default_branch, head_sha=head)
        jobs.refresh(tx, listed)
        jobs.vanish(tx, gone)
        jobs.settle_flags(tx, listed, grace_ms=GRACE_MS)
        for request in requests.fetched:
            merge_requests.refresh(tx, request)
        others = _others(tx, pipeline, iid)
        tied = jobs.tied_in(tx, pipeline_id)
        _tag_candidates(tx, tied, iid)
        detached = _end_candidates(tx, tied)
    return PipelineState(project, pipeline, iid, _all_ended(tied) and not detached, others)


def _may_have_request(project: gitlab_ci.GitLabProject, pipeline: gitlab_ci.GitLabPipeline) -> bool:
    return not pipeline.tag and pipeline.ref != project.default_branch


def _fetch(ci: Ci, pipeline_id: int, *, known: bool) -> tuple[gitlab_ci.GitLabPipeline | None, list[gitlab_ci.Job]]:
    """Ask for a pipeline and its jobs. The pipeline is None if we know it and GitLab no longer has it."""
    try:
        return ci.gitlab.look(ci.project_id, pipeline_id)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND or not known:
            raise
    # It may not be the pipeline that is gone, but the project or the bot's access to it: then this raises.
    ci.gitlab.project(ci.project_id)
    return None, []


def _gone(ci: Ci, listed: Sequence[gitlab_ci.Job], before: Sequence[TiedJob], *, all_are: bool) -> list[int]:
    """List the jobs of candidates that GitLab no longer has and whose end we have never seen."""
    there = {job.id for job in listed}
    missing = sorted({job.job_id for job in before if job.job_id not in there and job.status not in gitlab_ci.ENDED})
    return missing if all_are else [job_id for job_id in missing if _is_deleted(ci, job_id)]


def _is_deleted(ci: Ci, job_id: int) -> bool:
    """Ask for the job itself: a list may miss jobs if others were deleted while its pages were read."""
    try:
        ci.gitlab.job(ci.project_id, job_id)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return True
    return False


@dataclass(frozen=True, slots=True)
class _Requests:
    """The merge requests of a pipeline. `own` is its own as just fetched from GitLab, None if it was not fetched;
    `beside` are other open ones of its branch, just fetched; `link` is what we knew before.
    """

    link: pipelines.MergeRequestLink
    own: gitlab_ci.GitLabMergeRequest | None = None
    beside: tuple[gitlab_ci.GitLabMergeRequest, ...] = ()

    @property
    def iid(self) -> int | None:
        return self.own.iid if self.own is not None else self.link.merge_request_iid

    @property
    def fetched(self) -> list[gitlab_ci.GitLabMergeRequest]:
        return [*([self.own] if self.own is not None else []), *self.beside]


def _requests(
    ci: Ci, pipeline: gitlab_ci.GitLabPipeline, link: pipelines.MergeRequestLink, *, trains: bool, fresh: bool
) -> _Requests:
    """Find the merge requests of a pipeline, asking GitLab only where what we know is missing, old or not enough."""
    in_ref = _request_of_ref(pipeline)
    found = _Requests(link)
    if not fresh and trains and in_ref is not None and _is_known(ci, in_ref):
        found = _Requests(replace(link, merge_request_iid=in_ref))
    elif fresh or not link.resolved or not trains:
        since = ci.now - (0 if fresh else _REQUEST_AGE_MS)
        found = _Requests(link, _merge_request(ci, pipeline, link, since=since))
    if in_ref is None and (fresh or not link.resolved):
        return replace(found, beside=tuple(_beside(ci, pipeline, found.iid)))
    return found


def _request_of_ref(pipeline: gitlab_ci.GitLabPipeline) -> int | None:
    """Read the merge request's number from the ref of a merge request pipeline; None for other pipelines."""
    match = _MERGE_REQUEST_REF.match(pipeline.ref)
    return int(match[1]) if match else None


def _is_known(ci: Ci, iid: int) -> bool:
    with ci.project.read() as tx:
        return merge_requests.get(tx, iid) is not None


def _merge_request(
    ci: Ci, pipeline: gitlab_ci.GitLabPipeline, link: pipelines.MergeRequestLink, *, since: int
) -> gitlab_ci.GitLabMergeRequest | None:
    """Find the merge request of a pipeline: its own, or the oldest open one of its branch. None also if our copy is not
    older than `since`, or if it was deleted.
    """
    if link.merge_request_iid is not None and (link.refreshed_ms or 0) > since:
        return None
    iid = _request_of_ref(pipeline) or link.merge_request_iid
    if iid is None:
        iid = min((request.iid for request in ci.gitlab.open_merge_requests(ci.project_id, pipeline.ref)), default=None)
    return None if iid is None else _fetch_request(ci, iid)


def _beside(ci: Ci, pipeline: gitlab_ci.GitLabPipeline, own: int | None) -> list[gitlab_ci.GitLabMergeRequest]:
    """Fetch the other open merge requests of a branch: it may be proposed to several target branches."""
    opened = ci.gitlab.open_merge_requests(ci.project_id, pipeline.ref)
    others = sorted(request.iid for request in opened if request.iid != own)
    fetched = [_fetch_request(ci, iid) for iid in others[:_MOST_REQUESTS]]
    return [request for request in fetched if request is not None]


def _fetch_request(ci: Ci, iid: int) -> gitlab_ci.GitLabMergeRequest | None:
    """Ask GitLab for a merge request; None if it was deleted."""
    try:
        return ci.gitlab.merge_request(ci.project_id, iid)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None


def _head(
    ci: Ci,
    pipeline: gitlab_ci.GitLabPipeline,
    link: pipelines.MergeRequestLink,
    request: gitlab_ci.GitLabMergeRequest | None,
) -> str | None:
    """Find the merge request's commit that a merged results pipeline has run on; None for other pipelines."""
    merged = pipeline.ref.endswith(("/merge", "/train")) and _request_of_ref(pipeline) is not None
    if link.head_sha is not None or not merged:
        return link.head_sha
    try:
        parents = ci.gitlab.commit_parents(ci.project_id, pipeline.sha)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        parents = []
    newest = request.sha if request is not None else None
    # GitLab merges the source into the target; a train may squash or rebase first, so that no parent is the head.
    return newest if newest in parents or not parents else parents[-1] if len(parents) > 1 else newest


def _others(tx: Transaction, pipeline: gitlab_ci.GitLabPipeline | None, own: int | None) -> tuple[int, ...]:
    """List the other open merge requests of a branch's pipeline."""
    if own is None or pipeline is None or pipeline.tag or _request_of_ref(pipeline) is not None:
        return ()
    opened = merge_requests.opened_of_branch(tx, pipeline.ref, limit=_MOST_REQUESTS)
    return tuple(iid for iid in opened if iid != own)


def _tag_candidates(tx: Transaction, tied: Sequence[TiedJob], merge_request_iid: int | None) -> None:
    if merge_request_iid is not None:
        verified = {job.candidate_iid for job in tied if job.verified}
        candidate_tags.put_all(tx, verified, {gitlab_ci.MERGE_REQUEST_TAG: str(merge_request_iid)})


def _all_ended(tied: Sequence[TiedJob]) -> bool:
    return job_outcome.all_ended(job.status for job in tied)


def _end_candidates(tx: Transaction, tied: Sequence[TiedJob]) -> bool:
    """End candidates that are still running although all their jobs have ended: a client may die silently. An imported
    one runs elsewhere, whatever job it claims.

    A detached one has a deadline of its own. Returns whether one of them is still running detached.
    """
    of_candidate: dict[int, list[TiedJob]] = {}
    for job in tied:
        of_candidate.setdefault(job.candidate_iid, []).append(job)
    detached = False
    ended = [iid for iid, its_jobs in of_candidate.items() if _all_ended(its_jobs)]
    for candidate in candidates.of_iids(tx, ended):
        if candidate.status.ended or candidate.origin_id is not None:
            continue
        if candidate.detached_until_ms is not None and tx.now < candidate.detached_until_ms:
            detached = True
            continue
        status, reason = job_outcome.of({job.status: job.failure_reason for job in of_candidate[candidate.iid]})
        if candidate.detached_until_ms is not None:
            status, reason = Status.KILLED, "detached from its job, and not ended in time"
        candidates.change(tx, candidate.iid, status=status, status_reason=reason, ended_ms=candidate.ended_ms or tx.now)
    return detached

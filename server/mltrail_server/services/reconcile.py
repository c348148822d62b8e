"""Make what we know and what we show equal to what GitLab says. Level-triggered: doing it again changes nothing."""

import re
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain import ci
from mltrail_server.domain.candidate import Status
from mltrail_server.domain.errors import MltrailError, unavailable
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.store import candidate_tags, candidates, jobs, merge_requests, pipelines
from mltrail_server.store.jobs import TiedJob

from . import note, notes, reports
from .deps import Deps
from .job_states import GRACE_MS
from .reports import Report
from .stamp import MERGE_REQUEST

_MOST_BASELINES = 3
_MERGE_REQUEST_REF = re.compile(r"refs/merge-requests/(\d+)/")


@dataclass(frozen=True, slots=True)
class Outcome:
    report: Report
    text: str  # the note's body
    settled: bool  # every job of every candidate has ended
    project: ci.Project


def pipeline(deps: Deps, project_id: ProjectId, pipeline_id: int, *, asked: bool = False) -> Outcome:
    """Ask GitLab about a pipeline, close what its jobs have left open, and make the merge request's note say it.

    `asked` tells that somebody wants the note now, also where it was deleted. Raises what GitLab's refusal means.
    """
    outcome = refresh(deps, project_id, pipeline_id)
    request = outcome.report.merge_request
    # Who has logged nothing gets no note, but a note that stands must not go on telling of an older pipeline.
    if request is not None and (outcome.report.models or (asked and request.note_id is not None)):
        notes.write(
            deps,
            gitlab_of(deps),
            project_id,
            request.iid,
            pipeline_id=pipeline_id,
            text=outcome.text,
            asked=asked,
        )
    return outcome


def refresh(deps: Deps, project_id: ProjectId, pipeline_id: int) -> Outcome:
    """The same without the note."""
    gitlab = gitlab_of(deps)
    project = gitlab.project(project_id)
    told = gitlab.pipeline(project_id, pipeline_id)
    told_jobs = gitlab.pipeline_jobs(project_id, pipeline_id)
    on_default_branch = told.ref == project.default_branch and not told.tag
    request = None if on_default_branch else _merge_request(gitlab, project_id, told)
    with deps.db.write() as connection:
        now = deps.clock()
        pipelines.refresh(
            connection,
            project_id,
            told,
            merge_request_iid=request.iid if request else None,
            on_default_branch=on_default_branch,
            now=now,
        )
        jobs.refresh(connection, project_id, told_jobs, now=now)
        jobs.settle_flags(connection, project_id, told_jobs, grace_ms=GRACE_MS)
        if request is not None:
            merge_requests.refresh(connection, project_id, request, now=now)
        tied = jobs.tied_in(connection, project_id, pipeline_id)
        _stamp(connection, project_id, tied, request)
        _close(connection, project_id, tied, now=now)
    target = request.target_branch if request else project.default_branch
    if target is not None:
        _refresh_baselines(deps, gitlab, project_id, target)
    base = request.base_sha if request else None
    ancestors = gitlab.ancestors(project_id, base) if base else []
    with deps.db.read() as connection:
        report = reports.compute(
            connection, project_id, pipeline_id, default_branch=project.default_branch, ancestors=ancestors
        )
    text = note.body(report, settings=deps.settings, project_path=project.path)
    return Outcome(report, text, all(job.status in ci.ENDED for job in tied), project)


def _refresh_baselines(deps: Deps, gitlab: GitLab, project_id: ProjectId, target: str) -> None:
    """Ask about jobs of the target branch that had not ended when we looked last: they may be the baseline."""
    with deps.db.read() as connection:
        open_ones = pipelines.unsettled(connection, project_id, target, ended=ci.ENDED, limit=_MOST_BASELINES)
    told = [job for number in open_ones for job in gitlab.pipeline_jobs(project_id, number)]
    if told:
        with deps.db.write() as connection:
            jobs.refresh(connection, project_id, told, now=deps.clock())


def known(deps: Deps, project_id: ProjectId, pipeline_id: int) -> Report:
    """Compute a pipeline's report from what is stored. GitLab is asked only where the branches part, and when it does
    not answer, the target branch's newest pipeline is the baseline.

    Raises NOT_FOUND for a pipeline that has never logged.
    """
    with deps.db.read() as connection:
        report = reports.compute(connection, project_id, pipeline_id, default_branch=None)
    if report.state != "ready" or deps.gitlab is None:
        return report
    base = report.merge_request.base_sha if report.merge_request else None
    try:
        default_branch = deps.gitlab.project(project_id).default_branch
        ancestors = deps.gitlab.ancestors(project_id, base) if base else []
    except MltrailError:
        return report
    with deps.db.read() as connection:
        return reports.compute(connection, project_id, pipeline_id, default_branch=default_branch, ancestors=ancestors)


def gitlab_of(deps: Deps) -> GitLab:
    if deps.gitlab is None:
        raise unavailable("This server has no connection to a GitLab: local mode knows no pipelines.")
    return deps.gitlab


def _merge_request(gitlab: GitLab, project_id: ProjectId, told: ci.Pipeline) -> ci.MergeRequest | None:
    """Find the merge request of a pipeline: its own, or the oldest open one of its branch."""
    match = _MERGE_REQUEST_REF.match(told.ref)
    if match:
        return gitlab.merge_request(project_id, int(match[1]))
    if told.tag:
        return None
    found = sorted(gitlab.open_merge_requests(project_id, told.ref), key=lambda one: one.iid)
    return gitlab.merge_request(project_id, found[0].iid) if found else None


def _stamp(
    connection: sa.Connection, project_id: ProjectId, tied: list[TiedJob], request: ci.MergeRequest | None
) -> None:
    if request is not None:
        for iid in {job.candidate_iid for job in tied if job.verified}:
            candidate_tags.put(connection, project_id, iid, {MERGE_REQUEST: str(request.iid)})


def _close(connection: sa.Connection, project_id: ProjectId, tied: list[TiedJob], *, now: int) -> None:
    """End candidates that are still running though all their jobs have ended: a client may die without a word."""
    of_candidate: dict[int, list[TiedJob]] = {}
    for job in tied:
        of_candidate.setdefault(job.candidate_iid, []).append(job)
    for candidate in candidates.of_iids(connection, project_id, list(of_candidate)):
        its_jobs = of_candidate[candidate.iid]
        if candidate.status.ended or not all(job.status in ci.ENDED for job in its_jobs):
            continue
        status, reason = _fate(its_jobs)
        candidates.change(
            connection,
            project_id,
            candidate.iid,
            status=status,
            status_reason=reason,
            ended_ms=candidate.ended_ms or now,
        )


def _fate(its_jobs: list[TiedJob]) -> tuple[Status, str]:
    for job in its_jobs:
        if job.status == "failed":
            return Status.FAILED, f"job failed: {job.failure_reason or 'no reason told'}"
    for job in its_jobs:
        if job.status in ("canceled", "skipped"):
            return Status.KILLED, f"job {job.status}"
    return Status.FINISHED, "job succeeded"

"""Bring what we know and show into line with what GitLab says. Level-triggered: doing it again changes nothing."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.silence import SilenceKind
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.contract import contracts
from mltrail_server.services.pipelines import child_pipelines, states
from mltrail_server.services.pipelines.states import PipelineState
from mltrail_server.services.review import examine
from mltrail_server.services.review.report_jobs import is_broken, still_runs
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci import due, merge_requests, publications
from mltrail_server.store.review import jobs
from mltrail_server.store.review.contracts import StoredContract

from . import compute, poll
from .compute import ReportSubject
from .publish.publisher import BUSY_MS, DELETED, Published, leases
from .publish.publishers import CompleteReport, publish_issues, publish_reports, strictest

_REPORT_ENDS_MS = 60_000
"""When to look whether a report job has failed, after it has learnt that the gate fails."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """`settled`: there is nothing more to wait for. `wait_ms` is how long to wait at least, where that is known."""

    settled: bool
    wait_ms: int | None = None


def pipeline(ci: Ci, pipeline_id: int, *, by_job: int | None = None) -> CompleteReport:
    """Ask GitLab about a pipeline, close what its jobs have left open, and bring the merge request's note up to
    date for somebody who asks for it now, even if it was deleted.

    A child pipeline's root speaks for it. `by_job` is the job of the pipeline that asks. Of several merge requests of
    one branch the strictest verdict is returned. While another process publishes, the report is computed all the same,
    and the worker publishes what came of it. Raises what GitLab's refusal means, unless it is a refusal to publish.
    """
    pipeline_id = child_pipelines.root_of(ci, pipeline_id)
    state = states.refresh(ci, pipeline_id, fresh=True)
    if by_job is not None:
        with ci.project.write() as tx:
            jobs.keep(tx, pipeline_id, by_job)
    examine.prepare(ci, state, pipeline_id)
    subjects = _subjects(ci, state, pipeline_id)
    _want_notes(ci, subjects)
    done = False
    try:
        with leases(ci, [subject.merge_request_iid for subject in subjects]) as held:
            reports = [compute.complete(ci, subject) for subject in subjects]
            if by_job is not None and any(is_broken(one.report) for one in reports):
                _come_again(ci, pipeline_id, in_ms=_REPORT_ENDS_MS)
            result = publish_reports(ci, reports, held, asked=True)
        done = result == Published() and not any(one.report.busy for one in reports)
    finally:
        if not done:
            # The worker does what could not be done while somebody waited.
            _come_again(ci, pipeline_id, in_ms=BUSY_MS)
    return strictest(reports)


def look(ci: Ci, pipeline_id: int) -> Look:
    """Look at a pipeline as the worker does, with as few calls as will do.

    No note is begun while it trains (its e-mail would have nothing to say), but one about an older pipeline is brought
    up to date. Of a child pipeline only the root is found, which then is due itself. Raises what GitLab's refusal
    means.
    """
    root_id = child_pipelines.root_of(ci, pipeline_id)
    if root_id != pipeline_id:
        _come_again(ci, root_id, in_ms=0)
        return Look(settled=True)
    state = states.refresh(ci, pipeline_id, fresh=False)
    if not state.settled and not _has_older_note(ci, state, pipeline_id):
        return Look(settled=False)
    examine.prepare(ci, state, pipeline_id)
    subjects = _subjects(ci, state, pipeline_id)
    with leases(ci, [subject.merge_request_iid for subject in subjects]) as held:
        reports = [compute.complete(ci, subject) for subject in subjects]
        if _is_early(state, reports[0].report):
            return Look(settled=False)
        result = publish_reports(ci, reports, held)
    result = result.merged(publish_issues(ci, reports[0]))
    if result.error is not None:
        raise result.error
    if result.wait_ms is not None:
        return Look(settled=False, wait_ms=result.wait_ms)
    if state.settled:
        _look_further(ci, state, reports[0].report)
    return Look(settled=_is_done(ci, state, [one.report for one in reports]))


def _subjects(ci: Ci, state: PipelineState, pipeline_id: int) -> list[ReportSubject]:
    """List the merge requests that a pipeline is judged for: its own, and those of its branch beside it. One that
    GitLab does not show is left to the next look.
    """
    found = [ReportSubject(state, pipeline_id)]
    for iid in state.others:
        with ci.project.read() as tx:
            request = merge_requests.get(tx, iid)
        # A branch's pipeline speaks for merge requests of the branch as it is.
        if request is None or state.pipeline is None or request.head_sha != state.pipeline.sha:
            continue
        try:
            kept = contracts.of_request(ci, state.pipeline.sha, request, StoredContract())
            examine.refresh_baselines(ci, request.target_branch, but=state.pipeline.id)
        except MltrailError as error:
            _log.warning("!%s of project %s: %s", iid, ci.project_id, error.message)
            continue
        found.append(ReportSubject(state, pipeline_id, iid, replace(kept, asked_ms=ci.now)))
    return found


def _want_notes(ci: Ci, subjects: Sequence[ReportSubject]) -> None:
    """Have notes that somebody has deleted written again, whichever process does it."""
    with ci.project.write() as tx:
        for subject in subjects:
            if subject.merge_request_iid is not None:
                publications.want_note(tx, subject.merge_request_iid, problem=DELETED)


def _come_again(ci: Ci, pipeline_id: int, *, in_ms: int) -> None:
    """Have the worker look at a pipeline."""
    with ci.project.write() as tx:
        due.mark(tx, kind=due.PIPELINE, key=pipeline_id, at=tx.now + in_ms)


def _has_older_note(ci: Ci, state: PipelineState, pipeline_id: int) -> bool:
    """Return whether there is a note about an older pipeline."""
    if state.merge_request_iid is None:
        return False
    with ci.project.read() as tx:
        note = publications.note(tx, state.merge_request_iid)
    return note is not None and note.note_id is not None and (note.pipeline_id or 0) < pipeline_id


def _is_done(ci: Ci, state: PipelineState, found: Sequence[Report]) -> bool:
    if not state.settled or found[0].busy or not (found[0].contract_read or state.pipeline is None):
        return False
    return not any(_report_job_runs(ci, state, one) for one in found)


def _is_early(state: PipelineState, report: Report) -> bool:
    """Return whether a pipeline that has not ended may still train what is missing in it."""
    if state.pipeline is None or state.pipeline.status in gitlab_ci.ENDED | {"manual", "scheduled"}:
        return False
    return any(
        model.carried or (model.silence is not None and model.silence.kind is not SilenceKind.WAITING)
        for model in report.gate.models
    )


def _look_further(ci: Ci, state: PipelineState, report: Report) -> None:
    """Have the worker look at what may change without this pipeline: open merge requests, and this one's newest commit
    where nobody has asked about it.
    """
    if state.has_or_may_get_a_request:
        poll.begin(ci)
    request = report.merge_request
    if request is not None and request.state == "opened" and not report.is_of_head:
        with ci.project.write() as tx:
            due.mark(tx, kind=due.REQUEST, key=request.iid, at=tx.now)


def _report_job_runs(ci: Ci, state: PipelineState, report: Report) -> bool:
    """Return whether a report job still has to fail with the gate."""
    if not is_broken(report) or state.pipeline is None or state.pipeline.status in gitlab_ci.ENDED:
        return False
    with ci.project.read() as tx:
        return still_runs(tx, report)

"""The report of a pipeline as its `report` job asks for it: from what is stored, or fresh from GitLab with the note."""

from dataclasses import dataclass

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.review import note
from mltrail_server.services.review.judged import Judged
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci import merge_requests

from . import compute, reconcile
from .publish.publisher import DELETED


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """`note_state` is posted, pending, failed or none; `note_problem` says why it failed."""

    report: Report
    text: str
    note_state: str
    note_url: str | None
    note_problem: str | None


def known(scope: Scope, pipeline_id: int) -> PipelineReport:
    """Compute it from what is stored. Raises NOT_FOUND for a pipeline that has never logged."""
    report = compute.known(scope.ci, pipeline_id)
    text = note.body(report, settings=scope.deps.settings, project_path=scope.actor.project_path)
    return _with_note(scope, report, text)


def tried(scope: Scope, pipeline_id: int, text: str) -> Judged:
    """Return what the gate would say with this contract. Raises NOT_FOUND for a pipeline that has never logged."""
    report = compute.known(scope.ci, pipeline_id, trial=text)
    return report.proposed or report.gate


def fresh(scope: Scope, pipeline_id: int) -> PipelineReport:
    """Ask GitLab and publish the report. A note that can't be written is mentioned in it, and is not an error.

    Raises NOT_FOUND for a pipeline that GitLab does not know; one that has logged nothing has an empty report.
    """
    try:
        job = scope.actor.job
        by_job = job.job_id if job is not None and job.pipeline_id == pipeline_id else None
        complete = reconcile.pipeline(scope.ci, pipeline_id, by_job=by_job)
    except MltrailError:
        # Why there is no note is in the report that is stored, also where GitLab refuses to be asked.
        stored = _known_or_none(scope, pipeline_id)
        if stored is None or stored.note_problem is None:
            raise
        return stored
    return _with_note(scope, complete.report, complete.text)


def _known_or_none(scope: Scope, pipeline_id: int) -> PipelineReport | None:
    try:
        return known(scope, pipeline_id)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None


def _with_note(scope: Scope, report: Report, text: str) -> PipelineReport:
    iid = report.merge_request.iid if report.merge_request else report.pipeline.merge_request_iid
    if iid is None:
        return PipelineReport(report, text, "none", None, None)
    with scope.project.read() as tx:
        request = merge_requests.get(tx, iid)
    if request is None:
        return PipelineReport(report, text, "pending", None, None)
    url = f"{request.web_url}#note_{request.note_id}" if request.note_id is not None else None
    if request.note_problem is not None:
        problem = "somebody has deleted it" if request.note_problem == DELETED else request.note_problem
        return PipelineReport(report, text, "failed", url, problem)
    return PipelineReport(report, text, "posted" if url else "pending", url, None)

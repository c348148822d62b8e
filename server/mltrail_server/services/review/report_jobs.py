"""Check from what is stored whether a merge request's report job is still what it was."""

from mltrail_contract import Outcome
from mltrail_server.domain import report_job
from mltrail_server.domain.report_job import Doubt
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import jobs
from mltrail_server.store.review.jobs import ReportJobs

from .reports import Report


def doubts(tx: Transaction, report: Report) -> tuple[Doubt, ...]:
    """List what a reviewer should know of a merge request's report job. Four statements."""
    names, found = _look(tx, report)
    return report_job.doubts(found.asked, found.alike, names, broken=is_broken(report))


def is_broken(report: Report) -> bool:
    """Tell whether the gate fails, and nobody has let it pass."""
    return report.outcome is Outcome.FAIL and report.override is None


def still_runs(tx: Transaction, report: Report) -> bool:
    """Tell whether a report job has not ended, so that nobody knows yet how it will. Four statements."""
    _, found = _look(tx, report)
    return any(one.open for one in (*found.alike, *([found.asked] if found.asked else [])))


def _look(tx: Transaction, report: Report) -> tuple[list[str], ReportJobs]:
    request = report.merge_request
    if request is None:
        return [], ReportJobs(None, ())
    pipeline_id = report.pipeline.id
    names = jobs.names_before(tx, pipeline_id, iid=request.iid, target=request.target_branch)
    return names, jobs.of_pipeline(tx, pipeline_id, names)

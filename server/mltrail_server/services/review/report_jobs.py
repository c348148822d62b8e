"""Look whether a merge request's report job is what it was, from what is stored."""

import sqlalchemy as sa

from mltrail_contract import Outcome
from mltrail_server.domain import report_job
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.report_job import Doubt
from mltrail_server.store.review import jobs
from mltrail_server.store.review.jobs import Found

from .reports import Report


def doubts(connection: sa.Connection, project_id: ProjectId, report: Report) -> tuple[Doubt, ...]:
    """List what a reviewer should know of a merge request's report job. Four statements."""
    names, found = _look(connection, project_id, report)
    return report_job.doubts(found.asked, found.alike, names, broken=is_broken(report))


def is_broken(report: Report) -> bool:
    """Tell whether the gate fails, and nobody has let it pass."""
    return report.outcome is Outcome.FAIL and report.override is None


def still_runs(connection: sa.Connection, project_id: ProjectId, report: Report) -> bool:
    """Tell whether a report job has not ended, so that nobody knows yet how it will. Four statements."""
    _, found = _look(connection, project_id, report)
    return any(one.open for one in (*found.alike, *([found.asked] if found.asked else [])))


def _look(connection: sa.Connection, project_id: ProjectId, report: Report) -> tuple[list[str], Found]:
    request = report.merge_request
    if request is None:
        return [], Found(None, ())
    pipeline_id = report.pipeline.id
    names = jobs.names_before(connection, project_id, pipeline_id, iid=request.iid, target=request.target_branch)
    return names, jobs.of_pipeline(connection, project_id, pipeline_id, names)

"""Complete a computed report with what stands beside the verdict: packages, what a merge does, who accepted it,
and what has changed about the report job.
"""

from dataclasses import replace

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.promotion import preview
from mltrail_server.services.review import overrides, packages, report_jobs
from mltrail_server.services.review.reports import Report


def completed(deps: Deps, project_id: ProjectId, report: Report, *, default_branch: str | None) -> Report:
    """Add it to a report that is ready. GitLab is not asked."""
    with deps.db.read() as connection:
        report = replace(report, override=overrides.of(connection, project_id, report))
    if report.state != "ready":
        return report
    report = packages.with_packages(deps, project_id, report)
    report = preview.with_previews(deps, project_id, report, default_branch=default_branch)
    with deps.db.read() as connection:
        return replace(report, doubts=report_jobs.doubts(connection, project_id, report))

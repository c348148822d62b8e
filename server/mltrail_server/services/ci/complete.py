"""Complete a computed report with what stands beside the verdict: packages, what a merge does, who accepted it,
and what has changed about the report job.
"""

from dataclasses import replace

from mltrail_server.services.context.deps import Ci
from mltrail_server.services.promotion import preview
from mltrail_server.services.review import overrides, packages, report_jobs
from mltrail_server.services.review.reports import Report


def completed(ci: Ci, report: Report, *, default_branch: str | None) -> Report:
    """Add it to a report that is ready. GitLab is not asked."""
    with ci.project.read() as tx:
        report = replace(report, override=overrides.of(tx, report))
    if report.state != "ready":
        return report
    report = packages.with_packages(ci, report)
    report = preview.with_previews(ci, report, default_branch=default_branch)
    with ci.project.read() as tx:
        return replace(report, doubts=report_jobs.doubts(tx, report))

"""The gate's outcome as a status of the pipeline, named `mltrail`, which GitLab shows beside its jobs.

Only an outcome is told: a status that waits would keep the pipeline from ending.
"""

from mltrail_contract import Outcome
from mltrail_server.gitlab.gate_objects import GateObjects
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.review import overrides
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci import gate


def show(ci: Ci, report: Report, *, path: str) -> None:
    """Tell the outcome once a pipeline, and again when it changes."""
    if report.waiting or report.gate.outcome is None or report.head != report.pipeline.head:
        return
    with ci.project.read() as tx:
        before = gate.status(tx, report.pipeline.id)
        override = overrides.of(tx, report)
    failed = report.gate.outcome is Outcome.FAIL and override is None
    description = report.gate.sentence if override is None else f"overridden by {' '.join(override.user_name.split())}"
    told = f"{'failed' if failed else 'success'}: {description}"
    if told == before:
        return
    GateObjects(ci.gitlab).set_status(
        ci.project_id,
        report.pipeline.sha,
        pipeline_id=report.pipeline.id,
        state="failed" if failed else "success",
        description=description,
        url=f"{ci.deps.settings.external_url.rstrip('/')}/{path}/-/ml/experiments",
    )
    with ci.project.write() as tx:
        gate.keep_status(tx, report.pipeline.id, told)

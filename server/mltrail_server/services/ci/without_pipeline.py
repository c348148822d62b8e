"""Merge requests whose newest commit may have no pipeline that has logged: silence is reported all the same."""

from dataclasses import replace

from mltrail_server.services.context.deps import PROJECT_AGE_MS, Ci
from mltrail_server.services.contract import contracts
from mltrail_server.services.pipelines import heads
from mltrail_server.services.pipelines.states import PipelineState
from mltrail_server.services.review import examine
from mltrail_server.store.ci import due, merge_requests, pipelines
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.review.contracts import StoredContract

from . import compute
from .compute import ReportSubject
from .publish.publisher import leases
from .publish.publishers import publish_reports
from .reconcile import Look


def look(ci: Ci, iid: int) -> Look:
    """Look at a merge request: at its newest commit's pipeline where there is one, else at what its silence means.

    Raises what GitLab's refusal means.
    """
    found = ci.gitlab.merge_request(ci.project_id, iid)
    with ci.project.write() as tx:
        merge_requests.refresh(tx, found)
        known = merge_requests.get(tx, iid)
        newest = pipelines.newest_of_request(tx, iid)
    head = found.sha
    if known is None or head is None or found.state != "opened" or found.source_project_id != ci.project_id:
        return Look(settled=True)
    if its_pipelines := heads.newest(ci, known, head):
        with ci.project.write() as tx:
            due.mark(tx, kind=due.PIPELINE, key=its_pipelines[0].id, at=tx.now)
        return Look(settled=True)
    speaks = newest or Pipeline(0, head, found.source_branch, "", None, None, iid)
    project = ci.gitlab.project(ci.project_id, max_age_ms=PROJECT_AGE_MS)
    kept = replace(contracts.of_request(ci, head, known, StoredContract()), asked_ms=ci.now)
    examine.refresh_baselines(ci, found.target_branch, but=speaks.id)
    state = PipelineState(project, None, iid, settled=True)
    with leases(ci, [iid]) as held:
        complete = compute.complete(ci, ReportSubject(state, speaks.id, iid, kept, head, speaks))
        if complete.report.gate.outcome is None and known.note_id is None:
            return Look(settled=True)
        result = publish_reports(ci, [complete], held)
    if result.error is not None:
        raise result.error
    return Look(settled=result.wait_ms is None, wait_ms=result.wait_ms)

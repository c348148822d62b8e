"""What a webhook says: a hint to look sooner. Nothing in it is believed; the worker asks GitLab."""

from dataclasses import dataclass

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import projects as projects_service
from mltrail_server.store.ci import due, jobs, merge_requests, pipelines
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.identity import projects


@dataclass(frozen=True, slots=True)
class Hint:
    """Something has happened to a pipeline, or to a merge request."""

    kind: str
    project_id: ProjectId
    pipeline_id: int | None = None
    job_id: int | None = None
    merge_request_iid: int | None = None
    source_branch: str | None = None


def take(deps: Deps, hint: Hint) -> None:
    """Have the worker look at what the hint is about, if that is known here. A duplicate, late or forged one costs one
    look.
    """
    now = deps.clock()
    with deps.project(hint.project_id).write() as tx:
        path = projects.path_of(tx)
        if path is None or not _is_allowed(deps, path):
            return
        projects.webhook_received(tx, kind=hint.kind)
        found: set[int] = set()
        if hint.pipeline_id is not None and _concerns_us(tx, hint):
            found.add(hint.pipeline_id)
        if hint.merge_request_iid is not None:
            merge_requests.distrust(tx, [hint.merge_request_iid])
            found |= set(pipelines.newest_of_requests(tx, [hint.merge_request_iid]).values())
        if hint.source_branch is not None:
            new = pipelines.newest_of_branches(tx, [hint.source_branch]).values()
            pipelines.unresolve(tx, new)
            found |= set(new)
        if hint.merge_request_iid is not None:
            key = hint.merge_request_iid
            due.mark(tx, kind=due.REQUEST, key=key, at=now)
        for pipeline_id in found:
            due.mark(tx, kind=due.PIPELINE, key=pipeline_id, at=now)


def _concerns_us(tx: Transaction, hint: Hint) -> bool:
    """Return whether a pipeline is known here, and whether the job that it is about has made something."""
    if hint.job_id is not None:
        return jobs.has_candidates(tx, hint.job_id)
    return pipelines.get(tx, hint.pipeline_id or 0) is not None


def _is_allowed(deps: Deps, path: str) -> bool:
    try:
        projects_service.check_allowed(deps.settings.namespaces, path)
    except MltrailError:
        return False
    return True

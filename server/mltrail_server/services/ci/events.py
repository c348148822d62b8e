"""What GitLab tells by a webhook: a hint where to look sooner. Nothing in it is believed; the worker asks GitLab."""

from dataclasses import dataclass

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import projects as projects_service
from mltrail_server.store.ci import due, jobs, merge_requests, pipelines, webhooks
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


def take(deps: Deps, news: Hint) -> None:
    """Have what it speaks of looked at, as far as it is known here. A doubled, late or invented one costs a look."""
    now = deps.clock()
    with deps.project(news.project_id).write() as tx:
        path = projects.path_of(tx)
        if path is None or not _may_come(deps, path):
            return
        webhooks.received(tx, kind=news.kind)
        found: set[int] = set()
        if news.pipeline_id is not None and _concerns_us(tx, news):
            found.add(news.pipeline_id)
        if news.merge_request_iid is not None:
            merge_requests.distrust(tx, [news.merge_request_iid])
            found |= set(pipelines.newest_of_requests(tx, [news.merge_request_iid]).values())
        if news.source_branch is not None:
            new = pipelines.newest_of_branches(tx, [news.source_branch]).values()
            pipelines.unresolve(tx, new)
            found |= set(new)
        if news.merge_request_iid is not None:
            key = news.merge_request_iid
            due.mark(tx, kind=due.REQUEST, key=key, at=now)
        for pipeline_id in found:
            due.mark(tx, kind=due.PIPELINE, key=pipeline_id, at=now)


def _concerns_us(tx: Transaction, news: Hint) -> bool:
    """Tell whether a pipeline is known here, and whether the job that it is about has made something."""
    if news.job_id is not None:
        return jobs.has_candidates(tx, news.job_id)
    return pipelines.get(tx, news.pipeline_id or 0) is not None


def _may_come(deps: Deps, path: str) -> bool:
    try:
        projects_service.check_allowed(deps.settings.namespaces, path)
    except MltrailError:
        return False
    return True

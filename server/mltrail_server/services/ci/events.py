"""What GitLab tells by a webhook: a hint where to look sooner. Nothing in it is believed; the worker asks GitLab."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import projects as projects_service
from mltrail_server.store.ci import due, jobs, merge_requests, pipelines, webhooks
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
    with deps.db.write() as connection:
        path = projects.path_of(connection, news.project_id)
        if path is None or not _may_come(deps, path):
            return
        webhooks.received(connection, news.project_id, kind=news.kind, now=now)
        found: set[int] = set()
        if news.pipeline_id is not None and _concerns_us(connection, news):
            found.add(news.pipeline_id)
        if news.merge_request_iid is not None:
            merge_requests.distrust(connection, news.project_id, [news.merge_request_iid])
            found |= set(pipelines.newest_of_requests(connection, news.project_id, [news.merge_request_iid]).values())
        if news.source_branch is not None:
            new = pipelines.newest_of_branches(connection, news.project_id, [news.source_branch]).values()
            pipelines.unresolve(connection, news.project_id, new)
            found |= set(new)
        if news.merge_request_iid is not None:
            key = news.merge_request_iid
            due.mark(connection, news.project_id, kind=due.REQUEST, key=key, at=now, now=now)
        for pipeline_id in found:
            due.mark(connection, news.project_id, kind=due.PIPELINE, key=pipeline_id, at=now, now=now)


def _concerns_us(connection: sa.Connection, news: Hint) -> bool:
    """Tell whether a pipeline is known here, and whether the job that it is about has made something."""
    if news.job_id is not None:
        return jobs.has_candidates(connection, news.project_id, news.job_id)
    return pipelines.get(connection, news.project_id, news.pipeline_id or 0) is not None


def _may_come(deps: Deps, path: str) -> bool:
    try:
        projects_service.check_allowed(deps.settings.namespaces, path)
    except MltrailError:
        return False
    return True

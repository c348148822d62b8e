"""What the pages of merge requests look up: which there are, and the pipelines of one."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema

_T = schema.merge_request
_PIPELINE = schema.pipeline
_LINK = schema.candidate_job


@dataclass(frozen=True, slots=True)
class Listed:
    """`note_problem` says why there is no note, where one could not be written or was deleted; `note_next_ms` when it
    is tried again.
    """

    iid: int
    title: str
    state: str
    source_branch: str
    target_branch: str
    web_url: str
    note_id: int | None
    note_pipeline_id: int | None
    note_problem: str | None
    note_next_ms: int | None


@dataclass(frozen=True, slots=True)
class OfRequest:
    """A pipeline of a merge request, and how many runs it has made."""

    id: int
    sha: str
    status: str | None
    web_url: str | None
    created_ms: int
    runs: int


_COLUMNS = (
    _T.c.iid,
    _T.c.title,
    _T.c.state,
    _T.c.source_branch,
    _T.c.target_branch,
    _T.c.web_url,
    _T.c.note_id,
    _T.c.note_pipeline_id,
    _T.c.note_problem,
    _T.c.note_next_ms,
)


def listed(connection: sa.Connection, project_id: ProjectId, *, before: int | None, limit: int) -> list[Listed]:
    """List merge requests that have runs, the newest first, and one more than a page when there are more."""
    query = sa.select(*_COLUMNS).where(_T.c.project_id == project_id)
    if before is not None:
        query = query.where(_T.c.iid < before)
    return [Listed(*tuple(row)) for row in connection.execute(query.order_by(_T.c.iid.desc()).limit(limit + 1))]


def get(connection: sa.Connection, project_id: ProjectId, iid: int) -> Listed | None:
    row = connection.execute(sa.select(*_COLUMNS).where(_T.c.project_id == project_id, _T.c.iid == iid)).one_or_none()
    return None if row is None else Listed(*tuple(row))


def pipelines_of(connection: sa.Connection, project_id: ProjectId, iid: int, *, limit: int) -> list[OfRequest]:
    """List the pipelines of a merge request that have made runs, the newest first."""
    runs = (
        sa.select(sa.func.count(sa.distinct(_LINK.c.candidate_iid)))
        .where(_LINK.c.project_id == project_id, _LINK.c.pipeline_id == _PIPELINE.c.id)
        .correlate(_PIPELINE)
        .scalar_subquery()
    )
    columns = (
        _PIPELINE.c.id,
        _PIPELINE.c.sha,
        _PIPELINE.c.status,
        _PIPELINE.c.web_url,
        _PIPELINE.c.created_ms,
        runs,
    )
    query = sa.select(*columns).where(_PIPELINE.c.project_id == project_id, _PIPELINE.c.merge_request_iid == iid)
    return [OfRequest(*row) for row in connection.execute(query.order_by(_PIPELINE.c.id.desc()).limit(limit))]

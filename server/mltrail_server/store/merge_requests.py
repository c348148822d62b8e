"""Merge requests of GitLab, and the one note that each has from us."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain import ci
from mltrail_server.domain.ids import ProjectId

from . import schema
from .sql import upsert

_T = schema.merge_request
_RED = schema.red_verdict
_COLUMNS = tuple(
    _T.c[name]
    for name in (
        *("iid", "source_branch", "source_project_id", "state", "target_branch", "base_sha", "head_sha", "web_url"),
        *("note_id", "note_pipeline_id", "note_sha256", "note_problem"),
    )
)


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """`note_pipeline_id` is the pipeline that the note speaks of; `note_problem` why it could not be written.
    `has_failed` tells that the gate has failed for it at some time.
    """

    iid: int
    source_branch: str
    source_project_id: int | None
    state: str
    target_branch: str
    base_sha: str | None
    head_sha: str | None
    web_url: str
    note_id: int | None
    note_pipeline_id: int | None
    note_sha256: str | None
    note_problem: str | None
    has_failed: bool = False


def refresh(connection: sa.Connection, project_id: ProjectId, request: ci.MergeRequest, *, now: int) -> None:
    """Keep what GitLab says of a merge request now; what we know of the note stays."""
    row = {
        "project_id": project_id,
        "iid": request.iid,
        "title": request.title,
        "state": request.state,
        "source_branch": request.source_branch,
        "source_project_id": request.source_project_id,
        "target_branch": request.target_branch,
        "base_sha": request.base_sha,
        "head_sha": request.sha,
        "web_url": request.web_url,
        "refreshed_ms": now,
    }
    upsert(connection, _T, [row], update=[name for name in row if name not in ("project_id", "iid")])


def get(connection: sa.Connection, project_id: ProjectId, iid: int) -> MergeRequest | None:
    has_failed = sa.exists().where(_RED.c.project_id == project_id, _RED.c.merge_request_iid == iid)
    query = sa.select(*_COLUMNS).add_columns(has_failed).where(_T.c.project_id == project_id, _T.c.iid == iid)
    row = connection.execute(query).one_or_none()
    return None if row is None else MergeRequest(*row)


def opened_of_branch(connection: sa.Connection, project_id: ProjectId, branch: str, *, limit: int) -> list[int]:
    """List the merge requests of a branch of this project that are open as far as we know, the oldest first."""
    query = sa.select(_T.c.iid).where(
        _T.c.project_id == project_id,
        _T.c.source_branch == branch,
        _T.c.state == "opened",
        _T.c.source_project_id == project_id,
    )
    return list(connection.execute(query.order_by(_T.c.iid).limit(limit)).scalars())


def opened(connection: sa.Connection, project_id: ProjectId) -> dict[int, tuple[str | None, str]]:
    """List the merge requests that are open as far as we know: head and target branch by number."""
    query = sa.select(_T.c.iid, _T.c.head_sha, _T.c.target_branch).where(
        _T.c.project_id == project_id, _T.c.state == "opened"
    )
    return {row.iid: (row.head_sha, row.target_branch) for row in connection.execute(query)}


def distrust(connection: sa.Connection, project_id: ProjectId, iids: Iterable[int]) -> None:
    """Have merge requests asked about again, however lately that was done."""
    where = (_T.c.project_id == project_id, _T.c.iid.in_(list(iids)))
    connection.execute(sa.update(_T).where(*where).values(refreshed_ms=0))


def urls(connection: sa.Connection, project_id: ProjectId, iids: Iterable[int]) -> dict[int, str]:
    query = sa.select(_T.c.iid, _T.c.web_url).where(_T.c.project_id == project_id, _T.c.iid.in_(list(iids)))
    return {row.iid: row.web_url for row in connection.execute(query)}

"""Which files a pipeline ran on, and which other pipelines ran on the same commit or for the same merge request."""

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema
from .pipelines import MERGE_REQUEST_SOURCE, Pipeline

_T = schema.pipeline
_LINK = schema.candidate_job
_COLUMNS = (_T.c.id, _T.c.sha, _T.c.ref, _T.c.source, _T.c.status, _T.c.web_url, _T.c.merge_request_iid)


def get(connection: sa.Connection, project_id: ProjectId, pipeline_id: int) -> str | None:
    """Tell the digest of the files of a pipeline's commit; None when nobody has looked yet."""
    found: str | None = connection.execute(
        sa.select(_T.c.tree).where(_T.c.project_id == project_id, _T.c.id == pipeline_id)
    ).scalar()
    return found


def keep(connection: sa.Connection, project_id: ProjectId, pipeline_id: int, tree: str) -> None:
    where = (_T.c.project_id == project_id, _T.c.id == pipeline_id)
    connection.execute(sa.update(_T).where(*where).values(tree=tree))


def trained_at(connection: sa.Connection, project_id: ProjectId, sha: str, *, limit: int) -> list[Pipeline]:
    """List the default branch's pipelines of a commit that have candidates, the newest first."""
    return _list(connection, project_id, _T.c.sha == sha, _T.c.on_default_branch.is_(sa.true()), limit=limit)


def of_merge_request(
    connection: sa.Connection, project_id: ProjectId, iid: int, *, branch: str, before: int, limit: int
) -> list[Pipeline]:
    """List a merge request's pipelines older than `before` that have candidates, the newest first; also those of its
    source branch of which nobody has asked GitLab yet whose they are.
    """
    unasked = sa.and_(_T.c.resolved.is_(sa.false()), _T.c.ref == branch, _T.c.source == MERGE_REQUEST_SOURCE)
    of_request = sa.or_(_T.c.merge_request_iid == iid, unasked)
    return _list(connection, project_id, of_request, _T.c.id < before, limit=limit)


def _list(
    connection: sa.Connection, project_id: ProjectId, *which: sa.ColumnElement[bool], limit: int
) -> list[Pipeline]:
    has_candidates = (
        sa.select(sa.literal(1))
        .where(_LINK.c.project_id == _T.c.project_id, _LINK.c.pipeline_id == _T.c.id)
        .correlate(_T)
        .exists()
    )
    query = sa.select(*_COLUMNS).where(_T.c.project_id == project_id, has_candidates, *which)
    return [Pipeline(*row) for row in connection.execute(query.order_by(_T.c.id.desc()).limit(limit))]

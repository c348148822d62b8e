"""The pipeline that has made a candidate."""

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema
from .pipelines import Pipeline

_LINK = schema.candidate_job
_PIPELINE = schema.pipeline


def of(connection: sa.Connection, project_id: ProjectId, candidate_iid: int) -> Pipeline | None:
    """Find the pipeline of the job that created a candidate, proven by its token."""
    columns = ("id", "sha", "ref", "source", "status", "web_url", "merge_request_iid")
    query = (
        sa.select(*(_PIPELINE.c[name] for name in columns))
        .join(_LINK, (_LINK.c.project_id == _PIPELINE.c.project_id) & (_LINK.c.pipeline_id == _PIPELINE.c.id))
        .where(
            _PIPELINE.c.project_id == project_id,
            _LINK.c.project_id == project_id,
            _LINK.c.candidate_iid == candidate_iid,
            _LINK.c.verified,
        )
        .order_by(_LINK.c.part, _LINK.c.job_id)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Pipeline(*row)

"""Pipelines of GitLab."""

import sqlalchemy as sa

from mltrail_server.domain.identity import VerifiedClaims
from mltrail_server.domain.ids import ProjectId

from . import schema
from .sql import upsert


def ensure(connection: sa.Connection, project_id: ProjectId, claims: VerifiedClaims, *, now: int) -> None:
    """Make a pipeline known by what a job's token says of it; the rest is asked from GitLab later."""
    row = {
        "project_id": project_id,
        "id": claims.pipeline_id,
        "sha": claims.sha,
        "ref": claims.ref,
        "source": claims.pipeline_source,
        "created_ms": now,
    }
    upsert(connection, schema.pipeline, [row])

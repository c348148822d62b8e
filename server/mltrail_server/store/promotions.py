"""Promotions: which pipeline made which candidate a version. One a model and pipeline, kept for ever."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import models, schema

_T = schema.promotion
_VERSION = schema.model_version


@dataclass(frozen=True, slots=True)
class Promotion:
    model_id: int
    pipeline_id: int
    number: int
    semver: str
    candidate_iid: int
    bump: str
    reason: str


def add(  # noqa: PLR0913 - one argument a column
    connection: sa.Connection,
    project_id: ProjectId,
    *,
    model_id: int,
    pipeline_id: int,
    number: int,
    candidate_iid: int,
    job_id: int,
    bump: str,
    reason: str,
    user_name: str,
    now: int,
) -> None:
    values = {"project_id": project_id, "model_id": model_id, "pipeline_id": pipeline_id, "number": number}
    values |= {"candidate_iid": candidate_iid, "job_id": job_id, "at_ms": now}
    name = models.name_of(project_id, model_id)
    connection.execute(sa.insert(_T).values(**values, bump=bump, reason=reason, user_name=user_name, model_name=name))


def of_pipeline(connection: sa.Connection, project_id: ProjectId, model_id: int, pipeline_id: int) -> Promotion | None:
    return _one(connection, project_id, model_id, _T.c.pipeline_id == pipeline_id)


def newest(connection: sa.Connection, project_id: ProjectId, model_id: int) -> Promotion | None:
    """Find the promotion by the newest pipeline."""
    return _one(connection, project_id, model_id)


def _one(
    connection: sa.Connection, project_id: ProjectId, model_id: int, *which: sa.ColumnElement[bool]
) -> Promotion | None:
    version = sa.and_(
        _VERSION.c.project_id == _T.c.project_id,
        _VERSION.c.model_id == _T.c.model_id,
        _VERSION.c.number == _T.c.number,
    )
    query = (
        sa.select(
            _T.c.model_id,
            _T.c.pipeline_id,
            _T.c.number,
            _VERSION.c.semver,
            _T.c.candidate_iid,
            _T.c.bump,
            _T.c.reason,
        )
        .join(_VERSION, version)
        .where(_T.c.project_id == project_id, _T.c.model_id == model_id, *which)
        .order_by(_T.c.pipeline_id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Promotion(*row)

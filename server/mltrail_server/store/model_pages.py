"""What the pages of models look up beside the models and versions themselves."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema

_VERSION = schema.model_version
_MODEL = schema.model


@dataclass(frozen=True, slots=True)
class Count:
    """How many versions a model has, deleted ones left out, and the highest of them by number."""

    versions: int
    newest: int | None


def name_by_id(connection: sa.Connection, project_id: ProjectId, model_id: int) -> str | None:
    """Name a model by the number that GitLab's URLs hold."""
    query = sa.select(_MODEL.c.name).where(_MODEL.c.project_id == project_id, _MODEL.c.id == model_id)
    return connection.execute(query).scalar()


def semvers(connection: sa.Connection, project_id: ProjectId, model_id: int, numbers: Iterable[int]) -> dict[int, str]:
    """Look up the semvers of some versions by their numbers, deleted ones too."""
    query = sa.select(_VERSION.c.number, _VERSION.c.semver).where(
        _VERSION.c.project_id == project_id, _VERSION.c.model_id == model_id, _VERSION.c.number.in_(sorted(numbers))
    )
    return {row.number: row.semver for row in connection.execute(query)}


def counts(connection: sa.Connection, project_id: ProjectId, model_ids: Iterable[int]) -> dict[int, Count]:
    """Count the versions of several models in one statement."""
    query = (
        sa.select(_VERSION.c.model_id, sa.func.count(), sa.func.max(_VERSION.c.number))
        .where(
            _VERSION.c.project_id == project_id,
            _VERSION.c.model_id.in_(sorted(model_ids)),
            _VERSION.c.deleted_ms.is_(None),
        )
        .group_by(_VERSION.c.model_id)
    )
    return {model_id: Count(versions, newest) for model_id, versions, newest in connection.execute(query)}

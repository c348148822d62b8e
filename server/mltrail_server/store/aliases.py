"""Aliases of models, and the history of their moves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import models, schema
from .sql import next_number, upsert

_T = schema.model_alias
_EVENT = schema.alias_event


@dataclass(frozen=True, slots=True)
class Move:
    """An alias went from one version to another; None is "nowhere". `at_ms` is milliseconds since the epoch."""

    alias: str
    from_number: int | None
    to_number: int | None
    at_ms: int
    user_name: str
    pipeline_id: int | None
    reason: str | None = None


def target(connection: sa.Connection, project_id: ProjectId, model_id: int, alias: str) -> int | None:
    """Tell the number of the version that an alias points at."""
    query = sa.select(_T.c.number).where(_T.c.project_id == project_id, _T.c.model_id == model_id, _T.c.alias == alias)
    number: int | None = connection.execute(query).scalar()
    return number


def put(connection: sa.Connection, project_id: ProjectId, model_id: int, alias: str, number: int) -> None:
    row = {"project_id": project_id, "model_id": model_id, "alias": alias, "number": number}
    upsert(connection, _T, [row], update=["number"])


def delete(connection: sa.Connection, project_id: ProjectId, model_id: int, alias: str) -> None:
    where = (_T.c.project_id == project_id, _T.c.model_id == model_id, _T.c.alias == alias)
    connection.execute(sa.delete(_T).where(*where))


def record(connection: sa.Connection, project_id: ProjectId, model_id: int, move: Move) -> None:
    connection.execute(
        sa.insert(_EVENT).values(
            project_id=project_id,
            id=next_number(connection, project_id, "alias_event"),
            model_id=model_id,
            model_name=models.name_of(project_id, model_id),
            alias=move.alias,
            from_number=move.from_number,
            to_number=move.to_number,
            at_ms=move.at_ms,
            user_name=move.user_name,
            pipeline_id=move.pipeline_id,
            reason=move.reason,
        )
    )


def history(connection: sa.Connection, project_id: ProjectId, model_id: int) -> list[Move]:
    """Fetch all moves of a model's aliases, the newest first."""
    query = (
        sa.select(
            _EVENT.c.alias,
            _EVENT.c.from_number,
            _EVENT.c.to_number,
            _EVENT.c.at_ms,
            _EVENT.c.user_name,
            _EVENT.c.pipeline_id,
            _EVENT.c.reason,
        )
        .where(_EVENT.c.project_id == project_id, _EVENT.c.model_id == model_id)
        .order_by(_EVENT.c.id.desc())
    )
    return [Move(*row) for row in connection.execute(query)]


def of_models(
    connection: sa.Connection, project_id: ProjectId, model_ids: Sequence[int]
) -> dict[int, list[tuple[str, int]]]:
    """Fetch the aliases of several models with the numbers they point at, by name."""
    found: dict[int, list[tuple[str, int]]] = {}
    for model_id, alias, number in _all(connection, project_id, model_ids):
        found.setdefault(model_id, []).append((alias, number))
    return found


def of_versions(
    connection: sa.Connection, project_id: ProjectId, keys: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], tuple[str, ...]]:
    """Fetch the aliases of several versions, each named by model and number."""
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for model_id, alias, number in _all(connection, project_id, sorted({model_id for model_id, _ in keys})):
        found[model_id, number] = (*found.get((model_id, number), ()), alias)
    return found


def _all(connection: sa.Connection, project_id: ProjectId, model_ids: Sequence[int]) -> list[tuple[int, str, int]]:
    query = (
        sa.select(_T.c.model_id, _T.c.alias, _T.c.number)
        .where(_T.c.project_id == project_id, _T.c.model_id.in_(model_ids))
        .order_by(_T.c.model_id, _T.c.alias)
    )
    return [(model_id, alias, number) for model_id, alias, number in connection.execute(query)]

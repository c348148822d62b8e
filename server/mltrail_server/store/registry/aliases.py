"""Aliases of models, and the history of their moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

from . import models

_T = schema.model_alias
_EVENT = schema.alias_event

OfModels = dict[int, list[tuple[str, int]]]
"""The aliases of models, and the numbers of the versions that they point at."""


@dataclass(frozen=True, slots=True)
class AliasMove:
    """An alias moved from one version to another; None is "no version". `at_ms` is in milliseconds since the epoch."""

    alias: str
    from_number: int | None
    to_number: int | None
    at_ms: int
    user_name: str
    pipeline_id: int | None
    reason: str | None = None


def target(tx: Transaction, model_id: int, alias: str) -> int | None:
    """Return the number of the version that an alias points at."""
    query = sa.select(_T.c.number).where(
        _T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.alias == alias
    )
    number: int | None = tx.execute(query).scalar()
    return number


def put(tx: Transaction, model_id: int, alias: str, number: int) -> None:
    row = {"project_id": tx.project_id, "model_id": model_id, "alias": alias, "number": number}
    tx.upsert(_T, [row], update=["number"])


def delete(tx: Transaction, model_id: int, alias: str) -> None:
    where = (_T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.alias == alias)
    tx.execute(sa.delete(_T).where(*where))


def record(tx: Transaction, model_id: int, move: AliasMove) -> None:
    tx.execute(
        sa.insert(_EVENT).values(
            project_id=tx.project_id,
            id=tx.next_number("alias_event"),
            model_id=model_id,
            model_name=models.name_of(tx.project_id, model_id),
            alias=move.alias,
            from_number=move.from_number,
            to_number=move.to_number,
            at_ms=move.at_ms,
            user_name=move.user_name,
            pipeline_id=move.pipeline_id,
            reason=move.reason,
        )
    )


def history(tx: Transaction, model_id: int) -> list[AliasMove]:
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
        .where(_EVENT.c.project_id == tx.project_id, _EVENT.c.model_id == model_id)
        .order_by(_EVENT.c.id.desc())
    )
    return [AliasMove(*row) for row in tx.execute(query)]


def of_models(tx: Transaction, model_ids: Sequence[int]) -> OfModels:
    """Fetch the aliases of several models with the numbers they point at, by name."""
    query = (
        sa.select(_T.c.model_id, _T.c.alias, _T.c.number)
        .where(_T.c.project_id == tx.project_id, _T.c.model_id.in_(model_ids))
        .order_by(_T.c.model_id, _T.c.alias)
    )
    found: OfModels = {}
    for model_id, alias, number in tx.execute(query):
        found.setdefault(model_id, []).append((alias, number))
    return found


def by_version(of_models: OfModels) -> dict[tuple[int, int], tuple[str, ...]]:
    """Group the aliases of models by the versions that they point at, identified by model and number."""
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for model_id, pairs in of_models.items():
        for alias, number in pairs:
            found[model_id, number] = (*found.get((model_id, number), ()), alias)
    return found

"""Promotions: which pipeline made which candidate a version. One per model and pipeline, kept for ever.

A promotion outlives its model: a new model with the same name continues its numbers.
"""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry import models

_T = schema.promotion
PROMPT = "prompt"
"""The step of a prompt's version, which has its number since it was registered."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """`trained_in` is the pipeline that made the candidate, `pipeline_id` the one that it was promoted for; `job_id` is
    None if a person promoted. `alias` is the one that moved, if any.
    """

    model_id: int
    pipeline_id: int
    number: int
    semver: str
    pre_release: bool
    alias: str | None
    candidate_iid: int
    trained_in: int
    merge_request_iid: int | None
    job_id: int | None
    bump: str
    reason: str
    user_name: str
    at_ms: int


_COLUMNS = (
    _T.c.model_id,
    _T.c.pipeline_id,
    _T.c.number,
    _T.c.semver,
    _T.c.pre_release,
    _T.c.alias,
    _T.c.candidate_iid,
    _T.c.trained_in,
    _T.c.merge_request_iid,
    _T.c.job_id,
    _T.c.bump,
    _T.c.reason,
    _T.c.user_name,
    _T.c.at_ms,
)


def add(tx: Transaction, made: Promotion, *, attestation: str | None) -> None:
    values = {column.name: getattr(made, column.name) for column in _COLUMNS}
    name = models.name_of(tx.project_id, made.model_id)
    row = {"project_id": tx.project_id, "model_name": name, "attestation": attestation}
    tx.execute(sa.insert(_T).values(**row, **values))


def of_pipeline(tx: Transaction, model_id: int, pipeline_id: int) -> Promotion | None:
    return _one(tx, model_id, _T.c.pipeline_id == pipeline_id)


def of_candidate(tx: Transaction, model_id: int, candidate_iid: int) -> Promotion | None:
    """Find what made a candidate a version, pre-releases left out."""
    return _one(tx, model_id, _T.c.candidate_iid == candidate_iid, _released())


def prompts_of(tx: Transaction, promotion: Promotion) -> list[tuple[str, int, str]]:
    """List name, version and alias of the prompts that were promoted with a version of a model."""
    query = sa.select(_T.c.model_name, _T.c.number, _T.c.alias).where(
        _T.c.project_id == tx.project_id,
        _T.c.pipeline_id == promotion.pipeline_id,
        _T.c.candidate_iid == promotion.candidate_iid,
        _T.c.bump == PROMPT,
    )
    return [(name, number, alias) for name, number, alias in tx.execute(query.order_by(_T.c.model_name))]


def of_version(tx: Transaction, model_id: int, number: int) -> Promotion | None:
    return _one(tx, model_id, _T.c.number == number)


def of_versions(tx: Transaction, model_id: int, numbers: Collection[int]) -> dict[int, Promotion]:
    """Find the promotions of several versions of a model, by number, in one statement."""
    query = sa.select(*_COLUMNS).where(
        _T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.number.in_(numbers)
    )
    return {row.number: Promotion(*tuple(row)) for row in tx.execute(query)} if numbers else {}


def newest(tx: Transaction, model_id: int) -> Promotion | None:
    """Find the promotion for the newest pipeline, except for pre-releases."""
    return _one(tx, model_id, _released())


def attestation(tx: Transaction, model_id: int, number: int) -> str | None:
    """Fetch what vouches for a version: the provenance statement in its envelope, as JSON."""
    where = (_T.c.project_id == tx.project_id, _T.c.model_id == model_id, _T.c.number == number)
    found: str | None = tx.execute(sa.select(_T.c.attestation).where(*where)).scalar()
    return found


def managed_aliases(tx: Transaction, model_id: int) -> set[str]:
    """List the aliases that promotions have moved, of this model and of earlier ones with its name."""
    query = sa.select(_T.c.alias).where(*_of_name(tx.project_id, model_id), _T.c.alias.is_not(None)).distinct()
    return set(tx.execute(query).scalars())


def managed_aliases_of_name(tx: Transaction, name: str) -> set[str]:
    """List the aliases that promotions have moved, of models with this name, which may all be gone or renamed."""
    where = (_T.c.project_id == tx.project_id, _T.c.model_name == name, _T.c.alias.is_not(None))
    return set(tx.execute(sa.select(_T.c.alias).where(*where).distinct()).scalars())


def any_in(tx: Transaction, *, name: str | None = None) -> bool:
    """Return whether a project has promoted anything but pre-releases; with `name` only models with this name count."""
    where = [_T.c.project_id == tx.project_id, _released()]
    if name is not None:
        where.append(_T.c.model_name == name)
    return tx.execute(sa.select(sa.literal(1)).where(*where).limit(1)).scalar() is not None


def taken(tx: Transaction, model_id: int) -> list[tuple[int, str]]:
    """List numbers and semvers that promotions have used up, of this model and of earlier ones with its name."""
    query = sa.select(_T.c.number, _T.c.semver).where(*_of_name(tx.project_id, model_id))
    return [(number, semver) for number, semver in tx.execute(query)]


def _of_name(project_id: ProjectId, model_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    named = _T.c.model_name == models.name_of(project_id, model_id)
    return _T.c.project_id == project_id, sa.or_(_T.c.model_id == model_id, named)


def _released() -> sa.ColumnElement[bool]:
    return _T.c.pre_release.is_(sa.false())


def _one(tx: Transaction, model_id: int, *which: sa.ColumnElement[bool]) -> Promotion | None:
    query = sa.select(*_COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.model_id == model_id, *which)
    row = tx.execute(query.order_by(_T.c.pipeline_id.desc()).limit(1)).one_or_none()
    return None if row is None else Promotion(*tuple(row))

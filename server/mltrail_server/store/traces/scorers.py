"""Scorers that were registered, and their versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

_T = schema.scorer
_VERSION = schema.scorer_version
_EXPERIMENT = schema.experiment
_SAME = (_VERSION.c.project_id == _T.c.project_id) & (_VERSION.c.scorer_id == _T.c.id)


@dataclass(frozen=True, slots=True)
class ScorerVersion:
    """`serialized` is JSON that clients make and read."""

    scorer_id: str
    experiment_iid: int
    name: str
    version: int
    serialized: str
    created_ms: int
    user_name: str


def add(
    tx: Transaction, *, experiment_iid: int, name: str, new_id: str, serialized: str, user_name: str
) -> ScorerVersion:
    """Add a version to a scorer, which begins to exist with its first, under the id `new_id`."""
    key = {"project_id": tx.project_id, "experiment_iid": experiment_iid, "name": name}
    begin = tx.insert(_T).values(**key, id=new_id, last_version=1)
    more = begin.on_conflict_do_update(
        index_elements=list(key), set_={"last_version": _T.c.last_version + 1}
    ).returning(_T.c.id, _T.c.last_version)
    scorer_id, number = tx.execute(more).one()
    made = ScorerVersion(scorer_id, experiment_iid, name, number, serialized, tx.now, user_name)
    tx.execute(
        sa.insert(_VERSION).values(
            project_id=tx.project_id,
            scorer_id=scorer_id,
            version=number,
            serialized=serialized,
            user_name=user_name,
            created_ms=tx.now,
        )
    )
    return made


def latest(tx: Transaction, experiment_iids: Sequence[int] | None) -> list[ScorerVersion]:
    """List the newest version of each scorer by experiment and name; None means all active experiments."""
    newest = (
        sa.select(sa.func.max(_VERSION.c.version))
        .where(_VERSION.c.project_id == _T.c.project_id, _VERSION.c.scorer_id == _T.c.id)
        .correlate(_T)
        .scalar_subquery()
    )
    active = sa.select(_EXPERIMENT.c.iid).where(
        _EXPERIMENT.c.project_id == tx.project_id, _EXPERIMENT.c.stage == Stage.ACTIVE
    )
    query = _select(tx).where(_VERSION.c.version == newest, _T.c.experiment_iid.in_(active))
    if experiment_iids is not None:
        query = query.where(_T.c.experiment_iid.in_(experiment_iids))
    return [_version(row) for row in tx.execute(query.order_by(_T.c.experiment_iid, _T.c.name))]


def versions(tx: Transaction, experiment_iid: int, name: str) -> list[ScorerVersion]:
    """List the versions of one scorer, the oldest first; none if there is no such scorer."""
    query = _select(tx).where(_T.c.experiment_iid == experiment_iid, _T.c.name == name)
    return [_version(row) for row in tx.execute(query.order_by(_VERSION.c.version))]


def delete(tx: Transaction, scorer_id: str, version: int | None) -> None:
    """Delete one version, or the scorer with all of them."""
    if version is None:
        tx.execute(sa.delete(_T).where(_T.c.project_id == tx.project_id, _T.c.id == scorer_id))
        return
    where = (_VERSION.c.project_id == tx.project_id, _VERSION.c.scorer_id == scorer_id, _VERSION.c.version == version)
    tx.execute(sa.delete(_VERSION).where(*where))


def _select(tx: Transaction) -> sa.Select[Any]:
    columns = (
        _T.c.id,
        _T.c.experiment_iid,
        _T.c.name,
        _VERSION.c.version,
        _VERSION.c.serialized,
        _VERSION.c.created_ms,
        _VERSION.c.user_name,
    )
    return sa.select(*columns).join(_VERSION, _SAME).where(_T.c.project_id == tx.project_id)


def _version(row: Row) -> ScorerVersion:
    return ScorerVersion(*row)

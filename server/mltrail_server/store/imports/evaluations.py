"""Scorers from elsewhere, with the numbers of their versions; and the mark of traces that were imported."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_SCORER = schema.scorer
_VERSION = schema.scorer_version
_TRACE = schema.trace
_EXPERIMENT = schema.experiment


@dataclass(frozen=True, slots=True)
class NewScorerVersion:
    scorer_id: str
    version: int
    serialized: str
    user_name: str
    created_ms: int


def scorer_id(tx: Transaction, experiment_iid: int, name: str, *, new_id: str) -> str:
    """Return the id of an experiment's scorer, which is created if it does not exist."""
    key = {"project_id": tx.project_id, "experiment_iid": experiment_iid, "name": name}
    where = (
        _SCORER.c.project_id == tx.project_id,
        _SCORER.c.experiment_iid == experiment_iid,
        _SCORER.c.name == name,
    )
    found: str | None = tx.execute(sa.select(_SCORER.c.id).where(*where)).scalar()
    if found is None:
        tx.execute(tx.insert(_SCORER).values(**key, id=new_id, last_version=0).on_conflict_do_nothing())
        found = str(tx.execute(sa.select(_SCORER.c.id).where(*where)).scalar_one())
    return found


def has_scorer(tx: Transaction, scorer_id: str) -> bool:
    """Return whether any scorer of the project has this id."""
    query = sa.select(_SCORER.c.id).where(_SCORER.c.project_id == tx.project_id, _SCORER.c.id == scorer_id)
    return tx.execute(query).scalar() is not None


def scorer_here(tx: Transaction, scorer_id: str, version: int) -> str | None:
    """Return a version of a scorer as it is stored; None if there is none."""
    query = sa.select(_VERSION.c.serialized).where(
        _VERSION.c.project_id == tx.project_id, _VERSION.c.scorer_id == scorer_id, _VERSION.c.version == version
    )
    found: str | None = tx.execute(query).scalar()
    return found


def add_scorer(tx: Transaction, new: NewScorerVersion) -> None:
    """Add a version of a scorer under its own number; the next one gets a higher number."""
    values = {"version": new.version, "serialized": new.serialized, "created_ms": new.created_ms}
    tx.execute(
        sa.insert(_VERSION).values(project_id=tx.project_id, scorer_id=new.scorer_id, user_name=new.user_name, **values)
    )
    where = (_SCORER.c.project_id == tx.project_id, _SCORER.c.id == new.scorer_id)
    tx.execute(sa.update(_SCORER).where(*where, _SCORER.c.last_version < new.version).values(last_version=new.version))


def mark_trace(tx: Transaction, trace_id: str, origin_id: int) -> None:
    """Note that a trace was imported, and from which origin."""
    where = (_TRACE.c.project_id == tx.project_id, _TRACE.c.id == trace_id)
    tx.execute(sa.update(_TRACE).where(*where).values(origin_id=origin_id))


def origins_of_traces(tx: Transaction, trace_ids: list[str]) -> dict[str, int | None]:
    """Look up which of these traces exist here, and where they were imported from; None: they were made here."""
    query = sa.select(_TRACE.c.id, _TRACE.c.origin_id).where(
        _TRACE.c.project_id == tx.project_id, _TRACE.c.id.in_(trace_ids)
    )
    return {row.id: row.origin_id for row in tx.execute(query)}


def set_experiment(
    tx: Transaction, iid: int, *, created_ms: int | None, updated_ms: int | None, location: str | None
) -> None:
    """Give an experiment that was just created the times that it has at the source."""
    values = {"created_ms": created_ms, "updated_ms": updated_ms, "artifact_location": location}
    given = {name: value for name, value in values.items() if value is not None}
    if given:
        where = (_EXPERIMENT.c.project_id == tx.project_id, _EXPERIMENT.c.iid == iid)
        tx.execute(sa.update(_EXPERIMENT).where(*where).values(**given))

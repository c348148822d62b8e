"""Pages of everything in a project, by number or id, also of what is deleted. Each page is a statement of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry.versions import Version, filled, select
from mltrail_server.store.tracking.candidates import COLUMNS, Candidate, candidate_of

_RUN = schema.candidate
_EXPERIMENT = schema.experiment
_METRIC = schema.metric
_MODEL = schema.model
_TRACE = schema.trace


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model; `last_number` is the highest number that a version of it ever had."""

    id: int
    name: str
    description: str | None
    user_name: str
    created_ms: int
    updated_ms: int
    last_number: int


Place = tuple[int, int, float, bool]
"""A point of one metric: step, timestamp, value (0 for NaN) and whether it is NaN."""


def experiment_iids(tx: Transaction) -> list[int]:
    query = sa.select(_EXPERIMENT.c.iid).where(_EXPERIMENT.c.project_id == tx.project_id)
    return list(tx.execute(query.order_by(_EXPERIMENT.c.iid)).scalars())


def candidates(tx: Transaction, experiment_iid: int, *, after: int, limit: int) -> list[tuple[Candidate, int | None]]:
    """Return the experiment's candidates with a higher number than `after`, and when each was deleted."""
    query = sa.select(*COLUMNS, _RUN.c.deleted_ms).where(
        _RUN.c.project_id == tx.project_id, _RUN.c.experiment_iid == experiment_iid, _RUN.c.iid > after
    )
    rows = tx.execute(query.order_by(_RUN.c.iid).limit(limit)).all()
    return [(candidate_of(row), row.deleted_ms) for row in rows]


def live_eids(tx: Transaction, experiment_iid: int) -> list[str]:
    """Return the MLflow run ids of the candidates that are not deleted."""
    query = sa.select(_RUN.c.eid).where(
        _RUN.c.project_id == tx.project_id, _RUN.c.experiment_iid == experiment_iid, _RUN.c.stage == Stage.ACTIVE
    )
    return list(tx.execute(query.order_by(_RUN.c.iid)).scalars())


def count_points(tx: Transaction, iids: Sequence[int]) -> dict[int, dict[int, int]]:
    """Count the points of candidates, or of what others have logged to them, by the numbers of their keys."""
    query = (
        sa.select(_METRIC.c.candidate_iid, _METRIC.c.key_id, sa.func.count())
        .where(_METRIC.c.project_id == tx.project_id, _METRIC.c.candidate_iid.in_(iids))
        .group_by(_METRIC.c.candidate_iid, _METRIC.c.key_id)
    )
    found: dict[int, dict[int, int]] = {}
    for iid, key_id, count in tx.execute(query):
        found.setdefault(iid, {})[key_id] = count
    return found


def points(tx: Transaction, iid: int, key_id: int, *, after: Place | None, limit: int) -> list[Place]:
    """Return a page of the points of one metric, in their order."""
    columns = (_METRIC.c.step, _METRIC.c.timestamp_ms, _METRIC.c.value, _METRIC.c.is_nan)
    query = sa.select(*columns).where(
        _METRIC.c.project_id == tx.project_id, _METRIC.c.candidate_iid == iid, _METRIC.c.key_id == key_id
    )
    if after is not None:
        query = query.where(sa.tuple_(*columns) > sa.tuple_(*(sa.literal(one) for one in after)))
    return [
        (step, moment, value, bool(is_nan))
        for step, moment, value, is_nan in tx.execute(query.order_by(*columns).limit(limit))
    ]


def logged_model_ids(tx: Transaction, experiment_iid: int) -> list[str]:
    table = schema.logged_model
    query = sa.select(table.c.model_id).where(
        table.c.project_id == tx.project_id, table.c.experiment_iid == experiment_iid
    )
    return list(tx.execute(query.order_by(table.c.created_ms, table.c.model_id)).scalars())


def trace_ids(tx: Transaction, experiment_iid: int, *, after: str, limit: int) -> list[str]:
    """Return a page of the experiment's trace ids, in their order, beginning after `after`."""
    query = sa.select(_TRACE.c.id).where(
        _TRACE.c.project_id == tx.project_id, _TRACE.c.experiment_iid == experiment_iid, _TRACE.c.id > after
    )
    return list(tx.execute(query.order_by(_TRACE.c.id).limit(limit)).scalars())


def scorer_names(tx: Transaction, experiment_iid: int) -> list[str]:
    table = schema.scorer
    query = sa.select(table.c.name).where(table.c.project_id == tx.project_id, table.c.experiment_iid == experiment_iid)
    return list(tx.execute(query.order_by(table.c.name)).scalars())


def evaluation_dataset_ids(tx: Transaction) -> list[str]:
    table = schema.evaluation_dataset
    query = sa.select(table.c.id).where(table.c.project_id == tx.project_id)
    return list(tx.execute(query.order_by(table.c.id)).scalars())


def models(tx: Transaction) -> list[ModelRow]:
    columns = (_MODEL.c.id, _MODEL.c.name, _MODEL.c.description, _MODEL.c.user_name)
    times = (_MODEL.c.created_ms, _MODEL.c.updated_ms, _MODEL.c.last_number)
    query = sa.select(*columns, *times).where(_MODEL.c.project_id == tx.project_id)
    return [ModelRow(*row) for row in tx.execute(query.order_by(_MODEL.c.name))]


def versions(tx: Transaction, model_id: int, *, after: int, limit: int) -> list[Version]:
    """Return the model's versions with a higher number than `after`, without those that are deleted."""
    table = schema.model_version
    query = select().where(table.c.project_id == tx.project_id, table.c.model_id == model_id, table.c.number > after)
    return filled(tx, tx.execute(query.order_by(table.c.number).limit(limit)).all())


def model_metrics(tx: Transaction, ids: Sequence[str]) -> dict[str, list[tuple[str, str, int, int, float, str, str]]]:
    """Return all metrics of logged models: run, key, step, timestamp, value, and the dataset's name and digest. As for
    clients, those logged by somebody without the right to measure the model are left out.
    """
    table = schema.logged_model_metric
    query = sa.select(table).where(
        table.c.project_id == tx.project_id, table.c.model_id.in_(ids), table.c.beside.is_(sa.false())
    )
    found: dict[str, list[tuple[str, str, int, int, float, str, str]]] = {}
    for row in tx.execute(query.order_by(table.c.model_id, table.c.key, table.c.eid, table.c.step)):
        value = float("nan") if row.is_nan else row.value
        one = (row.eid, row.key, row.step, row.timestamp_ms, value, row.dataset_name, row.dataset_digest)
        found.setdefault(row.model_id, []).append(one)
    return found

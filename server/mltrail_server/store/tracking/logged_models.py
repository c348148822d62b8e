"""The models that MLflow 3 logs, and how they are searched."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Point, Stage
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.filters import compare_number, compare_text
from mltrail_server.store.db.paging import Sorted, page, token_of
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

from .metrics import NAN

_T = schema.logged_model
_TAG = schema.logged_model_tag
_PARAM = schema.logged_model_param
_METRIC = schema.logged_model_metric


class ModelStatus(IntEnum):
    """The numbers are MLflow's `LoggedModelStatus`."""

    PENDING = 1
    READY = 2
    UPLOAD_FAILED = 3


@dataclass(frozen=True, slots=True)
class LoggedModel:
    model_id: str
    experiment_iid: int
    name: str
    model_type: str
    source_eid: str  # "" when no candidate made it
    status: ModelStatus
    status_message: str | None
    stage: Stage
    created_ms: int
    updated_ms: int
    beside: bool = False  # logged to its run by somebody other than the run's own jobs
    elsewhere: str | None = None  # the URI of its files if clients store them elsewhere


@dataclass(frozen=True, slots=True)
class ModelMetric:
    point: Point
    eid: str
    dataset_name: str
    dataset_digest: str


_COLUMNS = (
    _T.c.model_id,
    _T.c.experiment_iid,
    _T.c.name,
    _T.c.model_type,
    _T.c.source_eid,
    _T.c.status,
    _T.c.status_message,
    _T.c.stage,
    _T.c.created_ms,
    _T.c.updated_ms,
    _T.c.beside,
    _T.c.elsewhere,
)


def create(tx: Transaction, model: LoggedModel) -> None:
    values = {column.name: getattr(model, column.name) for column in _COLUMNS}
    tx.execute(sa.insert(_T).values(project_id=tx.project_id, **values))


def get(tx: Transaction, model_id: str) -> LoggedModel | None:
    query = sa.select(*_COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.model_id == model_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else _model(row)


def made_by(tx: Transaction, eid: str) -> list[tuple[str, int]]:
    """List the models that a candidate's own jobs have logged to it, with their experiments."""
    query = sa.select(_T.c.model_id, _T.c.experiment_iid).where(
        _T.c.project_id == tx.project_id, _T.c.source_eid == eid, _T.c.beside.is_(sa.false())
    )
    return [(row.model_id, row.experiment_iid) for row in tx.execute(query.order_by(_T.c.model_id))]


def change(tx: Transaction, model_id: str, **values: object) -> None:
    where = (_T.c.project_id == tx.project_id, _T.c.model_id == model_id)
    tx.execute(sa.update(_T).where(*where).values(**values))


def lock(tx: Transaction, model_id: str) -> None:
    """Let nobody else change a logged model until the end of the transaction."""
    where = (_T.c.project_id == tx.project_id, _T.c.model_id == model_id)
    tx.execute(sa.select(_T.c.model_id).where(*where).with_for_update())


def search(
    tx: Transaction,
    *,
    experiment_iids: Sequence[int],
    conditions: Sequence[sa.ColumnElement[bool]],
    order: Sequence[Sorted],
    limit: int,
    token: str | None,
    mark: str,
) -> tuple[list[LoggedModel], str | None]:
    """Find a page of logged models, the newest first where `order` leaves ties. `mark` identifies the query."""
    query = sa.select(*_COLUMNS).where(
        _T.c.project_id == tx.project_id,
        _T.c.experiment_iid.in_(experiment_iids),
        _T.c.stage == Stage.ACTIVE,
        *conditions,
    )
    by = [*order, Sorted(_T.c.created_ms, descending=True), Sorted(_T.c.model_id)]
    rows = tx.execute(page(query, by, limit=limit, token=token, mark=mark)).all()
    shown = rows[:limit]
    return [_model(row) for row in shown], token_of(shown[-1], by, mark) if len(rows) > limit else None


def put_tags(tx: Transaction, model_id: str, tags: Iterable[tuple[str, str]]) -> None:
    tx.upsert(_TAG, _pairs(tx.project_id, model_id, tags), update=["value"])


def add_params(tx: Transaction, model_id: str, params: Iterable[tuple[str, str]]) -> set[str]:
    """Add parameters, and return those that exist with another value, which is kept."""
    wanted = dict(params)
    tx.upsert(_PARAM, _pairs(tx.project_id, model_id, wanted.items()))
    query = sa.select(_PARAM.c.key, _PARAM.c.value).where(
        _PARAM.c.project_id == tx.project_id, _PARAM.c.model_id == model_id, _PARAM.c.key.in_(list(wanted))
    )
    return {row.key for row in tx.execute(query) if row.value != wanted[row.key]}


def delete_tag(tx: Transaction, model_id: str, key: str) -> bool:
    where = (_TAG.c.project_id == tx.project_id, _TAG.c.model_id == model_id, _TAG.c.key == key)
    return tx.execute(sa.delete(_TAG).where(*where)).rowcount > 0


def tags_of(tx: Transaction, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    return _pairs_of(tx, _TAG, ids)


def params_of(tx: Transaction, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    return _pairs_of(tx, _PARAM, ids)


def metrics_of(tx: Transaction, ids: Sequence[str]) -> dict[str, list[ModelMetric]]:
    """Fetch the latest value of each metric, run and dataset of several models, in one statement, without what was
    measured by somebody who may not.
    """
    query = sa.select(_METRIC).where(
        _METRIC.c.project_id == tx.project_id, _METRIC.c.model_id.in_(ids), _METRIC.c.beside.is_(sa.false())
    )
    latest: dict[tuple[str, ...], tuple[str, ModelMetric]] = {}
    for row in tx.execute(query.order_by(_METRIC.c.key, _METRIC.c.step, _METRIC.c.timestamp_ms)):
        # Infinity is stored as the largest number; earlier releases stored it unchanged.
        value = max(-sys.float_info.max, min(sys.float_info.max, row.value))
        point = Point(row.key, NAN if row.is_nan else value, row.timestamp_ms, row.step)
        metric = ModelMetric(point, row.eid, row.dataset_name, row.dataset_digest)
        latest[row.model_id, row.key, row.eid, row.dataset_name, row.dataset_digest] = (row.model_id, metric)
    found: dict[str, list[ModelMetric]] = {}
    for model_id, metric in latest.values():
        found.setdefault(model_id, []).append(metric)
    return found


def registrations_of(tx: Transaction, ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """Fetch model name and number of the versions that several logged models became, in one statement."""
    version, model = schema.model_version, schema.model
    same = (model.c.project_id == version.c.project_id) & (model.c.id == version.c.model_id)
    query = (
        sa.select(version.c.logged_model_id, model.c.name, version.c.number)
        .join(model, same)
        .where(
            version.c.project_id == tx.project_id, version.c.logged_model_id.in_(ids), version.c.deleted_ms.is_(None)
        )
        .order_by(model.c.name, version.c.number)
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for model_id, name, number in tx.execute(query):
        found.setdefault(model_id, []).append((name, number))
    return found


def _pairs(project_id: ProjectId, model_id: str, items: Iterable[tuple[str, str]]) -> list[dict[str, object]]:
    owner = {"project_id": project_id, "model_id": model_id}
    return [owner | {"key": key, "value": value} for key, value in dict(items).items()]


def _pairs_of(tx: Transaction, table: sa.Table, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    query = sa.select(table.c.model_id, table.c.key, table.c.value).where(
        table.c.project_id == tx.project_id, table.c.model_id.in_(ids)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for model_id, key, value in tx.execute(query.order_by(table.c.key)):
        found.setdefault(model_id, []).append((key, value))
    return found


def _model(row: Row) -> LoggedModel:
    return LoggedModel(
        row.model_id,
        row.experiment_iid,
        row.name,
        row.model_type,
        row.source_eid,
        ModelStatus(row.status),
        row.status_message,
        Stage(row.stage),
        row.created_ms,
        row.updated_ms,
        bool(row.beside),
        row.elsewhere,
    )


_NUMBERS: dict[str, sa.ColumnElement[Any]] = {
    "creation_timestamp": _T.c.created_ms,
    "creation_timestamp_ms": _T.c.created_ms,
    "creation_time": _T.c.created_ms,
    "last_updated_timestamp": _T.c.updated_ms,
    "last_updated_timestamp_ms": _T.c.updated_ms,
}
_TEXTS: dict[str, sa.ColumnElement[Any]] = {
    "name": _T.c.name,
    "model_id": _T.c.model_id,
    "model_type": _T.c.model_type,
    "experiment_id": sa.cast(_T.c.experiment_iid, sa.String),
    "source_run_id": _T.c.source_eid,
    "status": sa.case({status: status.name for status in ModelStatus}, value=_T.c.status, else_=""),
}
_PAIRS = {Entity.TAG: schema.logged_model_tag, Entity.PARAM: schema.logged_model_param}


@dataclass(frozen=True, slots=True)
class MeasuredOn:
    """A dataset that metrics were measured on; without a digest, any."""

    name: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class LoggedModelOrder:
    """Sort by an attribute, or by `metrics.<key>`: the model's newest value of it, on `dataset` if that is given."""

    field: str
    ascending: bool = True
    dataset: MeasuredOn | None = None


def conditions(clauses: Sequence[Clause], datasets: Sequence[MeasuredOn]) -> list[sa.ColumnElement[bool]]:
    """Turn a filter into SQL. `datasets` restrict its metrics or, if it has none, require any metric on one of them."""
    found = [_condition(clause, datasets) for clause in clauses]
    if datasets and not any(clause.entity is Entity.METRIC for clause in clauses):
        found.append(_exists(_METRIC, _on(datasets)))
    return found


def order(wish: LoggedModelOrder) -> list[Sorted]:
    if wish.field.startswith("metrics."):
        newest = _newest(wish.field.removeprefix("metrics."), [wish.dataset] if wish.dataset else [])
        missing = sa.case((newest.is_(None), 1), else_=0)
        return [Sorted(missing), Sorted(sa.func.coalesce(newest, 0.0), not wish.ascending)]
    column = _NUMBERS.get(wish.field, _TEXTS.get(wish.field))
    if column is None:
        raise _unknown(wish.field)
    return [Sorted(column, not wish.ascending)]


def _condition(clause: Clause, datasets: Sequence[MeasuredOn]) -> sa.ColumnElement[bool]:
    if clause.entity in _PAIRS:
        table = _PAIRS[clause.entity]
        return _exists(table, table.c.key == clause.key, compare_text(table.c.value, clause))
    if clause.entity is Entity.METRIC:
        return compare_number(_newest(clause.key, datasets), clause)
    if clause.entity is Entity.ATTRIBUTE and clause.key in _NUMBERS:
        return compare_number(_NUMBERS[clause.key], clause)
    if clause.entity is Entity.ATTRIBUTE and clause.key in _TEXTS:
        return compare_text(_TEXTS[clause.key], clause)
    raise _unknown(clause.key)


def _newest(key: str, datasets: Sequence[MeasuredOn]) -> sa.ColumnElement[Any]:
    """Select a model's value at the last step; NULL for NaN, which no comparison matches and which sorts last."""
    return (
        sa.select(sa.case((_METRIC.c.is_nan, None), else_=_METRIC.c.value))
        .where(
            _METRIC.c.project_id == _T.c.project_id,
            _METRIC.c.model_id == _T.c.model_id,
            _METRIC.c.beside.is_(sa.false()),
            _METRIC.c.key == key,
            _on(datasets),
        )
        .order_by(_METRIC.c.step.desc(), _METRIC.c.timestamp_ms.desc(), _METRIC.c.eid)
        .limit(1)
        .correlate(_T)
        .scalar_subquery()
    )


def _on(datasets: Sequence[MeasuredOn]) -> sa.ColumnElement[bool]:
    if not datasets:
        return sa.true()
    return sa.or_(
        *(
            sa.and_(
                _METRIC.c.dataset_name == one.name,
                _METRIC.c.dataset_digest == one.digest if one.digest else sa.true(),
            )
            for one in datasets
        )
    )


def _exists(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    owned = (table.c.project_id == _T.c.project_id, table.c.model_id == _T.c.model_id)
    return sa.select(sa.literal(1)).select_from(table).where(*owned, *conditions).correlate(_T).exists()


def _unknown(key: str) -> Exception:
    known = ", ".join(sorted({*_NUMBERS, *_TEXTS}))
    return invalid(f"Logged models have no attribute '{key}'; they have {known}, and metrics., params. and tags.")

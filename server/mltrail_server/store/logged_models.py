"""The models that MLflow 3 logs: things of their own, beside the runs that made them."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import sqlalchemy as sa

from mltrail_server.domain.candidate import Point, Stage
from mltrail_server.domain.ids import ProjectId

from . import schema
from .metrics import NAN
from .paging import Sorted, page, token_of
from .sql import Row, upsert

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
    beside: bool = False  # logged to its run by others than the run's own jobs
    elsewhere: str | None = None  # the URI of its files, where clients put them by themselves


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


def create(connection: sa.Connection, project_id: ProjectId, model: LoggedModel) -> None:
    values = {column.name: getattr(model, column.name) for column in _COLUMNS}
    connection.execute(sa.insert(_T).values(project_id=project_id, **values))


def get(connection: sa.Connection, project_id: ProjectId, model_id: str) -> LoggedModel | None:
    query = sa.select(*_COLUMNS).where(_T.c.project_id == project_id, _T.c.model_id == model_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _model(row)


def made_by(connection: sa.Connection, project_id: ProjectId, eid: str) -> list[tuple[str, int]]:
    """List the logged models that a candidate's own jobs have logged to it, with their experiments."""
    query = sa.select(_T.c.model_id, _T.c.experiment_iid).where(
        _T.c.project_id == project_id, _T.c.source_eid == eid, _T.c.beside.is_(sa.false())
    )
    return [(row.model_id, row.experiment_iid) for row in connection.execute(query.order_by(_T.c.model_id))]


def change(connection: sa.Connection, project_id: ProjectId, model_id: str, **values: object) -> None:
    where = (_T.c.project_id == project_id, _T.c.model_id == model_id)
    connection.execute(sa.update(_T).where(*where).values(**values))


def lock(connection: sa.Connection, project_id: ProjectId, model_id: str) -> None:
    """Let nobody else change a logged model until the end of the transaction."""
    where = (_T.c.project_id == project_id, _T.c.model_id == model_id)
    connection.execute(sa.select(_T.c.model_id).where(*where).with_for_update())


def search(
    connection: sa.Connection,
    project_id: ProjectId,
    *,
    experiment_iids: Sequence[int],
    conditions: Sequence[sa.ColumnElement[bool]],
    order: Sequence[Sorted],
    limit: int,
    token: str | None,
    mark: str,
) -> tuple[list[LoggedModel], str | None]:
    """Find a page of logged models, the newest first where `order` leaves it open. `mark` names the query."""
    query = sa.select(*_COLUMNS).where(
        _T.c.project_id == project_id,
        _T.c.experiment_iid.in_(experiment_iids),
        _T.c.stage == Stage.ACTIVE,
        *conditions,
    )
    by = [*order, Sorted(_T.c.created_ms, descending=True), Sorted(_T.c.model_id)]
    rows = connection.execute(page(query, by, limit=limit, token=token, mark=mark)).all()
    shown = rows[:limit]
    return [_model(row) for row in shown], token_of(shown[-1], by, mark) if len(rows) > limit else None


def put_tags(connection: sa.Connection, project_id: ProjectId, model_id: str, tags: Iterable[tuple[str, str]]) -> None:
    upsert(connection, _TAG, _pairs(project_id, model_id, tags), update=["value"])


def add_params(
    connection: sa.Connection, project_id: ProjectId, model_id: str, params: Iterable[tuple[str, str]]
) -> set[str]:
    """Add parameters, and answer which of them are there with another value: these stay as they are."""
    wanted = dict(params)
    upsert(connection, _PARAM, _pairs(project_id, model_id, wanted.items()))
    query = sa.select(_PARAM.c.key, _PARAM.c.value).where(
        _PARAM.c.project_id == project_id, _PARAM.c.model_id == model_id, _PARAM.c.key.in_(list(wanted))
    )
    return {row.key for row in connection.execute(query) if row.value != wanted[row.key]}


def delete_tag(connection: sa.Connection, project_id: ProjectId, model_id: str, key: str) -> bool:
    where = (_TAG.c.project_id == project_id, _TAG.c.model_id == model_id, _TAG.c.key == key)
    return connection.execute(sa.delete(_TAG).where(*where)).rowcount > 0


def tags_of(connection: sa.Connection, project_id: ProjectId, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    return _pairs_of(connection, _TAG, project_id, ids)


def params_of(connection: sa.Connection, project_id: ProjectId, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    return _pairs_of(connection, _PARAM, project_id, ids)


def metrics_of(connection: sa.Connection, project_id: ProjectId, ids: Sequence[str]) -> dict[str, list[ModelMetric]]:
    """Fetch the latest value of each metric, run and dataset of several models, in one statement. What was measured by
    others than those who may is left out.
    """
    query = sa.select(_METRIC).where(
        _METRIC.c.project_id == project_id, _METRIC.c.model_id.in_(ids), _METRIC.c.beside.is_(sa.false())
    )
    latest: dict[tuple[str, ...], tuple[str, ModelMetric]] = {}
    for row in connection.execute(query.order_by(_METRIC.c.key, _METRIC.c.step, _METRIC.c.timestamp_ms)):
        # Infinity is stored as the largest number; earlier releases have stored it as it came.
        value = max(-sys.float_info.max, min(sys.float_info.max, row.value))
        point = Point(row.key, NAN if row.is_nan else value, row.timestamp_ms, row.step)
        metric = ModelMetric(point, row.eid, row.dataset_name, row.dataset_digest)
        latest[row.model_id, row.key, row.eid, row.dataset_name, row.dataset_digest] = (row.model_id, metric)
    found: dict[str, list[ModelMetric]] = {}
    for model_id, metric in latest.values():
        found.setdefault(model_id, []).append(metric)
    return found


def registrations_of(
    connection: sa.Connection, project_id: ProjectId, ids: Sequence[str]
) -> dict[str, list[tuple[str, int]]]:
    """Fetch model name and number of the versions that several logged models became, in one statement."""
    version, model = schema.model_version, schema.model
    same = (model.c.project_id == version.c.project_id) & (model.c.id == version.c.model_id)
    query = (
        sa.select(version.c.logged_model_id, model.c.name, version.c.number)
        .join(model, same)
        .where(version.c.project_id == project_id, version.c.logged_model_id.in_(ids), version.c.deleted_ms.is_(None))
        .order_by(model.c.name, version.c.number)
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for model_id, name, number in connection.execute(query):
        found.setdefault(model_id, []).append((name, number))
    return found


def _pairs(project_id: ProjectId, model_id: str, items: Iterable[tuple[str, str]]) -> list[dict[str, object]]:
    owner = {"project_id": project_id, "model_id": model_id}
    return [owner | {"key": key, "value": value} for key, value in dict(items).items()]


def _pairs_of(
    connection: sa.Connection, table: sa.Table, project_id: ProjectId, ids: Sequence[str]
) -> dict[str, list[tuple[str, str]]]:
    query = sa.select(table.c.model_id, table.c.key, table.c.value).where(
        table.c.project_id == project_id, table.c.model_id.in_(ids)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for model_id, key, value in connection.execute(query.order_by(table.c.key)):
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

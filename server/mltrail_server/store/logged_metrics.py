"""Metrics that belong to a logged model as well as to the candidate that logged them."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.ids import ProjectId

from . import schema
from .metrics import stored
from .sql import upsert


@dataclass(frozen=True, slots=True)
class ModelPoint:
    model_id: str
    point: Point
    dataset_name: str = ""
    dataset_digest: str = ""


def sources_of(connection: sa.Connection, project_id: ProjectId, model_ids: Iterable[str]) -> dict[str, str]:
    """Tell which candidates have made these logged models, by MLflow run id; "" where none has, or where others than
    the candidate's own jobs have logged it. Those that do not exist are left out.
    """
    table = schema.logged_model
    query = sa.select(table.c.model_id, table.c.source_eid, table.c.beside).where(
        table.c.project_id == project_id, table.c.model_id.in_(list(model_ids))
    )
    return {row.model_id: "" if row.beside else row.source_eid for row in connection.execute(query)}


def append(
    connection: sa.Connection, project_id: ProjectId, eid: str, points: Sequence[ModelPoint], *, beside: Container[str]
) -> None:
    """Store points of logged models, which exist; of those in `beside` they are kept and not shown."""
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    for one in points:
        value, is_nan = stored(one.point.value)
        rows[(one.model_id, one.point.key, one.point.step, one.point.timestamp_ms)] = {
            "project_id": project_id,
            "model_id": one.model_id,
            "key": one.point.key,
            "eid": eid,
            "step": one.point.step,
            "timestamp_ms": one.point.timestamp_ms,
            "dataset_name": one.dataset_name,
            "dataset_digest": one.dataset_digest,
            "value": value,
            "is_nan": is_nan,
            "beside": one.model_id in beside,
        }
    upsert(connection, schema.logged_model_metric, rows.values(), update=["value", "is_nan"])

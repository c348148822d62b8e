"""Metrics that belong to a logged model as well as to the candidate that logged them."""

from collections.abc import Sequence
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


def append(connection: sa.Connection, project_id: ProjectId, eid: str, points: Sequence[ModelPoint]) -> set[str]:
    """Store points of logged models, and answer which of the models do not exist: theirs are not stored."""
    if not points:
        return set()
    table = schema.logged_model
    wanted = {point.model_id for point in points}
    query = sa.select(table.c.model_id).where(table.c.project_id == project_id, table.c.model_id.in_(wanted))
    known = set(connection.execute(query).scalars())
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    for one in points:
        value, is_nan = stored(one.point.value)
        row = {
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
        }
        if one.model_id in known:
            rows[(one.model_id, one.point.key, one.point.step, one.point.timestamp_ms)] = row
    upsert(connection, schema.logged_model_metric, rows.values(), update=["value", "is_nan"])
    return wanted - known

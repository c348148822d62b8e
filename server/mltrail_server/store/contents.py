"""What was logged to candidates, in one statement: a page of a search costs the same whatever was logged to its runs.

Five statements cost 50 us each on SQLite and a round trip each on PostgreSQL, more than their rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.pairs import NONE, Pairs

from . import inputs, schema
from .inputs import Dataset, Direction, ModelLink
from .metrics import NAN
from .prepared import Prepared, is_in, listed
from .sql import Query

_METRIC, _PARAM, _TAG, _DATASET, _MODEL = range(5)
_by_key = itemgetter(0)
_JSON_NAMES: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]] = (
    sa.literal_column("'key'"),
    sa.literal_column("'value'"),
)


@dataclass(slots=True)
class Contents:
    """The latest value of each metric, parameters and tags by key; inputs and outputs."""

    metrics: list[Point] = field(default_factory=list)
    params: Pairs = NONE
    tags: Pairs = NONE
    datasets: list[Dataset] = field(default_factory=list)
    models: list[ModelLink] = field(default_factory=list)


def of(connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int]) -> dict[int, Contents]:
    """Fetch what was logged to each of the candidates. Two statements more where datasets were used."""
    iids = list(candidate_iids)
    found = {iid: Contents() for iid in iids}
    with_datasets = set()
    rows = _ALL.all(connection, {"project_id": project_id, "candidate_iids": listed(connection, iids)})
    for kind, iid, text, value, is_nan, whole, step in rows:
        if kind == _METRIC:
            found[iid].metrics.append(Point(text, NAN if is_nan else value, whole, step))
        elif kind == _PARAM:
            found[iid].params = Pairs(text)
        elif kind == _TAG:
            found[iid].tags = Pairs(text)
        elif kind == _MODEL:
            found[iid].models.append(ModelLink(text, Direction(whole), step))
        else:
            with_datasets.add(iid)
    for contents in found.values():
        contents.metrics.sort(key=_by_key)
        contents.models.sort(key=lambda link: (link.step, link.model_id))
    if with_datasets:
        for iid, datasets in inputs.datasets_of(connection, project_id, with_datasets).items():
            found[iid].datasets = datasets
    return found


def _part(kind: int, table: sa.Table, dialect: str, **columns: sa.ColumnElement[Any]) -> Query:
    shape: dict[str, sa.types.TypeEngine[Any]] = {
        "text": sa.Text(),
        "value": sa.Double(),
        "is_nan": sa.Boolean(),
        "whole": sa.BigInteger(),
        "step": sa.BigInteger(),
    }
    named = [
        (columns[name] if name in columns else sa.cast(sa.null(), kind_of)).label(name)
        for name, kind_of in shape.items()
    ]
    return sa.select(sa.literal_column(str(kind)).label("kind"), table.c.candidate_iid, *named).where(
        table.c.project_id == sa.bindparam("project_id"), is_in(table.c.candidate_iid, "candidate_iids", dialect)
    )


def _as_json(table: sa.Table, dialect: str) -> sa.ColumnElement[str]:
    """Gather keys and values, by key: SQLite walks over them in that order, since it is their table's."""
    key, value = _JSON_NAMES
    members: tuple[sa.ColumnElement[Any], ...] = (key, table.c.key, value, table.c.value)
    if dialect == "postgresql":
        ordered = postgresql.aggregate_order_by(sa.func.json_build_object(*members), table.c.key.collate("C"))
        return sa.cast(sa.func.json_agg(ordered), sa.Text)
    return sa.func.json_group_array(sa.func.json_object(*members))


def _all(dialect: str) -> sa.CompoundSelect[Any]:
    latest, name, model = schema.latest_metric, schema.metric_key, schema.candidate_model
    of_name = (name.c.project_id == latest.c.project_id) & (name.c.id == latest.c.key_id)
    points = _part(
        _METRIC,
        latest,
        dialect,
        text=name.c.name,
        value=latest.c.value,
        is_nan=latest.c.is_nan,
        whole=latest.c.timestamp_ms,
        step=latest.c.step,
    ).join(name, of_name)
    params, tags = (
        _part(kind, table, dialect, text=_as_json(table, dialect)).group_by(table.c.candidate_iid)
        for kind, table in ((_PARAM, schema.param), (_TAG, schema.candidate_tag))
    )
    models = _part(_MODEL, model, dialect, text=model.c.model_id, whole=model.c.direction, step=model.c.step)
    return sa.union_all(points, params, tags, _part(_DATASET, schema.candidate_dataset, dialect), models)


_ALL = Prepared(_all)

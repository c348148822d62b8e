"""What was logged to candidates, in one statement: a page of a search costs the same whatever was logged to its runs.

Five statements cost 50 us each on SQLite and a round trip each on PostgreSQL, more than their rows.
"""

from collections.abc import Callable, Iterable, Mapping
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


Columns = sa.ColumnCollection[str, Any]
Shown = Mapping[str, sa.ColumnElement[Any]]


def _part(kind: int, table: sa.Table, dialect: str, shown: Callable[[Columns], Shown]) -> Query:
    """Select what a table holds of the candidates, in the shape that all parts share; `shown` makes its columns."""
    of: Columns
    if dialect == "postgresql":
        # One look a candidate, in the order of the primary key: without statistics (a table is new, or has just grown)
        # PostgreSQL takes an index in which the candidate stands last for as good, and reads all of a project.
        wanted = sa.func.unnest(sa.cast(sa.bindparam("candidate_iids"), postgresql.ARRAY(sa.BigInteger)))
        one = wanted.table_valued("iid").render_derived()
        each = sa.select(table).where(table.c.project_id == sa.bindparam("project_id"))
        rows = each.where(table.c.candidate_iid == one.c.iid).order_by(*table.primary_key).lateral()
        query, of = sa.select().select_from(one.join(rows, sa.true())), rows.c
    else:
        query, of = sa.select().select_from(table), table.c
        query = query.where(
            of["project_id"] == sa.bindparam("project_id"), is_in(of["candidate_iid"], "candidate_iids", dialect)
        )
    shape: dict[str, sa.types.TypeEngine[Any]] = {
        "text": sa.Text(),
        "value": sa.Double(),
        "is_nan": sa.Boolean(),
        "whole": sa.BigInteger(),
        "step": sa.BigInteger(),
    }
    given = shown(of)
    columns = [given[name] if name in given else sa.cast(sa.null(), type_) for name, type_ in shape.items()]
    named = [column.label(name) for name, column in zip(shape, columns, strict=True)]
    return query.add_columns(sa.literal_column(str(kind)).label("kind"), of["candidate_iid"], *named)


def _gathered(kind: int, table: sa.Table, dialect: str) -> Query:
    """Gather keys and values as JSON, by key: SQLite walks over them in that order, since it is their table's."""
    key: sa.ColumnElement[str] = sa.literal_column("'key'")
    value: sa.ColumnElement[str] = sa.literal_column("'value'")

    def shown(of: Columns) -> Shown:
        members = (key, of["key"], value, of["value"])
        if dialect == "postgresql":
            ordered = postgresql.aggregate_order_by(sa.func.json_build_object(*members), of["key"])
            return {"text": sa.cast(sa.func.json_agg(ordered), sa.Text)}
        return {"text": sa.func.json_group_array(sa.func.json_object(*members))}

    query = _part(kind, table, dialect, shown)
    return query.group_by(query.selected_columns.candidate_iid)


def _points(dialect: str) -> Query:
    key = schema.metric_key.c

    def named(of: Columns) -> sa.ColumnElement[bool]:
        return sa.and_(key.project_id == of["project_id"], key.id == of["key_id"])

    def shown(of: Columns) -> Shown:
        # No join on PostgreSQL: without statistics it reads all names of the project for each point.
        text = sa.select(key.name).where(named(of)).scalar_subquery() if dialect == "postgresql" else key.name
        return {
            "text": text,
            "value": of["value"],
            "is_nan": of["is_nan"],
            "whole": of["timestamp_ms"],
            "step": of["step"],
        }

    points = _part(_METRIC, schema.latest_metric, dialect, shown)
    return points if dialect == "postgresql" else points.where(named(schema.latest_metric.c))


def _all(dialect: str) -> sa.CompoundSelect[Any]:
    def model(of: Columns) -> Shown:
        return {"text": of["model_id"], "whole": of["direction"], "step": of["step"]}

    return sa.union_all(
        _points(dialect),
        _gathered(_PARAM, schema.param, dialect),
        _gathered(_TAG, schema.candidate_tag, dialect),
        _part(_DATASET, schema.candidate_dataset, dialect, lambda _of: {}),
        _part(_MODEL, schema.candidate_model, dialect, model),
    )


_ALL = Prepared(_all)

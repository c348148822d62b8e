"""What was logged to candidates, in two statements: a page of a search costs the same whatever was logged to its runs.

Five statements would cost 50 us each on SQLite and a round trip each on PostgreSQL, more than reading the rows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.pairs import NONE, Pairs
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Query, Statement, is_in
from mltrail_server.store.db.transaction import Transaction

from . import inputs, metric_keys
from .inputs import Dataset, Direction, ModelLink
from .metrics import NAN

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

    def with_amendments(self, others: "Contents") -> "Contents":
        """Add what others have logged under keys that the candidate's own jobs have not. Its tags include theirs
        already.
        """
        own_metrics, own_params = {point.key for point in self.metrics}, {key for key, _ in self.params}
        own_data = {(one.name, one.digest) for one in self.datasets}
        own_models = {(link.model_id, link.direction) for link in self.models}
        new_params = [(key, value) for key, value in others.params if key not in own_params]
        return Contents(
            sorted([*self.metrics, *(point for point in others.metrics if point.key not in own_metrics)], key=_by_key),
            Pairs.of(sorted([*self.params, *new_params])) if new_params else self.params,
            self.tags,
            [*self.datasets, *(one for one in others.datasets if (one.name, one.digest) not in own_data)],
            [*self.models, *(link for link in others.models if (link.model_id, link.direction) not in own_models)],
        )


def of(tx: Transaction, candidate_iids: Iterable[int]) -> dict[int, Contents]:
    """Fetch what was logged to each of the candidates. Takes one more statement if there are metrics, and two more if
    datasets were used.
    """
    iids = list(candidate_iids)
    found = {iid: Contents() for iid in iids}
    with_datasets = set()
    rows = tx.all(_ALL, candidate_iids=tx.listed(iids))
    # A join costs more than looking each name up once; without statistics PostgreSQL would read all names of the
    # project for each point.
    names = metric_keys.names_of(tx, {row[3] for row in rows if row[0] == _METRIC})
    for kind, iid, text, number, value, is_nan, whole, step in rows:
        if kind == _METRIC:
            found[iid].metrics.append(Point(names[number], NAN if is_nan else value, whole, step))
        elif kind == _PARAM:
            found[iid].params = Pairs(text) if text else NONE
        elif kind == _TAG:
            found[iid].tags = Pairs(text) if text else NONE
        elif kind == _MODEL:
            found[iid].models.append(ModelLink(text, Direction(whole), step))
        else:
            with_datasets.add(iid)
    for contents in found.values():
        contents.metrics.sort(key=_by_key)
        contents.models.sort(key=lambda link: (link.step, link.model_id))
    if with_datasets:
        for iid, datasets in inputs.datasets_of(tx, with_datasets).items():
            found[iid].datasets = datasets
    return found


Columns = sa.ColumnCollection[str, Any]
Shown = Mapping[str, sa.ColumnElement[Any]]


def _wanted() -> sa.TableValuedAlias:
    """Return the requested candidates as a table for PostgreSQL, which then looks up what was logged to each.

    Without statistics (a table is new, or has just grown) PostgreSQL considers an index whose last column is the
    candidate as good as the primary key, and reads a whole project; with the key's order in the query it does not.
    """
    wanted = sa.func.unnest(sa.cast(sa.bindparam("candidate_iids"), postgresql.ARRAY(sa.BigInteger)))
    return wanted.table_valued("iid").render_derived()


def _of(table: sa.Table, wanted: sa.TableValuedAlias, *columns: sa.Column[Any]) -> Query:
    where = (table.c.project_id == sa.bindparam("project_id"), table.c.candidate_iid == wanted.c.iid)
    return sa.select(*columns).where(*where).order_by(*table.primary_key).correlate(wanted)


def _part(kind: int, table: sa.Table, dialect: str, shown: Callable[[Columns], Shown]) -> Query:
    """Select what a table holds of the candidates, in the shape that all parts share; `shown` makes its columns."""
    if dialect == "postgresql":
        wanted = _wanted()
        rows = _of(table, wanted, *table.c).lateral()
        query = sa.select().select_from(wanted.join(rows, sa.true()))
        return query.add_columns(*_shape(kind, rows.c.candidate_iid, shown(rows.c)))
    query = sa.select(*_shape(kind, table.c.candidate_iid, shown(table.c)))
    in_project = table.c.project_id == sa.bindparam("project_id")
    return query.where(in_project, is_in(table.c.candidate_iid, "candidate_iids", dialect))


def _gathered(kind: int, table: sa.Table, dialect: str) -> Query:
    """Gather keys and values as JSON, by key: SQLite walks over them in that order, since it is their table's."""
    if dialect == "postgresql":
        wanted = _wanted()
        pair = _of(table, wanted, table.c.key, table.c.value).subquery("pair")
        gathered = sa.func.json_agg(pair.table_valued())
        of_one = sa.select(sa.cast(gathered, sa.Text)).select_from(pair).scalar_subquery()
        return sa.select(*_shape(kind, wanted.c.iid, {"text": of_one}))
    key: sa.ColumnElement[str] = sa.literal_column("'key'")
    value: sa.ColumnElement[str] = sa.literal_column("'value'")
    text = sa.func.json_group_array(sa.func.json_object(key, table.c.key, value, table.c.value))
    return _part(kind, table, dialect, lambda _of: {"text": text}).group_by(table.c.candidate_iid)


def _shape(kind: int, iid: sa.ColumnElement[int], given: Shown) -> list[sa.ColumnElement[Any]]:
    types: dict[str, sa.types.TypeEngine[Any]] = {
        "text": sa.Text(),
        "number": sa.BigInteger(),
        "value": sa.Double(),
        "is_nan": sa.Boolean(),
        "whole": sa.BigInteger(),
        "step": sa.BigInteger(),
    }
    columns = [(given[name] if name in given else sa.cast(sa.null(), one)).label(name) for name, one in types.items()]
    return [sa.literal_column(str(kind)).label("kind"), iid.label("candidate_iid"), *columns]


def _all(dialect: str) -> sa.CompoundSelect[Any]:
    def point(of: Columns) -> Shown:
        value = {"value": of["value"], "is_nan": of["is_nan"]}
        return {"number": of["key_id"], **value, "whole": of["timestamp_ms"], "step": of["step"]}

    def model(of: Columns) -> Shown:
        return {"text": of["model_id"], "whole": of["direction"], "step": of["step"]}

    return sa.union_all(
        _part(_METRIC, schema.latest_metric, dialect, point),
        _gathered(_PARAM, schema.param, dialect),
        _gathered(_TAG, schema.candidate_tag, dialect),
        _part(_DATASET, schema.candidate_dataset, dialect, lambda _of: {}),
        _part(_MODEL, schema.candidate_model, dialect, model),
    )


_ALL = Statement(_all)

"""What was logged to candidates, as columns beside their numbers: a page of a search costs the same whatever was logged
to its runs, and takes no statement of its own.

Five statements would cost 50 us each on SQLite and a round trip each on PostgreSQL, more than reading the rows.
"""

import json
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mltrail_server.domain.latest import Latest, Row
from mltrail_server.domain.pairs import NONE, Pairs
from mltrail_server.later import later
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement, is_in
from mltrail_server.store.db.transaction import Transaction

from . import gathered, inputs, metric_keys
from .candidates import COLUMNS, Candidate, candidate_of
from .inputs import Dataset, Direction, ModelLink
from .metric_keys import MetricKeyCache
from .metrics import NAN

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite
else:
    postgresql, sqlite = later("sqlalchemy.dialects", "postgresql", "sqlite")  # a server uses one of them

_LATEST, _DATASET, _MODEL = schema.latest_metric, schema.candidate_dataset, schema.candidate_model
_PROJECT = re.compile(r":project_id\b|%\(project_id\)s(::BIGINT)?")
_PACKED = struct.Struct(">qdqq")
"""Latest values as PostgreSQL sends them: key, value, time, step. It takes PostgreSQL and this process half of the time
that rows would, and a third of what JSON would, for which PostgreSQL would have to look up each name."""


@dataclass(slots=True)
class Contents:
    """The latest value of each metric, parameters and tags by key; inputs and outputs."""

    metrics: Latest = field(default_factory=Latest)
    params: Pairs = NONE
    tags: Pairs = NONE
    datasets: list[Dataset] = field(default_factory=list)
    models: list[ModelLink] = field(default_factory=list)

    def with_amendments(self, others: "Contents") -> "Contents":
        """Add what others have logged under keys that the candidate's own jobs have not. Its tags include theirs
        already.
        """
        own_params = {key for key, _ in self.params}
        own_data = {(one.name, one.digest) for one in self.datasets}
        own_models = {(link.model_id, link.direction) for link in self.models}
        new_params = [(key, value) for key, value in others.params if key not in own_params]
        return Contents(
            self.metrics.and_new(others.metrics.rows),
            Pairs.of(sorted([*self.params, *new_params])) if new_params else self.params,
            self.tags,
            [*self.datasets, *(one for one in others.datasets if (one.name, one.digest) not in own_data)],
            [*self.models, *(link for link in others.models if (link.model_id, link.direction) not in own_models)],
        )


def of(tx: Transaction, candidate_iids: Iterable[int], *, keys: MetricKeyCache | None = None) -> dict[int, Contents]:
    """Fetch what was logged to each of the candidates. Takes one more statement if there are metrics whose names are
    not in `keys`, another on SQLite for the metrics, and two if datasets were used.
    """
    iids = list(candidate_iids)
    rows = tx.all(_ALL, candidate_iids=tx.listed(iids))
    return read(tx, [(row[0], row[1:]) for row in rows], keys=keys)


def of_eid(tx: Transaction, eid: str, *, keys: MetricKeyCache | None = None) -> tuple[Candidate, Contents] | None:
    """Find a candidate by its MLflow run id, with what was logged to it; see `of` for what it takes."""
    row = tx.one(_BY_EID, eid=eid)
    if row is None:
        return None
    candidate = candidate_of(row)
    return candidate, read(tx, [(candidate.iid, row[-WIDTH:])], keys=keys)[candidate.iid]


def columns(iid: sa.ColumnElement[int], dialect: str) -> list[sa.ColumnElement[Any]]:
    """Return the columns that `read` takes, for a query of candidates by their number; `project_id` is a parameter.

    Rows are read in their key's order. Without statistics (a table is new, or has just grown) PostgreSQL considers an
    index whose last column is the candidate as good as the primary key, and would read a whole project; with the key's
    order in the query it does not.
    """

    def owned(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
        return table.c.project_id == sa.bindparam("project_id"), table.c.candidate_iid == iid

    used = sa.select(_DATASET.c.dataset_id).where(*owned(_DATASET)).order_by(*_DATASET.primary_key)
    used_of = used.correlate_except(_DATASET).subquery()
    return [
        _packed(owned(_LATEST), dialect).label("packed"),
        gathered.pairs(schema.param, dialect, *owned(schema.param)).label("params"),
        gathered.pairs(schema.candidate_tag, dialect, *owned(schema.candidate_tag)).label("tags"),
        sa.select(sa.func.count()).select_from(used_of).scalar_subquery().label("used_datasets"),
        gathered.arrays(_MODEL, [_MODEL.c.step, _MODEL.c.model_id, _MODEL.c.direction], dialect, *owned(_MODEL)).label(
            "models"
        ),
    ]


WIDTH = 5
"""How many columns they are."""


@cache
def beside_page(dialect: str) -> sa.TextClause:
    """Return the same columns, for a query of candidates that is called `page`.

    As text, which is written once: SQLAlchemy takes longer to build them than both databases to read a page.
    """
    made: sa.Dialect = sqlite.dialect(paramstyle="named") if dialect == "sqlite" else postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's
    text = str(sa.select(*columns(sa.literal_column("page.iid"), dialect)).compile(dialect=made))
    return sa.text(_PROJECT.sub("CAST(:project_id AS BIGINT)", text.removeprefix("SELECT ")))


def read(
    tx: Transaction, rows: Iterable[tuple[int, Sequence[Any]]], *, keys: MetricKeyCache | None = None
) -> dict[int, Contents]:
    """Read the columns of some candidates; see `of` for what it takes."""
    found: dict[int, Contents] = {}
    packed: dict[int, bytes | None] = {}
    with_datasets = []
    for iid, (metrics, params, tags, used, models) in rows:
        packed[iid] = metrics
        found[iid] = contents = Contents(params=Pairs(params) if params else NONE, tags=Pairs(tags) if tags else NONE)
        if used:
            with_datasets.append(iid)
        if models and models != "[]":
            linked = sorted(json.loads(models))
            contents.models = [ModelLink(model, Direction(direction), step) for step, model, direction in linked]
    for iid, latest in _latest(tx, packed, keys).items():
        found[iid].metrics = latest
    if with_datasets:
        for iid, datasets in inputs.datasets_of(tx, with_datasets).items():
            found[iid].datasets = datasets
    return found


def _latest(tx: Transaction, packed: Mapping[int, bytes | None], keys: MetricKeyCache | None) -> dict[int, Latest]:
    found: dict[int, list[Row]] = {}
    if tx.dialect == "sqlite":
        rows = tx.all(_ROWS, candidate_iids=tx.listed(list(packed)))
        names = metric_keys.names_of(tx, {row[1] for row in rows}, known=keys)
        found = {iid: [] for iid in packed}
        # Each row is made once: a page has thousands.
        for iid, number, value, at, step in rows:
            found[iid].append((names[number], NAN if value is None else value, at, step))
    else:
        stored = {iid: list(_PACKED.iter_unpack(one)) for iid, one in packed.items() if one}
        names = metric_keys.names_of(tx, {row[0] for rows in stored.values() for row in rows}, known=keys)
        for iid, unpacked in stored.items():
            found[iid] = [(names[number], value, at, step) for number, value, at, step in unpacked]
    return {iid: Latest(sorted(rows)) for iid, rows in found.items()}


def _packed(owned: Sequence[sa.ColumnElement[bool]], dialect: str) -> sa.ColumnElement[bytes]:
    if dialect == "sqlite":
        return sa.cast(sa.null(), sa.LargeBinary)
    value = sa.case((_LATEST.c.is_nan, sa.literal_column("'NaN'::float8")), else_=_LATEST.c.value).label("value")
    columns = (_LATEST.c.key_id, value, _LATEST.c.timestamp_ms, _LATEST.c.step)
    found = sa.select(*columns).where(*owned).order_by(*_LATEST.primary_key).correlate_except(_LATEST).subquery()
    row: sa.ColumnElement[bytes] = sa.func.int8send(found.c.key_id, type_=sa.LargeBinary)
    for part in (
        sa.func.float8send(found.c.value),
        sa.func.int8send(found.c.timestamp_ms),
        sa.func.int8send(found.c.step),
    ):
        row = row.op("||")(part)
    packed = sa.func.string_agg(row, sa.literal_column("''::bytea"), type_=sa.LargeBinary)
    return sa.select(packed).scalar_subquery()


def _all(dialect: str) -> sa.Select[Any]:
    if dialect == "postgresql":
        numbers = sa.cast(sa.bindparam("candidate_iids"), postgresql.ARRAY(sa.BigInteger))
        wanted = sa.func.unnest(numbers).table_valued("iid").render_derived()
        return sa.select(wanted.c.iid, *columns(wanted.c.iid, dialect))
    each = sa.func.json_each(sa.bindparam("candidate_iids")).table_valued("value")
    return sa.select(each.c.value, *columns(each.c.value, dialect))


_ALL = Statement(_all)
_BY_EID = Statement(
    lambda dialect: sa.select(*COLUMNS, *columns(schema.candidate.c.iid, dialect)).where(
        schema.candidate.c.project_id == sa.bindparam("project_id"), schema.candidate.c.eid == sa.bindparam("eid")
    )
)
_ROWS = Statement(
    lambda dialect: sa.select(
        _LATEST.c.candidate_iid,
        _LATEST.c.key_id,
        sa.case((~_LATEST.c.is_nan, _LATEST.c.value)),
        _LATEST.c.timestamp_ms,
        _LATEST.c.step,
    ).where(
        _LATEST.c.project_id == sa.bindparam("project_id"), is_in(_LATEST.c.candidate_iid, "candidate_iids", dialect)
    )
)

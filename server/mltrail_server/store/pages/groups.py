"""What groups of candidates are made of: one value, or all parameters, and the latest values of some metrics.

Lists of candidates are sent as one value, since thousands of parameters take longer to send than the rows to find.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.ci.jobs import JobPart
from mltrail_server.store.db.planner import unindexed
from mltrail_server.store.db.statements import Statement, is_in
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking.metric_keys import find, names_of
from mltrail_server.store.tracking.metrics import NAN

_LATEST = schema.latest_metric
_LINK = schema.candidate_job
_JOB = schema.job
_OWNED: sa.BindParameter[int] = sa.bindparam("project_id")


@dataclass(frozen=True, slots=True)
class MadeBy:
    """The job that created a candidate."""

    job_name: str | None
    job_status: str | None
    pipeline_id: int


def values(tx: Transaction, candidate_iids: Sequence[int], key: str, *, of_tags: bool) -> dict[int, str]:
    """Fetch a parameter or a tag of candidates."""
    statement = _VALUES[schema.candidate_tag.name if of_tags else schema.param.name]
    return dict(tx.all(statement, key=key, iids=tx.listed(candidate_iids)))


def params(tx: Transaction, candidate_iids: Sequence[int], *, most: int) -> tuple[dict[int, dict[str, str]], bool]:
    """Fetch all parameters of candidates, from the highest number on, and whether these are all. Of more than `most`
    rows, the candidates are left out that they don't reach.
    """
    found: dict[int, dict[str, str]] = {iid: {} for iid in candidate_iids}
    rows = tx.all(_PARAMS, iids=tx.listed(candidate_iids), most=most + 1)
    for iid, key, value in rows:
        found[iid][key] = value
    if len(rows) <= most:
        return found, True
    reached = rows[-1][0]
    return {iid: pairs for iid, pairs in found.items() if iid > reached}, False


def metrics(tx: Transaction, candidate_iids: Sequence[int], names: Collection[str]) -> dict[str, dict[int, float]]:
    """Fetch the latest values of some metrics, each by candidate."""
    numbers = {number: name for name, number in find(tx, names).items()}
    found: dict[str, dict[int, float]] = {name: {} for name in names}
    if numbers:
        wanted = {"iids": tx.listed(candidate_iids), "keys": tx.listed(list(numbers))}
        for iid, key, value, is_nan in tx.all(_METRICS, **wanted):
            found[numbers[key]][iid] = NAN if is_nan else value
    return found


def all_metrics(tx: Transaction, candidate_iids: Sequence[int], *, most: int) -> dict[int, dict[str, float]]:
    """Fetch the latest values of all metrics of candidates, but of no more candidates than `most` rows describe. Two
    statements.
    """
    rows = tx.all(_ALL_METRICS, iids=tx.listed(candidate_iids), most=most + 1)
    whole = rows if len(rows) <= most else [row for row in rows if row[0] != rows[-1][0]]
    names = names_of(tx, {key for _, key, _, _ in whole})
    found: dict[int, dict[str, float]] = {}
    for iid, key, value, is_nan in whole:
        found.setdefault(iid, {})[names[key]] = NAN if is_nan else value
    return found


def made_by(tx: Transaction, candidate_iids: Sequence[int]) -> dict[int, MadeBy]:
    """Fetch what created candidates, if a job did; a verified job comes before one that is only claimed."""
    rows = tx.all(_MADE_BY, part=JobPart.CREATOR, iids=tx.listed(candidate_iids))
    return {iid: MadeBy(*rest) for iid, *rest in rows}


@cache
def _value_of(table: sa.Table, dialect: str) -> sa.Select[int, str]:
    return sa.select(table.c.candidate_iid, table.c.value).where(
        table.c.project_id == _OWNED,
        is_in(table.c.candidate_iid, "iids", dialect),
        unindexed(table.c.key) == sa.bindparam("key"),
    )


def _values_of(table: sa.Table) -> Statement:
    return Statement(lambda dialect: _value_of(table, dialect), name=f"pages.groups.{table.name}")


_VALUES = {table.name: _values_of(table) for table in (schema.param, schema.candidate_tag)}

_PARAMS = Statement(
    lambda dialect: (
        sa.select(schema.param.c.candidate_iid, schema.param.c.key, schema.param.c.value)
        .where(schema.param.c.project_id == _OWNED, is_in(schema.param.c.candidate_iid, "iids", dialect))
        .order_by(schema.param.c.candidate_iid.desc())
        .limit(sa.bindparam("most"))
    )
)

_METRICS = Statement(
    lambda dialect: sa.select(_LATEST.c.candidate_iid, _LATEST.c.key_id, _LATEST.c.value, _LATEST.c.is_nan).where(
        _LATEST.c.project_id == _OWNED,
        is_in(_LATEST.c.candidate_iid, "iids", dialect),
        is_in(unindexed(_LATEST.c.key_id), "keys", dialect),
    )
)

_ALL_METRICS = Statement(
    lambda dialect: (
        sa.select(_LATEST.c.candidate_iid, _LATEST.c.key_id, _LATEST.c.value, _LATEST.c.is_nan)
        .where(_LATEST.c.project_id == _OWNED, is_in(_LATEST.c.candidate_iid, "iids", dialect))
        .order_by(_LATEST.c.candidate_iid.desc())
        .limit(sa.bindparam("most"))
    )
)

_MADE_BY = Statement(
    lambda dialect: (
        sa.select(_LINK.c.candidate_iid, _JOB.c.name, _JOB.c.status, _LINK.c.pipeline_id)
        .outerjoin(_JOB, sa.and_(_JOB.c.project_id == _LINK.c.project_id, _JOB.c.id == _LINK.c.job_id))
        .where(
            _LINK.c.project_id == _OWNED,
            _LINK.c.part == sa.bindparam("part"),
            is_in(_LINK.c.candidate_iid, "iids", dialect),
        )
        .order_by(_LINK.c.verified)
    )
)

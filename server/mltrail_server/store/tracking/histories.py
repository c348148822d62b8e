"""Histories of one metric over several candidates, thinned out for charts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

from . import metric_keys, metrics

_T = schema.metric


def bulk(tx: Transaction, candidate_iids: Sequence[int], key: str, *, limit: int) -> list[tuple[int, Point]]:
    """Fetch the points of several candidates, by candidate, then as `metrics.history` orders them."""
    return _points(tx, candidate_iids, key, limit=limit)


def at_steps(tx: Transaction, candidate_iids: Sequence[int], key: str, steps: Iterable[int]) -> list[tuple[int, Point]]:
    """Fetch the points at some steps, by candidate, then by step."""
    return _points(tx, candidate_iids, key, steps=list(steps))


def steps_of(tx: Transaction, candidate_iids: Sequence[int], key: str) -> dict[int, list[int]]:
    """Fetch the steps at which each candidate has logged the metric, in order."""
    number = metric_keys.find(tx, [key]).get(key)
    if number is None:
        return {}
    query = sa.select(_T.c.candidate_iid, _T.c.step).where(*_of(tx.project_id, candidate_iids, number)).distinct()
    found: dict[int, list[int]] = {}
    for iid, step in tx.execute(query.order_by(_T.c.candidate_iid, _T.c.step)):
        found.setdefault(iid, []).append(step)
    return found


def candidates_with(tx: Transaction, candidate_iids: Sequence[int], key: str) -> set[int]:
    """Return the candidates that have logged a metric."""
    number = metric_keys.find(tx, [key]).get(key)
    if number is None:
        return set()
    latest = schema.latest_metric
    query = sa.select(latest.c.candidate_iid).where(
        latest.c.project_id == tx.project_id, latest.c.candidate_iid.in_(candidate_iids), latest.c.key_id == number
    )
    return set(tx.execute(query).scalars())


def _points(
    tx: Transaction,
    candidate_iids: Sequence[int],
    key: str,
    *,
    steps: list[int] | None = None,
    limit: int | None = None,
) -> list[tuple[int, Point]]:
    number = metric_keys.find(tx, [key]).get(key)
    if number is None:
        return []
    order = (_T.c.timestamp_ms, _T.c.step, _T.c.value) if steps is None else (_T.c.step, _T.c.timestamp_ms, _T.c.value)
    query = sa.select(_T.c.candidate_iid, _T.c.value, _T.c.is_nan, _T.c.timestamp_ms, _T.c.step)
    query = query.where(*_of(tx.project_id, candidate_iids, number))
    if steps is not None:
        query = query.where(_T.c.step.in_(steps))
    rows = tx.execute(query.order_by(_T.c.candidate_iid, *order).limit(limit))
    return [(iid, Point(key, metrics.NAN if is_nan else value, at, step)) for iid, value, is_nan, at, step in rows]


def _of(project_id: ProjectId, candidate_iids: Sequence[int], number: int) -> tuple[sa.ColumnElement[bool], ...]:
    return _T.c.project_id == project_id, _T.c.candidate_iid.in_(candidate_iids), _T.c.key_id == number


class CurveAxis(StrEnum):
    STEP = "step"
    TIME = "time"

    @property
    def column(self) -> sa.Column[int]:
        return _T.c.step if self is CurveAxis.STEP else _T.c.timestamp_ms


@dataclass(frozen=True, slots=True)
class Extent:
    """How many numbers a candidate has logged, how many NaN, and the range of the numbers on the axis."""

    candidate_iid: int
    count: int
    nans: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """The points of one candidate that fall into one part of the axis."""

    candidate_iid: int
    first: int
    last: int
    lowest: float
    highest: float


def extents(tx: Transaction, candidate_iids: Sequence[int], key_id: int, axis: CurveAxis) -> list[Extent]:
    number = sa.case((_T.c.is_nan, None), else_=axis.column)
    query = (
        sa.select(
            _T.c.candidate_iid,
            sa.func.count(number),
            sa.func.count() - sa.func.count(number),
            sa.func.min(number),
            sa.func.max(number),
        )
        .where(*_of_key(tx.project_id, candidate_iids, key_id))
        .group_by(_T.c.candidate_iid)
    )
    rows = tx.execute(query)
    return [Extent(iid, count, nans, low or 0, high or 0) for iid, count, nans, low, high in rows]


def points(
    tx: Transaction, candidate_iids: Sequence[int], key_id: int, axis: CurveAxis
) -> list[tuple[int, int, float]]:
    """Fetch all points except NaN: candidate, place on the axis, value."""
    query = sa.select(_T.c.candidate_iid, axis.column, _T.c.value)
    query = query.where(*_of_key(tx.project_id, candidate_iids, key_id), ~_T.c.is_nan)
    rows = tx.execute(query.order_by(_T.c.candidate_iid, axis.column, _T.c.timestamp_ms))
    return [(iid, place, value) for iid, place, value in rows]


def buckets(
    tx: Transaction, candidate_iids: Sequence[int], key_id: int, axis: CurveAxis, *, low: int, width: float
) -> list[Bucket]:
    """Fetch the lowest and the highest value of each part of the axis, which are `width` long and begin at `low`.

    As floating point, since a client may log steps whose difference no integer holds.
    """
    place = (sa.cast(axis.column, sa.Double) - float(low)) / float(width)
    number = sa.cast(place, sa.BigInteger).label("part")
    query = (
        sa.select(
            _T.c.candidate_iid,
            number,
            sa.func.min(axis.column),
            sa.func.max(axis.column),
            sa.func.min(_T.c.value),
            sa.func.max(_T.c.value),
        )
        .where(*_of_key(tx.project_id, candidate_iids, key_id), ~_T.c.is_nan)
        .group_by(_T.c.candidate_iid, number)
        .order_by(_T.c.candidate_iid, number)
    )
    return [Bucket(iid, *rest) for iid, _, *rest in tx.execute(query)]


def _of_key(project_id: ProjectId, candidate_iids: Sequence[int], key_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return _T.c.project_id == project_id, _T.c.candidate_iid.in_(candidate_iids), _T.c.key_id == key_id

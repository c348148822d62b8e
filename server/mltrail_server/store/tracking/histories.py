"""Histories of one metric over several candidates, thinned out for charts."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import sqlalchemy as sa

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

from . import metric_keys, metrics

_T = schema.metric


def bulk(tx: Transaction, candidate_iids: Sequence[int], key: str, *, limit: int) -> list[tuple[int, Point]]:
    """Fetch the points of several candidates, by candidate, then as `history_pages` orders them."""
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
    """`TIME` is the time since the run's start, `WALL` the time of day; both are in milliseconds."""

    STEP = "step"
    TIME = "time"
    WALL = "wall"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the values of some candidates are on the horizontal axis. `origins` are subtracted from times, by the
    number that values are stored under; `low` and `high` limit the part of the axis that is read.
    """

    axis: CurveAxis
    origins: Mapping[int, int] = field(default_factory=dict)
    low: int | None = None
    high: int | None = None

    @property
    def column(self) -> sa.ColumnElement[int]:
        if self.axis is CurveAxis.STEP:
            return _T.c.step
        return _T.c.timestamp_ms - _lookup(sorted(self.origins.items())) if self.origins else _T.c.timestamp_ms

    def inside(self) -> list[sa.ColumnElement[bool]]:
        low = [] if self.low is None else [self.column >= self.low]
        return low if self.high is None else [*low, self.column <= self.high]


def _lookup(pairs: Sequence[tuple[int, int]]) -> sa.ColumnElement[int]:
    """Look a candidate's origin up by halves: a hundred comparisons a value would take longer than reading it."""
    if len({origin for _, origin in pairs}) == 1:
        return sa.literal(pairs[0][1], sa.BigInteger)
    middle = len(pairs) // 2
    return sa.case((_T.c.candidate_iid < pairs[middle][0], _lookup(pairs[:middle])), else_=_lookup(pairs[middle:]))


@dataclass(frozen=True, slots=True)
class Extent:
    """How many finite numbers a candidate has logged of a metric, how many NaN and infinities, and where the numbers
    are on the axis.
    """

    number: int
    key_id: int
    count: int
    nans: int
    infinite: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """The values of one candidate that fall into one part of the axis. There is no mean, lowest and highest if none of
    them is finite.
    """

    number: int
    key_id: int
    part: int
    first: int
    last: int
    mean: float | None
    lowest: float | None
    highest: float | None


# MLflow stores infinities as the largest numbers.
_FINITE = ~_T.c.is_nan & (_T.c.value < sys.float_info.max) & (_T.c.value > -sys.float_info.max)
_VALUE = sa.case((_FINITE, _T.c.value))
# PostgreSQL refuses a sum that is too large for a number.
_SUMMED = sa.case((_FINITE & (sa.func.abs(_T.c.value) < 1e290), _T.c.value))


def extents(tx: Transaction, numbers: Sequence[int], key_ids: Sequence[int], places: Places) -> list[Extent]:
    place = sa.case((_FINITE, places.column))
    query = (
        sa.select(
            _T.c.candidate_iid,
            _T.c.key_id,
            sa.func.count(place),
            sa.func.count(sa.case((_T.c.is_nan, 1))),
            sa.func.count(),
            sa.func.min(place),
            sa.func.max(place),
        )
        .where(*_of_keys(tx.project_id, numbers, key_ids), *places.inside())
        .group_by(_T.c.candidate_iid, _T.c.key_id)
    )
    return [
        Extent(number, key_id, count, nans, all_of_them - count - nans, low or 0, high or 0)
        for number, key_id, count, nans, all_of_them, low, high in tx.execute(query)
    ]


def points(
    tx: Transaction, numbers: Sequence[int], key_ids: Sequence[int], places: Places
) -> list[tuple[int, int, int, float | None]]:
    """Fetch all points: candidate, metric, place on the axis, and the value, None if it is not finite."""
    query = sa.select(_T.c.candidate_iid, _T.c.key_id, places.column, _VALUE)
    query = query.where(*_of_keys(tx.project_id, numbers, key_ids), *places.inside())
    rows = tx.execute(query.order_by(_T.c.candidate_iid, _T.c.key_id, places.column, _T.c.timestamp_ms))
    return [(number, key_id, place, value) for number, key_id, place, value in rows]


def buckets(
    tx: Transaction,
    numbers: Sequence[int],
    key_ids: Sequence[int],
    places: Places,
    *,
    parts: Mapping[int, tuple[int, float]],
    most: int,
) -> list[Bucket]:
    """Fetch the mean, the lowest and the highest value of each part of the axis; `parts` holds for each metric where
    the first one begins and how wide they are. What lies outside of the `most` parts is left out: only gaps do.

    As floating point, since a client may log steps whose difference no integer holds.
    """
    low = sa.case({key_id: float(begin) for key_id, (begin, _) in parts.items()}, value=_T.c.key_id)
    width = sa.case({key_id: width for key_id, (_, width) in parts.items()}, value=_T.c.key_id)
    place = (sa.cast(places.column, sa.Double) - low) / width
    # A cast rounds in PostgreSQL and cuts in SQLite, which may have been built without `floor`.
    whole = sa.func.floor(place) if tx.dialect == "postgresql" else place
    part = sa.cast(whole, sa.BigInteger).label("part")
    total, counted = sa.func.sum(_SUMMED), sa.func.count(_SUMMED)
    query = (
        sa.select(
            _T.c.candidate_iid,
            _T.c.key_id,
            part,
            sa.func.min(places.column),
            sa.func.max(places.column),
            sa.func.coalesce(total / sa.func.nullif(counted, 0), sa.func.max(_VALUE)),
            sa.func.min(_VALUE),
            sa.func.max(_VALUE),
        )
        .where(*_of_keys(tx.project_id, numbers, key_ids), *places.inside(), place >= 0, place <= most)
        .group_by(_T.c.candidate_iid, _T.c.key_id, part)
        .order_by(_T.c.candidate_iid, _T.c.key_id, part)
    )
    return [Bucket(*row) for row in tx.execute(query)]


def every_value(
    tx: Transaction, numbers: Sequence[int], key_ids: Sequence[int], *, limit: int
) -> list[tuple[int, int, int, int, float]]:
    """Fetch all points, as they were logged: candidate, metric, step, time, value."""
    query = sa.select(_T.c.candidate_iid, _T.c.key_id, _T.c.step, _T.c.timestamp_ms, _T.c.value, _T.c.is_nan)
    query = query.where(*_of_keys(tx.project_id, numbers, key_ids))
    rows = tx.execute(
        query.order_by(_T.c.candidate_iid, _T.c.key_id, _T.c.step, _T.c.timestamp_ms, _T.c.value).limit(limit)
    )
    return [
        (number, key_id, step, at, metrics.NAN if is_nan else value) for number, key_id, step, at, value, is_nan in rows
    ]


def repeated(tx: Transaction, numbers: Sequence[int], key_ids: Sequence[int]) -> set[int]:
    """Return which of some metrics were logged more than once, by their numbers."""
    query = sa.select(_T.c.key_id).where(*_of_keys(tx.project_id, numbers, key_ids))
    counted = query.group_by(_T.c.candidate_iid, _T.c.key_id).having(sa.func.count() > 1)
    return set(tx.execute(counted).scalars())


def last_times(tx: Transaction, numbers: Sequence[int], key_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Fetch when each candidate has logged the value that counts as its latest, of each of some metrics."""
    latest = schema.latest_metric
    query = sa.select(latest.c.candidate_iid, latest.c.timestamp_ms).where(
        latest.c.project_id == tx.project_id, latest.c.candidate_iid.in_(numbers), latest.c.key_id.in_(key_ids)
    )
    return [(number, at) for number, at in tx.execute(query)]


def _of_keys(
    project_id: ProjectId, numbers: Sequence[int], key_ids: Sequence[int]
) -> tuple[sa.ColumnElement[bool], ...]:
    return _T.c.project_id == project_id, _T.c.candidate_iid.in_(numbers), _T.c.key_id.in_(key_ids)

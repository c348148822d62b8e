"""Metrics: the history of every value, and the latest one a key.

A call costs three statements, whatever the number of points: names to numbers, the history, the latest values; and
three more when some of the names are new.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.ids import ProjectId

from . import schema
from .sql import insert_for, next_number, upsert

_KEY = schema.metric_key
_T = schema.metric
_LATEST = schema.latest_metric
NAN = float("nan")
_ORDER = ("step", "timestamp_ms", "value")
"""What makes a value the latest. A NaN counts as the 0 that it is stored as, in MLflow too."""


def append(connection: sa.Connection, project_id: ProjectId, candidate_iid: int, points: Sequence[Point]) -> None:
    """Add points to the history, where an exact repetition is stored once, and keep the latest of each key."""
    if not points:
        return
    ids = key_ids(connection, project_id, {point.key for point in points}, create=True)
    rows = {(ids[point.key], point.step, point.timestamp_ms, *stored(point.value)): None for point in points}
    columns = ("key_id", "step", "timestamp_ms", "value", "is_nan")
    owner = {"project_id": project_id, "candidate_iid": candidate_iid}
    history: list[dict[str, Any]] = [owner | dict(zip(columns, row, strict=True)) for row in rows]
    upsert(connection, _T, history)
    latest: dict[int, dict[str, Any]] = {}
    for row in history:
        kept = latest.get(int(row["key_id"]))
        if kept is None or _place(row) > _place(kept):
            latest[int(row["key_id"])] = row
    _keep_latest(connection, list(latest.values()))


def latest_of(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int]
) -> dict[int, list[Point]]:
    """Fetch the latest values of several candidates in one statement, by key."""
    query = (
        sa.select(
            _LATEST.c.candidate_iid,
            _KEY.c.name,
            _LATEST.c.value,
            _LATEST.c.is_nan,
            _LATEST.c.timestamp_ms,
            _LATEST.c.step,
        )
        .join(_KEY, (_KEY.c.project_id == _LATEST.c.project_id) & (_KEY.c.id == _LATEST.c.key_id))
        .where(_LATEST.c.project_id == project_id, _LATEST.c.candidate_iid.in_(list(candidate_iids)))
        .order_by(_LATEST.c.candidate_iid, _KEY.c.name)
    )
    found: dict[int, list[Point]] = {}
    for iid, key, value, is_nan, timestamp_ms, step in connection.execute(query):
        found.setdefault(iid, []).append(Point(key, NAN if is_nan else value, timestamp_ms, step))
    return found


def history(
    connection: sa.Connection,
    project_id: ProjectId,
    candidate_iid: int,
    key: str,
    *,
    limit: int | None = None,
    after: tuple[int, int, float, bool] | None = None,
) -> list[Point]:
    """Fetch a metric's points by (timestamp, step, value, NaN or not); `after` is that of the last point seen."""
    ids = key_ids(connection, project_id, {key})
    if key not in ids:
        return []
    order = (_T.c.timestamp_ms, _T.c.step, _T.c.value, _T.c.is_nan)
    query = (
        sa.select(_T.c.value, _T.c.is_nan, _T.c.timestamp_ms, _T.c.step)
        .where(_T.c.project_id == project_id, _T.c.candidate_iid == candidate_iid, _T.c.key_id == ids[key])
        .order_by(*order)
        .limit(limit)
    )
    if after is not None:
        query = query.where(
            sa.tuple_(*order)
            > sa.tuple_(*(sa.literal(part, column.type) for part, column in zip(after, order, strict=True)))
        )
    return [Point(key, NAN if is_nan else value, at, step) for value, is_nan, at, step in connection.execute(query)]


def key_ids(
    connection: sa.Connection, project_id: ProjectId, names: set[str], *, create: bool = False
) -> dict[str, int]:
    """Look up the numbers of metric names; make those that are missing when `create` is set."""
    found = _known_ids(connection, project_id, names)
    missing = sorted(names - found.keys())
    if create and missing:
        first = next_number(connection, project_id, "metric_key", count=len(missing))
        rows = [{"project_id": project_id, "id": first + place, "name": name} for place, name in enumerate(missing)]
        insert = insert_for(connection, _KEY)
        # Another process may have made some since: then its numbers count, and ours stay unused.
        connection.execute(insert.on_conflict_do_nothing(index_elements=[_KEY.c.project_id, _KEY.c.name]), rows)
        found |= _known_ids(connection, project_id, missing)
    return found


def _known_ids(connection: sa.Connection, project_id: ProjectId, names: Iterable[str]) -> dict[str, int]:
    query = sa.select(_KEY.c.name, _KEY.c.id).where(_KEY.c.project_id == project_id, _KEY.c.name.in_(list(names)))
    return {row.name: row.id for row in connection.execute(query)}


def stored(value: float) -> tuple[float, bool]:
    """SQLite has no NaN: it stands as 0 beside a mark."""
    return (0.0, True) if value != value else (value, False)  # noqa: PLR0124 - only NaN differs from itself


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _ORDER)


def _keep_latest(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    insert = insert_for(connection, _LATEST)
    newer = sa.tuple_(*(insert.excluded[name] for name in _ORDER)) > sa.tuple_(*(_LATEST.c[name] for name in _ORDER))
    statement = insert.on_conflict_do_update(
        index_elements=[_LATEST.c.project_id, _LATEST.c.candidate_iid, _LATEST.c.key_id],
        set_={name: insert.excluded[name] for name in (*_ORDER, "is_nan")},
        where=newer,
    )
    connection.execute(statement, rows)

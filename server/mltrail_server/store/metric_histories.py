"""Histories of one metric over several candidates, as charts ask for them."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.ids import ProjectId

from . import metric_keys, metrics, schema

_T = schema.metric


def bulk(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Sequence[int], key: str, *, limit: int
) -> list[tuple[int, Point]]:
    """Fetch the points of several candidates, by candidate, then as `metrics.history` orders them."""
    return _points(connection, project_id, candidate_iids, key, limit=limit)


def at_steps(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Sequence[int], key: str, steps: Iterable[int]
) -> list[tuple[int, Point]]:
    """Fetch the points at some steps, by candidate, then by step."""
    return _points(connection, project_id, candidate_iids, key, steps=list(steps))


def steps_of(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Sequence[int], key: str
) -> dict[int, list[int]]:
    """Fetch the steps that each candidate has logged the metric at, in order."""
    number = metric_keys.find(connection, project_id, [key]).get(key)
    if number is None:
        return {}
    query = sa.select(_T.c.candidate_iid, _T.c.step).where(*_of(project_id, candidate_iids, number)).distinct()
    found: dict[int, list[int]] = {}
    for iid, step in connection.execute(query.order_by(_T.c.candidate_iid, _T.c.step)):
        found.setdefault(iid, []).append(step)
    return found


def having(connection: sa.Connection, project_id: ProjectId, candidate_iids: Sequence[int], key: str) -> set[int]:
    """Tell which candidates have logged a metric."""
    number = metric_keys.find(connection, project_id, [key]).get(key)
    if number is None:
        return set()
    latest = schema.latest_metric
    query = sa.select(latest.c.candidate_iid).where(
        latest.c.project_id == project_id, latest.c.candidate_iid.in_(candidate_iids), latest.c.key_id == number
    )
    return set(connection.execute(query).scalars())


def _points(
    connection: sa.Connection,
    project_id: ProjectId,
    candidate_iids: Sequence[int],
    key: str,
    *,
    steps: list[int] | None = None,
    limit: int | None = None,
) -> list[tuple[int, Point]]:
    number = metric_keys.find(connection, project_id, [key]).get(key)
    if number is None:
        return []
    order = (_T.c.timestamp_ms, _T.c.step, _T.c.value) if steps is None else (_T.c.step, _T.c.timestamp_ms, _T.c.value)
    query = sa.select(_T.c.candidate_iid, _T.c.value, _T.c.is_nan, _T.c.timestamp_ms, _T.c.step)
    query = query.where(*_of(project_id, candidate_iids, number))
    if steps is not None:
        query = query.where(_T.c.step.in_(steps))
    rows = connection.execute(query.order_by(_T.c.candidate_iid, *order).limit(limit))
    return [(iid, Point(key, metrics.NAN if is_nan else value, at, step)) for iid, value, is_nan, at, step in rows]


def _of(project_id: ProjectId, candidate_iids: Sequence[int], number: int) -> tuple[sa.ColumnElement[bool], ...]:
    return _T.c.project_id == project_id, _T.c.candidate_iid.in_(candidate_iids), _T.c.key_id == number

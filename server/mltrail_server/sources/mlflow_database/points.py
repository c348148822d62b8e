"""Metric histories of an MLflow database."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.transfer import Point, RunRecord

from .opening import Reading
from .tables import Tables

PAGE = 20_000
_MOST_RUNS = 500
_NAN = float("nan")
_run_of, _value_of = itemgetter(0), itemgetter(4)


class Points:
    """Reads histories: small ones of many runs at once, large ones in parts.

    Infinity comes as the largest number, as MLflow stores it.
    """

    def __init__(self, reading: Reading, tables: Tables) -> None:
        self._reading = reading
        metric = tables.table("metrics").c
        value = sa.case((metric.is_nan.is_(sa.true()), None), else_=metric.value)
        self._columns: tuple[sa.ColumnElement[Any], ...] = (
            metric.run_uuid,
            metric.key,
            metric.step,
            metric.timestamp,
            value,
        )
        self._run_id, self._key = metric.run_uuid, metric.key

    def of(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        """Return the points of these runs, one run after another. Those of a small run are sorted by key."""
        together: list[RunRecord] = []
        count = 0
        for run in runs:
            size = PAGE if run.points is None else run.points
            if together and (count + size > PAGE or len(together) == _MOST_RUNS):
                yield self._together(together)
                together, count = [], 0
            if size >= PAGE:
                yield from self._large(run.id)
            elif size:
                together.append(run)
                count += size
        if together:
            yield self._together(together)

    def _together(self, runs: list[RunRecord]) -> list[Point]:
        """Return the points of small runs. Those that came since they were counted are read, too."""
        statement = sa.select(*self._columns).where(self._run_id.in_([one.id for one in runs]))
        rows = _points(self._reading.tuples(statement.order_by(self._run_id, self._key), {}))
        found = {run_id: list(points) for run_id, points in groupby(rows, key=_run_of)}
        return [point for run in runs for point in found.get(run.id, ())]

    def _large(self, run_id: str) -> Iterator[list[Point]]:
        statement = sa.select(*self._columns).where(self._run_id == run_id)
        if not self._reading.is_sqlite:
            for rows in self._reading.streamed(statement, PAGE):
                yield _points(rows)
            return
        # The index on run_uuid holds its rows by rowid.
        rowid: sa.ColumnElement[int] = sa.literal_column("rowid")
        paged = statement.add_columns(rowid).where(rowid > sa.bindparam("after")).order_by(rowid).limit(PAGE)
        after = 0
        while rows := self._reading.tuples(paged, {"after": after}):
            after = rows[-1][-1]
            yield _points([row[:-1] for row in rows])


def _points(rows: list[tuple[Any, ...]]) -> list[Any]:
    if None not in map(_value_of, rows):
        return rows
    return [(*row[:4], _NAN) if row[4] is None else row for row in rows]

"""Metric histories of an MLflow database."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.transfer import Point, RunRecord

from .opening import Reading, Rows
from .tables import Tables

PAGE = 20_000
_MOST_RUNS = 500
_NAN = float("nan")


class Points:
    """Reads histories: small ones of many runs at once, large ones in parts.

    Infinity is the largest number here as in MLflow, which stores it so.
    """

    def __init__(self, reading: Reading, tables: Tables) -> None:
        self._reading = reading
        metric = tables.table("metrics").c
        columns = (metric.run_uuid, metric.key, metric.step, metric.timestamp, metric.value, metric.is_nan)
        self._columns: tuple[sa.ColumnElement[Any], ...] = columns
        self._run_id = metric.run_uuid

    def of(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        """Return the points of these runs, one run after another, each in the order in which they were stored, if the
        database can tell.
        """
        together: list[RunRecord] = []
        count = 0
        for run in runs:
            size = PAGE if run.points is None else run.points
            if together and (count + size > PAGE or len(together) == _MOST_RUNS):
                yield from self._together(together)
                together, count = [], 0
            if size >= PAGE:
                yield from self._large(run.id)
            elif size:
                together.append(run)
                count += size
        if together:
            yield from self._together(together)

    def _together(self, runs: list[RunRecord]) -> Iterator[list[Point]]:
        """Return the points of small runs. Those that came since they were counted are read, too."""
        statement = sa.select(*self._columns).where(self._run_id.in_([one.id for one in runs]))
        order = sa.text("rowid") if self._reading.is_sqlite else self._columns[3]
        found: dict[str, list[Point]] = defaultdict(list)
        for point in _points(self._reading.rows(statement.order_by(self._run_id, order))):
            found[point[0]].append(point)
        yield [point for run in runs for point in found.get(run.id, ())]

    def _large(self, run_id: str) -> Iterator[list[Point]]:
        statement = sa.select(*self._columns).where(self._run_id == run_id)
        if not self._reading.is_sqlite:
            for rows in self._reading.streamed(statement, {}, PAGE):
                yield _points(rows)
            return
        # The index on run_uuid holds its rows by rowid.
        rowid: sa.ColumnElement[int] = sa.literal_column("rowid")
        paged = statement.add_columns(rowid).where(rowid > sa.bindparam("after")).order_by(rowid).limit(PAGE)
        after = 0
        while rows := self._reading.rows(paged, {"after": after}):
            after = rows[-1][-1]
            yield _points([row[:-1] for row in rows])


def _points(rows: "Rows | list[Any]") -> list[Point]:
    return [
        (run_id, key, step, timestamp, _NAN if is_nan else value)
        for run_id, key, step, timestamp, value, is_nan in rows
    ]

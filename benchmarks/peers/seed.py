"""Many runs and one long history, inserted into each server's database as its own code would have.

By SQL for all of them: over their APIs the slowest would take hours.
"""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from .bases import Base

METRICS, PARAMS, TAGS = 20, 20, 5
POINTS = 100_000
_CHUNK = 20_000
_MLTRAIL_PROJECT = 1
STARTED = 1_700_000_000_000

Rows = tuple[str, str, list[tuple[Any, ...]]]
"""A table, its columns, and rows for it."""


@dataclass(frozen=True)
class Seeded:
    """Experiment ids by the number of their runs, and the run with the long history."""

    experiments: dict[int, str]
    history_run: str


def seed(base: Base, sizes: Sequence[int]) -> Seeded:
    random_ = random.Random(7)  # noqa: S311 - data, no secret
    table = _KINDS[base.kind](random_)
    experiments = {}
    for place, size in enumerate(sizes):
        number = 1000 + place
        experiments[size] = str(number)
        insert(base, table.experiment(number))
        for first in range(0, size, _CHUNK // 10):
            for rows in table.runs(number, range(first, min(first + _CHUNK // 10, size))):
                insert(base, rows)
    insert(base, table.experiment(999))
    run = ""
    for rows in table.runs(999, range(1)):
        run = run or str(rows[2][0][table.eid_at])
        insert(base, rows)
    for rows in table.history(run):
        insert(base, rows)
    for rows in table.end():
        insert(base, rows)
    if not base.database_url:
        with closing(sqlite3.connect(base.sqlite_file, timeout=60)) as connection:
            connection.execute("ANALYZE")  # PostgreSQL would do it by itself
    return Seeded(experiments, run)


def seed_points(base: Base, count: int) -> None:
    """Add metric points: ten keys of a hundred runs, at the steps of a training."""
    table = _KINDS[base.kind](random.Random(8))  # noqa: S311 - data, no secret
    for run in range(100):
        for rows in table.points(run, count // 100):
            insert(base, rows)


def insert(base: Base, rows: Rows) -> None:
    """Put rows into a server's database."""
    name, columns, values = rows
    if base.database_url:
        import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

        with psycopg.connect(base.database_url, autocommit=True) as server, server.cursor() as cursor:
            with cursor.copy(f"COPY {name} ({columns}) FROM STDIN") as copy:
                for row in values:
                    copy.write_row(row)
            cursor.execute(f"ANALYZE {name}")
        return
    with closing(sqlite3.connect(base.sqlite_file, timeout=60)) as connection, connection:
        marks = ", ".join("?" for _ in columns.split(","))
        connection.executemany(f"INSERT OR REPLACE INTO {name} ({columns}) VALUES ({marks})", values)  # noqa: S608


class _Mltrail:
    eid_at = 2

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._iid = 0

    def experiment(self, number: int) -> Rows:
        columns = "project_id, iid, name, stage, created_ms, updated_ms"
        return "experiment", columns, [(_MLTRAIL_PROJECT, number, f"of {number}", 0, 1, 1)]

    def runs(self, experiment: int, numbers: range) -> Iterator[Rows]:
        first = self._iid + 1
        self._iid += len(numbers)
        iids = range(first, first + len(numbers))
        owner = _MLTRAIL_PROJECT
        yield (
            "candidate",
            "project_id, iid, eid, experiment_iid, name, user_name, status, stage, started_ms, created_ms, promoted",
            [
                (owner, iid, _eid(self._random), experiment, f"run {iid}", "u", 3, 0, STARTED + iid, 1, False)
                for iid in iids
            ],
        )
        yield (
            "latest_metric",
            "project_id, candidate_iid, key_id, step, timestamp_ms, value, is_nan, unordered_appends",
            [(owner, iid, key + 1, 1, 1, self._random.random(), False, 0) for iid in iids for key in range(METRICS)],
        )
        yield (
            "param",
            "project_id, candidate_iid, key, value",
            [(owner, iid, f"p{key}", str(self._random.randrange(10))) for iid in iids for key in range(PARAMS)],
        )
        yield (
            "candidate_tag",
            "project_id, candidate_iid, key, value",
            [(owner, iid, f"t{key}", f"value of {key}") for iid in iids for key in range(TAGS)],
        )

    def points(self, run: int, count: int) -> Iterator[Rows]:
        columns = "project_id, candidate_iid, key_id, step, timestamp_ms, value, is_nan"
        # The newest runs have the highest numbers, also after those of `raw`: in front of these, pages of PostgreSQL's
        # index would be split in half, and a million points would take 222 MB instead of 161.
        iid = 60_000_000 + run
        yield (
            "metric",
            columns,
            [
                (_MLTRAIL_PROJECT, iid, key + 1, step, STARTED + step * 1000, self._random.random(), False)
                for key in range(10)
                for step in range(count // 10)
            ],
        )

    def history(self, _run: str) -> Iterator[Rows]:
        yield (
            "metric",
            "project_id, candidate_iid, key_id, step, timestamp_ms, value, is_nan",
            [
                (_MLTRAIL_PROJECT, self._iid, 1, step, 1_700_000_000_000 + step, step * 0.37, False)
                for step in range(POINTS)
            ],
        )

    def end(self) -> Iterator[Rows]:
        yield "metric_key", "project_id, id, name", [(_MLTRAIL_PROJECT, key + 1, f"m{key}") for key in range(METRICS)]
        counts = {"candidate": self._iid + 1, "experiment": 5000, "metric_key": METRICS}
        yield "counter", "project_id, name, value", [(_MLTRAIL_PROJECT, name, value) for name, value in counts.items()]


class _Mlflow:
    eid_at = 0
    params = "value"
    run_columns = "run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, experiment_id, source_type"
    metric_columns = "run_uuid, key, value, timestamp, step, is_nan"

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._row = 0

    def experiment(self, number: int) -> Rows:
        columns = "experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time"
        return "experiments", columns, [(number, f"of {number}", "file:///tmp/none", "active", 1, 1)]

    def runs(self, experiment: int, numbers: range) -> Iterator[Rows]:
        eids = [_eid(self._random) for _ in numbers]
        runs = [self.run(eid, experiment, STARTED + n) for n, eid in zip(numbers, eids, strict=True)]
        yield "runs", self.run_columns, runs
        values = [(eid, f"m{key}", self._random.random()) for eid in eids for key in range(METRICS)]
        yield "latest_metrics", self.metric_columns, [self.metric(*value, 1, 1) for value in values]
        yield (
            "params",
            f"run_uuid, key, {self.params}",
            [(eid, f"p{key}", str(self._random.randrange(10))) for eid in eids for key in range(PARAMS)],
        )
        yield (
            "tags",
            "run_uuid, key, value",
            [(eid, f"t{key}", f"value of {key}") for eid in eids for key in range(TAGS)],
        )

    def run(self, eid: str, experiment: int, started: int) -> tuple[Any, ...]:
        return (eid, "run", "u", "FINISHED", started, started + 1, "active", experiment, "UNKNOWN")

    def metric(self, eid: str, key: str, value: float, timestamp: int, step: int) -> tuple[Any, ...]:
        return (eid, key, value, timestamp, step, False)

    def points(self, _run: int, count: int) -> Iterator[Rows]:
        eid = _eid(self._random)
        yield "runs", self.run_columns, [self.run(eid, 999, STARTED)]
        yield (
            "metrics",
            self.metric_columns,
            [
                self.metric(eid, f"m{key}", self._random.random(), STARTED + step * 1000, step)
                for key in range(10)
                for step in range(count // 10)
            ],
        )

    def history(self, run: str) -> Iterator[Rows]:
        points = [self.metric(run, "m0", step * 0.37, 1_700_000_000_000 + step, step) for step in range(POINTS)]
        yield "metrics", self.metric_columns, points

    def end(self) -> Iterator[Rows]:
        yield from ()


class _FastTrackML(_Mlflow):
    params = "value_str"
    run_columns = _Mlflow.run_columns + ", artifact_uri, row_num"
    metric_columns = _Mlflow.metric_columns + ", context_id"

    def experiment(self, number: int) -> Rows:
        name, columns, [row] = super().experiment(number)
        return name, columns + ", namespace_id", [(*row, 1)]

    def run(self, eid: str, experiment: int, started: int) -> tuple[Any, ...]:
        self._row += 1
        return (*super().run(eid, experiment, started), "file:///tmp/none", self._row)

    def metric(self, eid: str, key: str, value: float, timestamp: int, step: int) -> tuple[Any, ...]:
        return (*super().metric(eid, key, value, timestamp, step), 1)


_KINDS: dict[str, Callable[[random.Random], "_Mltrail | _Mlflow"]] = {
    "mltrail": _Mltrail,
    "mlflow": _Mlflow,
    "fasttrackml": _FastTrackML,
}


def _eid(random_: random.Random) -> str:
    return f"{random_.getrandbits(128):032x}"


def now_ms() -> int:
    return int(time.time() * 1000)

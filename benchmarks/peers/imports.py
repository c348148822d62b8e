"""The import of an MLflow database, which no peer has: points a second, beside what the drivers alone take for it."""

import sqlite3
import tempfile
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

from benchmarks.import_database import create, measure

from .bases import Mlflow, Mltrail

NAME, UNIT = "import of an MLflow database", "points/s"
RUNS, POINTS = 5_000, 500_000
_CHUNK = 100_000
_FIRST = 10**9
_READ = "SELECT run_uuid, key, step, timestamp, value, is_nan FROM metrics ORDER BY run_uuid, key, step"
_COLUMNS = "project_id, candidate_iid, key_id, step, timestamp_ms, value, is_nan"


def imported(folder: Path, database_url: str = "") -> tuple[float, float]:
    """Return points a second of `mltrail-server import`, and of a loop that reads a point from one database and writes
    it to the other. A `database_url` must be that of an empty database.
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        source, base = Path(place) / "mlflow.db", Mltrail(Path(place), database_url=database_url)
        create(source, RUNS, POINTS, Mlflow.python)
        base.found_gitlab()
        try:
            found = measure(source, Path(place) / "data", ["--quiet"], base.environment())
        finally:
            base.stop()
        if found.code:
            raise RuntimeError(f"the import ended with {found.code}")
        return found.rate, _floor(source, base.sqlite_file, database_url)


def _floor(source: Path, target: Path, database_url: str) -> float:
    begun, written = time.perf_counter(), 0
    with closing(sqlite3.connect(source)) as reader:
        cursor = reader.execute(_READ)
        runs: dict[str, int] = {}
        keys: dict[str, int] = {}
        while rows := list(islice(cursor, _CHUNK)):
            points = [
                (
                    1,
                    10**9 + runs.setdefault(run, len(runs)),
                    keys.setdefault(key, len(keys)),
                    step,
                    at,
                    value,
                    bool(nan),
                )
                for run, key, step, at, value, nan in rows
            ]
            _write(target, database_url, points)
            written += len(points)
    return written / (time.perf_counter() - begun)


def _write(target: Path, database_url: str, points: list[tuple[object, ...]]) -> None:
    if database_url:
        import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

        into = f"COPY metric ({_COLUMNS}) FROM STDIN".encode()
        with psycopg.connect(database_url) as server, server.cursor() as cursor, cursor.copy(into) as copy:
            for point in points:
                copy.write_row(point)
        return
    with closing(sqlite3.connect(target)) as database, database:
        database.executemany(f"INSERT INTO metric ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", points)  # noqa: S608

"""How fast an MLflow database is imported, and in how much memory: `python -m benchmarks.import_database --help`.

MLflow itself (of `make client-envs`) creates the SQLite database, SQL fills it, and the real command imports it into a
new data folder.
"""

import argparse
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# ruff: noqa: S608 - a benchmark, whose SQL is made of its own numbers
from tests.clients.environments import ENVIRONMENTS

_START = 1_700_000_000_000
_KEYS = ("train/loss", "val/loss", "val/accuracy", "lr")
_EXPERIMENTS = 10
_TARGET_POINTS = 50_000
_TARGET_MB = 300
_CREATE = (
    "import sys; from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore; "
    "SqlAlchemyStore('sqlite:///' + sys.argv[1], sys.argv[2])"
)
_RUN_ID = "printf('%032x', n.value)"


@dataclass(frozen=True)
class Measured:
    """`waited_seconds` are those of `seconds` in which others had the processors."""

    seconds: float
    waited_seconds: float
    processor_seconds: float
    points: int
    peak_mb: float
    code: int

    @property
    def rate(self) -> float:
        """Points a second, by the clock on the wall."""
        return self.points / self.seconds

    @property
    def undisturbed_rate(self) -> float:
        """Points a second without the time that others took. For comparison on a busy machine, not for the target."""
        return self.points / (self.seconds - self.waited_seconds)


_PYTHON = ENVIRONMENTS / "mlflow-3" / "bin/python"


def create(path: Path, runs: int, points: int, python: Path = _PYTHON) -> None:
    """Create a database with this many runs and points, spread evenly, by the MLflow of an environment."""
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [python, "-c", _CREATE, path, path.parent / "mlruns"]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    steps = math.ceil(points / runs / len(_KEYS))
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    connection.execute("CREATE TEMP TABLE n (value INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO n VALUES (?)", ((number,) for number in range(1, runs + 1)))
    connection.execute("CREATE TEMP TABLE s (value INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO s VALUES (?)", ((number,) for number in range(steps)))
    connection.execute("CREATE TEMP TABLE k (key TEXT)")
    connection.executemany("INSERT INTO k VALUES (?)", ((key,) for key in _KEYS))
    for statement in _statements(steps):
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.close()


def _statements(steps: int) -> list[str]:
    """Return what fills the tables from those with the numbers of runs (n) and steps (s), and the keys (k)."""
    metric = f"""
        SELECT k.key, 1.0 / (1 + s.value + n.value % 7) + n.value * 1e-7, {_START} + n.value + s.value * 100,
        {_RUN_ID}, s.value, 0 FROM n, s, k
    """
    pair = f"""s.value, 'value ' || (n.value % 13) || '-' || s.value, {_RUN_ID} FROM n, s WHERE s.value"""
    columns = "(key, value, timestamp, run_uuid, step, is_nan)"
    experiments = f"""
        INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)
        SELECT value, 'experiment ' || value, './mlruns/' || value, 'active' FROM n WHERE value <= {_EXPERIMENTS}
    """
    runs = f"""
        INSERT INTO runs (run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri,
        experiment_id, source_type) SELECT {_RUN_ID}, 'run ' || n.value, 'ada', 'FINISHED', {_START} + n.value,
        {_START} + n.value + 60000, 'active', './mlruns/' || {_RUN_ID}, 1 + n.value % {_EXPERIMENTS}, 'UNKNOWN' FROM n
    """
    return [
        experiments,
        runs,
        f"INSERT INTO params (key, value, run_uuid) SELECT 'param ' || {pair} < 5",
        f"INSERT INTO tags (key, value, run_uuid) SELECT 'tag ' || {pair} < 3",
        f"INSERT INTO metrics {columns} {metric} ORDER BY n.value, s.value",
        f"INSERT INTO latest_metrics {columns} {metric} WHERE s.value = {steps - 1}",
    ]


def measure(path: Path, data: Path, options: list[str], settings: Mapping[str, str] | None = None) -> Measured:
    """Import into a new data folder by the command line. `settings` may name another database, which must be empty."""
    server = [sys.executable, "-m", "mltrail_server.cli"]
    settings = settings or {}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {**settings}
    migrate = [*server, "migrate", "--data-dir", data]
    subprocess.run(migrate, check=True, capture_output=True, env=environment)
    command = [*server, "import", "--from-database", path, "--project", "1", "--data-dir", data, "--json", *options]
    began = time.monotonic()
    with (data / "report.json").open("wb") as report:
        process = subprocess.Popen(command, stdout=report, env=environment)
    waited = peak = 0.0
    while True:
        waited = _waited_seconds(process.pid) or waited
        peak = max(peak, _peak_mb(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.1)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    processor = usage.ru_utime + usage.ru_stime
    stored = _stored_points(data, settings.get("MLTRAIL_DATABASE_URL", ""))
    return Measured(seconds, waited, processor, stored, peak, process.returncode)


def _waited_seconds(pid: int) -> float:
    """How long a process was ready to go on while all processors worked for others."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    try:
        return max((int(one.read_text().split()[1]) / 1e9 for one in threads), default=0.0)
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0.0


def _peak_mb(pid: int) -> float:
    """The most memory that a process had. Not from `wait4`, which also counts what its parent had."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0]) / 1024 if found else 0.0


def _stored_points(data: Path, database_url: str) -> int:
    if database_url:
        import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

        with psycopg.connect(database_url) as server:
            [row] = server.execute("SELECT COUNT(*) FROM metric").fetchall()
            return int(row[0])
    (database,) = data.glob("*.db")
    connection = sqlite3.connect(database)
    (count,) = connection.execute("SELECT COUNT(*) FROM metric").fetchone()
    connection.close()
    return int(count)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.import_database", description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the MLflow database there for the next time")
    parser.add_argument("--again", action="store_true", help="import a second time, which finds nothing new")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mltrail-benchmark-") as folder:
        kept = options.keep or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        path = kept / f"mlflow-{options.runs}-{options.points}.db"
        if not path.exists():
            began = time.monotonic()
            create(path, options.runs, options.points)
            print(
                f"made {path.name}, {path.stat().st_size / 1e6:,.0f} MB, in {time.monotonic() - began:.0f} s",
                flush=True,
            )
        data = Path(folder) / "data"
        found = measure(path, data, ["--quiet"])
        print(
            f"imported {options.runs:,} runs and {found.points:,} points in {found.seconds:.0f} s: {found.rate:,.0f} "
            f"points a second ({found.undisturbed_rate:,.0f} without the {found.waited_seconds:.0f} s that others "
            f"took); {found.processor_seconds:.0f} s of processor time, {found.peak_mb:.0f} MB of memory, "
            f"exit code {found.code}"
        )
        if options.again:
            second = measure(path, data, ["--quiet"])
            print(
                f"a second time in {second.seconds:.0f} s, {second.peak_mb:.0f} MB of memory, exit code {second.code}"
            )
    good = found.rate >= _TARGET_POINTS and found.peak_mb < _TARGET_MB and found.code == 0
    print(f"target: {_TARGET_POINTS:,} points a second in less than {_TARGET_MB} MB: {'met' if good else 'missed'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

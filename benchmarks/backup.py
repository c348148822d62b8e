"""How large a backup is, how long it takes, and what clients notice of it.

    .venv/bin/python -m benchmarks.backup
    .venv/bin/python -m benchmarks.backup --points 10000000 --files 20000 --rounds 5

An SQLite database with runs and their metric points, and files of 64 KB, are backed up while four clients log one
metric after the other to the server: first in full, then again and again with a few new files. Between two backups the
same clients are timed without one. The backup is a process of its own with a low priority, as it is at night.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import sqlalchemy as sa
import urllib3
from tests.e2e.processes import Server

from mltrail_server.store import schema
from mltrail_server.store.archives import rows
from mltrail_server.store.db import migrate
from mltrail_server.store.db.database import Database

T = TypeVar("T")

COMMAND = Path(sys.executable).parent / "mltrail-server"
TOKEN = "token-of-the-benchmark"  # noqa: S105 - of a server that lives for this benchmark
CLIENTS = 4
FILE_BYTES = 64 << 10
POINTS_OF_A_RUN = 10_000
NEW_FILES = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3, help="of backups with a few new files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data, backups = folder / "data", folder / "backups"
        fill(data, points=options.points)
        add_files(data, first=0, count=options.files)
        size = (data / "mltrail.db").stat().st_size
        print(
            f"database {size / 1e6:.0f} MB, {options.points:,} points; {options.files:,} files of {FILE_BYTES:,} bytes"
        )
        with Server.started(data, token=TOKEN) as server, Clients(server.url) as clients:
            seconds, made, during = clients.timed_with(lambda: back_up(data, backups))
            total = size + options.files * FILE_BYTES
            print(f"full: {seconds:.1f} s, {total / seconds / 1e6:.0f} MB/s, {made['new_bytes'] / 1e6:.0f} MB written")
            tell("log_metric during the full backup", during)
            with_one, without = [], []
            for number in range(options.rounds):
                add_files(data, first=options.files + number * NEW_FILES, count=NEW_FILES)
                seconds, made, during = clients.timed_with(lambda: back_up(data, backups))
                with_one += during
                without += clients.timed_with(partial(time.sleep, seconds))[2]
                print(f"incremental: {seconds:.1f} s, {made['new_files']} new files")
            tell("log_metric during incremental backups", with_one)
            tell("log_metric without one", without)
            print(f"p95 with a backup / without: {p95(with_one) / p95(without):.2f}")
        began = time.monotonic()
        subprocess.run([COMMAND, "restore", "--from", backups, "--data-dir", folder / "new", "--quiet"], check=True)
        print(f"restore with all digests: {time.monotonic() - began:.1f} s")


def fill(data: Path, *, points: int) -> None:
    """Make a database with runs of 10,000 points."""
    data.mkdir()
    database = Database(f"sqlite:///{data / 'mltrail.db'}")
    migrate.create(database)
    runs = range(1, points // POINTS_OF_A_RUN + 1)
    with database.write() as connection:
        write(connection, schema.project, [{"project_id": 1, "created_ms": 1}])
        write(connection, schema.metric_key, [{"project_id": 1, "id": 1, "name": "loss"}])
    for run in runs:
        with database.write() as connection:
            of = {"project_id": 1, "candidate_iid": 1_000_000 + run, "key_id": 1, "is_nan": False}
            written = (
                {**of, "step": step, "timestamp_ms": 1_700_000_000_000 + step, "value": 1 / (step + run)}
                for step in range(POINTS_OF_A_RUN)
            )
            write(connection, schema.metric, list(written))
    database.dispose()


def add_files(data: Path, *, first: int, count: int) -> None:
    """Add files as the server does: bytes first, then blob and name in one transaction."""
    database = Database(f"sqlite:///{data / 'mltrail.db'}")
    blobs, names = [], []
    for number in range(first, first + count):
        content = hashlib.shake_256(str(number).encode()).digest(FILE_BYTES)
        blob_id = hashlib.md5(content, usedforsecurity=False).hexdigest()
        path = data / "artifacts" / "1" / blob_id[:2] / blob_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        blobs.append({"project_id": 1, "id": blob_id, "size": FILE_BYTES, "sha256": digest, "created_ms": 1})
        names.append({"project_id": 1, "path": f"1/seed/artifacts/{number}", "blob_id": blob_id})
    with database.write() as connection:
        write(connection, schema.blob, blobs)
        write(connection, schema.file, names)
    database.dispose()


def write(connection: sa.Connection, table: sa.Table, found: list[dict[str, object]]) -> None:
    columns = [column.name for column in rows.columns(table)]
    rows.write(connection, table, [tuple(row.get(name) for name in columns) for row in found])


def back_up(data: Path, backups: Path) -> dict[str, int]:
    command = ["nice", "-n", "10", COMMAND, "backup", "--to", backups, "--data-dir", data, "--json", "--quiet"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    found: dict[str, int] = json.loads(done.stdout)
    return found


class Clients:
    """Log one metric after the other while the block runs, and note how long each call took, in seconds."""

    def __init__(self, url: str) -> None:
        self._base = f"{url}/api/v4/projects/1/ml/mlflow/api/2.0/mlflow"
        self._stop = threading.Event()
        self._taken: list[float] = []
        self._pool = ThreadPoolExecutor(CLIENTS)

    def __enter__(self) -> Self:
        self._futures = [self._pool.submit(self._work) for _ in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for future in self._futures:
            future.result()
        self._pool.shutdown()

    def timed_with(self, work: Callable[[], T]) -> tuple[float, T, list[float]]:
        """Do the work, and return how long it took, its result, and the calls meanwhile."""
        first, began = len(self._taken), time.monotonic()
        result = work()
        return time.monotonic() - began, result, self._taken[first:]

    def _work(self) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        pool = urllib3.PoolManager(maxsize=1)
        made = pool.request("POST", f"{self._base}/runs/create", headers=headers, json={"experiment_id": "0"})
        run_id, step = made.json()["run"]["info"]["run_id"], 0
        while not self._stop.is_set():
            step += 1
            body = {"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": step, "step": step}
            began = time.perf_counter()
            answer = pool.request("POST", f"{self._base}/runs/log-metric", headers=headers, json=body)
            self._taken.append(time.perf_counter() - began)
            if answer.status != 200:
                raise RuntimeError(answer.data)
            time.sleep(0.005)  # a training step


def p95(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=20)[-1]


def tell(what: str, taken: list[float]) -> None:
    print(
        f"{what}: {len(taken):,} calls, median {statistics.median(taken) * 1000:.1f} ms, p95 {p95(taken) * 1000:.1f} ms"
    )


if __name__ == "__main__":
    main()

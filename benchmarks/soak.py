"""Load for several minutes: clients train one run after the other, then read back everything that was acknowledged.

    python -m benchmarks.soak --minutes 10 --clients 32 --backend postgresql

It starts a server of its own, with ID tokens and beside the stand-in for GitLab, and a database of its own. It fails on
any error, on anything lost, doubled or halved, and when the server's memory grows. The tests in tests/faults
are its short relatives.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.load import Load
from tests.postgresql import Cluster
from tests.team_server import TeamServer

SAMPLE_SECONDS = 5.0
MOST_GROWTH = 1.15
"""Between the second fifth of the time and the last; before that, caches and pools are filling."""


@contextmanager
def database(backend: str) -> Iterator[str]:
    if backend == "sqlite":
        yield ""
        return
    with Cluster.started("shared_buffers=256MB", durable=True) as cluster:
        cluster.run("CREATE DATABASE mltrail")
        yield cluster.url("mltrail")


def megabytes(pids: list[int]) -> float:
    """The proportional memory of processes (PSS)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--backend", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    memory = []
    with (
        tempfile.TemporaryDirectory() as folder,
        database(options.backend) as url,
        TeamServer(Path(folder), database_url=url, workers=options.workers) as server,
    ):
        load = Load(server.tracking_uri, server.token())
        tick = threading.Event()
        with load.running(options.clients):
            began = time.monotonic()
            while time.monotonic() - began < options.minutes * 60:
                load.wait_for(1)
                tick.wait(SAMPLE_SECONDS)
                memory.append(megabytes(server.all_processes()))
        seconds = time.monotonic() - began
        batches = load.check()
        internal = server.log.read_text().count("internal error")
    fifth = max(1, len(memory) // 5)
    first, last = statistics.median(memory[fifth : 2 * fifth + 1]), statistics.median(memory[-fifth:])
    print(
        f"{options.backend}: {batches:,} batches of {len(load.trainings):,} runs by {options.clients} clients in "
        f"{seconds:.0f} s, {batches / seconds:.0f} a second; nothing lost, doubled or halved; {load.failed} calls "
        f"without an answer, {internal} internal errors; memory {first:.0f} MB, at the end {last:.0f} MB"
    )
    if load.failed or internal or last > first * MOST_GROWTH:
        sys.exit("There were errors, or memory grows.")


if __name__ == "__main__":
    main()

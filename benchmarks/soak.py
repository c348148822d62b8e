"""Load for several minutes: clients train one run after the other, then read back everything that was acknowledged.

    python -m benchmarks.soak --minutes 10 --clients 32 --postgresql --kill

It starts a server of its own, with ID tokens and beside the stand-in for GitLab, and a database of its own. It fails on
any error, on anything lost, doubled or halved, and when the server's memory grows. With `--kill`, web processes, the
worker and PostgreSQL are killed (`kill -9`) in turns, every half minute: then clients see calls without an answer, and
send again. The tests in tests/faults are its short relatives.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.load import Load
from tests.postgresql import Cluster
from tests.team_server import TeamServer

SAMPLE_SECONDS = 5.0
MOST_GROWTH = 1.15
"""Between the second fifth of the time and the last; before that, caches and pools are filling."""


KILL_SECONDS = 30.0


@contextmanager
def database(*, postgresql: bool) -> Iterator[Cluster | None]:
    """Start a PostgreSQL with a database named mltrail, if it is not SQLite's turn."""
    if not postgresql:
        yield None
        return
    with Cluster.started("shared_buffers=256MB", durable=True) as cluster:
        cluster.run("CREATE DATABASE mltrail")
        yield cluster


def victims(server: TeamServer, cluster: Cluster | None) -> Iterator[tuple[str, Callable[[], None]]]:
    """Name what can be killed, in turns and without an end, with what kills it."""

    def restart() -> None:
        if cluster is not None:
            cluster.kill()
            cluster.start()

    kinds = {"a web process": lambda: server.kill("web"), "the worker": lambda: server.kill("worker")}
    return itertools.cycle((kinds | ({"PostgreSQL": restart} if cluster is not None else {})).items())


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
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    parser.add_argument("--kill", action="store_true", help="kill processes meanwhile")
    options = parser.parse_args()
    memory, killed = [], 0
    with (
        tempfile.TemporaryDirectory() as folder,
        database(postgresql=options.postgresql) as cluster,
        TeamServer(
            Path(folder), database_url=cluster.url("mltrail") if cluster else "", workers=options.workers
        ) as server,
    ):
        load = Load(server.tracking_uri, server.token())
        tick, next_victims = threading.Event(), victims(server, cluster)
        with load.running(options.clients):
            began = time.monotonic()
            while (passed := time.monotonic() - began) < options.minutes * 60:
                load.wait_for(1)
                tick.wait(SAMPLE_SECONDS)
                memory.append(megabytes(server.all_processes()))
                if options.kill and passed > KILL_SECONDS * (killed + 1):
                    name, kill = next(next_victims)
                    kill()
                    killed += 1
                    print(f"{passed:6.0f} s  killed {name} after {load.acknowledged:,} batches", flush=True)
            load.wait_for(1)
        seconds = time.monotonic() - began
        batches = load.check()
        internal = server.log.read_text().count("internal error")
    fifth = max(1, len(memory) // 5)
    first, last = statistics.median(memory[fifth : 2 * fifth + 1]), statistics.median(memory[-fifth:])
    backend = "PostgreSQL" if options.postgresql else "SQLite"
    print(
        f"{backend}: {batches:,} batches of {len(load.trainings):,} runs by {options.clients} clients in "
        f"{seconds:.0f} s, {batches / seconds:.0f} a second; nothing lost, doubled or halved; {killed} kills, "
        f"{load.failed} calls without an answer, {internal} internal errors; memory {first:.0f} MB, at the end "
        f"{last:.0f} MB"
    )
    # A killed process takes calls with it, and its successor begins with little memory.
    if internal or (not killed and (load.failed or last > first * MOST_GROWTH)):
        sys.exit("There were errors, or memory grows.")


if __name__ == "__main__":
    main()

"""Who is ahead on other machines: `python -m benchmarks.machines --help`.

mltrail, `mlflow server` and FastTrackML (which is always one process) take turns with 1, 2 and 4 web processes; on
PostgreSQL also with 2 and a database that answers each round trip 0.2, 0.5 and 1 ms later, as one on another machine
does.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.peers import databases
from benchmarks.peers.bases import free_port
from benchmarks.peers.comparison import PEERS, Comparison
from benchmarks.peers.environments import make
from benchmarks.peers.items import Item, items
from benchmarks.peers.plot import drawn
from benchmarks.peers.table import written

from .wire import wire

SIZE = 1_000
ITEMS = (
    "create run, 1 client",
    "log-metric, 1 client",
    "log-metric, 32 clients",
    "log-batch of 1,000 metrics, 1 client",
    "get run (100 metrics, 100 params), 1 client",
    f"search {SIZE:,}: newest",
)
PROCESSES = (1, 2, 4)
DELAYS_MS = (0.2, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machines", description=__doc__)
    databases.add_option(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each item, server and round")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--mlflow", type=Path, metavar="PYTHON", help="of an environment with another MLflow")
    parser.add_argument("--write", type=Path, help="write table, picture and figures into this folder")
    options = parser.parse_args()
    make(options.mlflow)
    chosen = [item for item in items([SIZE]) if item.name in ITEMS]
    found = Comparison(chosen, [SIZE], seconds=options.seconds, floors=False)
    measured: list[Item] = []
    with databases.server(options.postgresql) as url, tempfile.TemporaryDirectory(prefix="mltrail-bench-") as folder:
        try:
            found.begin(Path(folder), options.peers.split(","), url=url, local=False)
            for workers in PROCESSES:
                found.restart(workers)
                where = "1 web process" if workers == 1 else f"{workers} web processes"
                measured += _turns(found, chosen, where, options.rounds)
            for delay in DELAYS_MS if url else ():
                with _delayed(found, delay):
                    found.restart(2)
                    measured += _turns(found, chosen, f"database {delay:g} ms away", options.rounds)
        finally:
            found.end()
    found.items = sorted(measured, key=lambda item: [item.name.startswith(one) for one in ITEMS], reverse=True)
    print(written(found))
    if options.write:
        _write(options.write, "postgresql" if options.postgresql else "sqlite", found)


def _turns(found: Comparison, chosen: Sequence[Item], where: str, rounds: int) -> list[Item]:
    """Measure all items, which are named by where it was."""
    found.items = [replace(item, name=f"{item.name}, {where}") for item in chosen]
    for number in range(rounds):
        found.turn(number)
    return list(found.items)


@contextmanager
def _delayed(found: Comparison, milliseconds: float) -> Iterator[None]:
    """Move the servers' databases away, and note how much longer they really take."""
    before = [(bench.base, bench.base.database_url) for bench in found.benches]
    with ExitStack() as stack:
        for base, url in before:
            base.database_url, added = stack.enter_context(wire(url, free_port(), milliseconds))
            found.facts[f"database {milliseconds:g} ms away: added to SELECT 1, ms"][base.kind] = [added]
        yield
    for base, url in before:
        base.database_url = url


def _write(folder: Path, backend: str, found: Comparison) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"machines-{backend}.md").write_text(written(found))
    (folder / f"performance-machines-{backend}.svg").write_text(drawn(found))
    raw = {name: getattr(found, name) for name in ("rates", "medians", "p99s", "facts", "failures")}
    (folder / f"machines-{backend}.json").write_text(json.dumps(raw, indent=1) + "\n")


if __name__ == "__main__":
    main()

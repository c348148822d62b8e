"""Compare mltrail with `mlflow server` and FastTrackML: `python -m benchmarks.peers --help`.

Each server runs in its best configuration that was found. They take turns item by item, in another order each round,
so that what else the machine does falls on all of them alike. Trust the ratios, not the absolutes.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

from . import mix, size
from .bases import Base, FastTrackML, Mlflow, Mltrail
from .environments import make
from .items import Bench, Item, items
from .load import LoadError
from .plot import drawn
from .seed import seed
from .table import written

PEERS: tuple[type[Base], ...] = (Mltrail, Mlflow, FastTrackML)
Figures = dict[str, dict[str, list[float]]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each item, server and round")
    parser.add_argument("--sizes", default="1000,10000,100000", help="experiments of so many runs to search in")
    parser.add_argument("--postgresql", metavar="URL", help="a server to make three databases in, instead of SQLite")
    parser.add_argument("--only", default="", help="items whose name holds this")
    parser.add_argument("--peers", default="mltrail,mlflow,fasttrackml")
    parser.add_argument("--write", type=Path, help="write table and figures into this folder")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    make()
    folder = Path(tempfile.mkdtemp(prefix="mltrail-bench-"))
    wanted = [kind for kind in PEERS if kind.kind in options.peers.split(",")]
    bases = [kind(folder / kind.kind, database_url=_database(options.postgresql, kind.kind)) for kind in wanted]
    try:
        figures, facts = _measured(bases, sizes, options)
    finally:
        for base in bases:
            base.stop()
        shutil.rmtree(folder)
    chosen = [item for item in items(sizes) if options.only in item.name]
    print(written(chosen, figures, facts))
    if options.write:
        backend = "postgresql" if options.postgresql else "sqlite"
        options.write.mkdir(parents=True, exist_ok=True)
        (options.write / f"{backend}.md").write_text(written(chosen, figures, facts))
        (options.write / f"{backend}.svg").write_text(drawn(chosen, figures))
        raw = json.dumps({"figures": figures, "facts": facts}, indent=1)
        (options.write / f"{backend}.json").write_text(raw + "\n")


def _measured(bases: list[Base], sizes: list[int], options: argparse.Namespace) -> tuple[Figures, dict[str, Any]]:
    facts: dict[str, Any] = defaultdict(dict)
    benches = []
    for base in bases:
        base.start()
        facts["first answer after start, s"][base.kind] = [base.start_seconds]
        bench = Bench(base, seed(base, sizes))
        bench.prepare()
        benches.append(bench)
    figures: Figures = defaultdict(lambda: defaultdict(list))
    chosen = [item for item in items(sizes) if options.only in item.name]
    for turn in range(options.rounds):
        order = benches[turn % len(benches) :] + benches[: turn % len(benches)]
        for item, bench in product(chosen, order):
            if not item.only or bench.base.kind in item.only:
                _note(figures, item, bench, options.seconds)
        if not options.only:
            for bench in order:
                _note_trainings(facts, bench)
    for bench in benches:
        facts["memory after the work, MB"][bench.base.kind] = [bench.base.memory()]
        if not options.only:
            facts["a million metric points, MB"][bench.base.kind] = [size.of_points(bench.base)]
            megabytes, packages = size.of_installation(bench.base.kind)
            facts["installed, MB"][bench.base.kind] = [megabytes]
            facts["installed, packages"][bench.base.kind] = [packages]
    return figures, facts


def _note(figures: Figures, item: Item, bench: Bench, seconds: float) -> None:
    try:
        sample = item.measure(bench, seconds)
    except LoadError as error:
        # It happens to peers: then the figure is missing, and this says why.
        print(f"{bench.base.name}, {item.name}: {error}", file=sys.stderr)
        return
    figures[item.name][bench.base.kind].append(item.rate(bench, sample))
    for share in (0.5, 0.99):
        figures[f"{item.name}, p{share * 100:.0f} ms"][bench.base.kind].append(sample.quantile(share))


def _note_trainings(facts: dict[str, Any], bench: Bench) -> None:
    mixed, felt = mix.ci_mix(bench), mix.training_loops(bench)
    for name, value in (
        ("32 jobs at once, s", mixed.seconds),
        ("32 jobs at once, p99 of a call, ms", mixed.quantile(0.99)),
        ("what training feels, p99 a step, ms", felt.quantile(0.99)),
    ):
        facts[name].setdefault(bench.base.kind, []).append(value)


def _database(server: str | None, name: str) -> str:
    """Create an empty database; everything else on the server is left alone."""
    if not server:
        return ""
    import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

    name = f"mltrail_bench_{name}"
    with psycopg.connect(f"{server.rstrip('/')}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server.rstrip('/')}/{name}"


if __name__ == "__main__":
    main()

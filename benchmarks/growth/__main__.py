"""What calls cost as the work that a server holds grows: `python -m benchmarks.growth --help`.

For each size (points, runs, experiments, projects, metrics of a run, points of a metric) three databases that differ
in nothing else are filled by SQL and served side by side, and take turns. It prints which calls grow faster than the
logarithm of the size. The processor time of PostgreSQL is known only if it runs on this machine.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.peers import databases
from benchmarks.peers.bases import MLTRAIL, Mltrail, processes_below, processor_seconds
from benchmarks.peers.items import Bench
from benchmarks.peers.load import load
from benchmarks.peers.seed import Seeded

from .calls import calls
from .fill import EXPERIMENT, fill, large_eid
from .results import Cost, Costs, drawn, growing, summary, written
from .sizes import Axis, Sizes, axes, number

_READY = "filled"
_BEGUN = time.monotonic()


class Grown(Mltrail):
    """A server on a database of certain sizes, whose projects GitLab knows."""

    sizes: Sizes

    def start(self) -> None:
        super().start()
        if self.gitlab is not None and self.sizes.projects > 1 and not self._known:
            for other in range(2, self.sizes.projects + 1):
                self.gitlab.add_project(f"team/p{other}", id=other)
            self._known = True

    _known = False

    def migrate(self) -> None:
        """Migrate a database from an earlier run to this version's schema."""
        self.found_gitlab()
        with (self.folder / "log").open("ab") as log:
            command = [str(MLTRAIL), "migrate"]
            subprocess.run(command, env=self.whole_environment(), check=True, stdout=log, stderr=log)

    def database_seconds(self) -> float:
        """Measure the processor time of PostgreSQL, with that of connections which have ended."""
        if not self.postmaster:
            return 0.0
        ended = Path(f"/proc/{self.postmaster}/stat").read_text().rpartition(")")[2].split()[13:15]
        seconds = sum(map(int, ended)) / os.sysconf("SC_CLK_TCK")
        return seconds + sum(processor_seconds(pid) for pid in processes_below(self.postmaster))

    postmaster = 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    databases.add_option(parser)
    parser.add_argument("--only", default="", help="these sizes, e.g. points,runs")
    parser.add_argument(
        "--most", type=number, default=10**12, metavar="SIZE", help="no larger sizes than this, e.g. 10M"
    )
    parser.add_argument("--calls", default="", help="only calls whose name holds this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.4, help="of each call, database and round")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the databases for the next time")
    parser.add_argument("--write", type=Path, help="write tables, picture and figures into this folder")
    options = parser.parse_args()
    if options.keep and options.postgresql == "own":
        parser.error("--keep needs the URL of a PostgreSQL that stays")
    chosen = list(axes(options.only, options.most))
    measured: list[tuple[Axis, Costs]] = []
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mltrail-growth-")))
        minimal = ("wal_level=minimal", "max_wal_senders=0", "max_wal_size=16GB")
        url = stack.enter_context(databases.server(options.postgresql, *minimal))
        for axis in chosen:
            bases = [_made(folder.absolute(), sizes, url) for sizes in axis.databases()]
            with _running(bases) as benches:
                measured.append((axis, _measured(axis, benches, options)))
            if not options.keep:
                _remove(bases, url)
            print(written(axis, measured[-1][1]), flush=True)
    found = [line for axis, costs in measured for line in growing(axis, costs)]
    print("Faster than the logarithm:", *(found or ["nothing"]), sep="\n  ")
    if options.write:
        _write(options.write, "postgresql" if url else "sqlite", measured, found)


def _made(folder: Path, sizes: Sizes, url: str) -> Grown:
    """Return a server on a database of these sizes, filled now or before."""
    backend = "postgresql" if url else "sqlite"
    name = f"growth_{sizes.label.replace('-', '_')}"
    place = folder / backend / sizes.label
    ready = place / _READY
    if not databases.exists(url, name):
        ready.unlink(missing_ok=True)
    database_url = databases.database(url, name, keep=ready.exists())
    base = Grown(place, database_url=database_url)
    base.sizes = sizes
    if not ready.exists():
        begun = time.monotonic()
        shutil.rmtree(place, ignore_errors=True)
        base.start()
        base.stop()
        fill(base, sizes)
        ready.touch()
        _say(f"{backend} {sizes.label}: filled in {time.monotonic() - begun:.0f} s")
    else:
        base.migrate()
    # What was added to the tables since, or is kept beside them.
    base.start()
    base.stop()
    return base


@contextmanager
def _running(bases: Sequence[Grown]) -> Iterator[list[Bench]]:
    with ExitStack() as stack:
        benches = []
        for base in bases:
            base.start()
            stack.callback(base.stop)
            base.postmaster = databases.postmaster(base.database_url)
            benches.append(Bench(base, Seeded({}, large_eid()), experiment=str(EXPERIMENT)))
        yield benches


def _measured(axis: Axis, benches: Sequence[Bench], options: argparse.Namespace) -> Costs:
    costs: Costs = defaultdict(dict)
    by_size = {size: (bench, calls(bench)) for size, bench in zip(axis.sizes, benches, strict=True)}
    for turn in range(options.rounds):
        order = axis.sizes[turn % len(axis.sizes) :] + axis.sizes[: turn % len(axis.sizes)]
        for name in (name for name in by_size[axis.sizes[0]][1] if options.calls in name):
            for size in order:
                bench, made = by_size[size]
                _note(costs[name].setdefault(size, Cost()), bench, made[name], options.seconds)
        _say(f"{axis.name}: round {turn + 1}")
    return {name: {size: of[size] for size in axis.sizes} for name, of in costs.items()}


def _note(cost: Cost, bench: Bench, call: Callable[[], bytes], seconds: float) -> None:
    base = bench.base
    if not isinstance(base, Grown):
        raise TypeError(base)
    load(base.address, lambda _client, _n: call(), calls=2)  # what the first calls alone cost
    before, database = base.processor_seconds(), base.database_seconds()
    sample = load(base.address, lambda _client, _n: call(), seconds=seconds)
    count = len(sample.milliseconds)
    cost.server.append((base.processor_seconds() - before) / count * 1000)
    if base.postmaster:
        cost.database.append((base.database_seconds() - database) / count * 1000)
    cost.elapsed.append(sample.quantile(0.5))


def _remove(bases: Sequence[Grown], url: str) -> None:
    for base in bases:
        if base.sizes != Sizes():
            shutil.rmtree(base.folder)
            databases.drop(url, base.database_url)


def _write(folder: Path, backend: str, measured: Sequence[tuple[Axis, Costs]], found: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tables = "\n".join([summary(measured), *(written(axis, costs) for axis, costs in measured)])
    (folder / f"growth-{backend}.md").write_text(tables)
    (folder / f"performance-growth-{backend}.svg").write_text(drawn(measured))
    figures = {
        axis.name: {name: {size: vars(cost) for size, cost in of.items()} for name, of in costs.items()}
        for axis, costs in measured
    }
    raw = json.dumps({"figures": figures, "faster than the logarithm": found, "processors": os.cpu_count()}, indent=1)
    (folder / f"growth-{backend}.json").write_text(raw + "\n")


def _say(what: str) -> None:
    print(f"{time.monotonic() - _BEGUN:6.0f} s  {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

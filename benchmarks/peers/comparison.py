"""The servers side by side: started, filled, measured item by item in turns, and stopped, whatever one of them does."""

import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from . import imports, size, traces
from .bases import Bare, Base, FastTrackML, LocalMltrail, Mlflow, Mltrail, TracedMlflow
from .databases import database
from .items import Bench, Item
from .mix import JOBS_ITEM, TRAINING_ITEM
from .raw import Raw
from .seed import seed

OURS = "mltrail"
PEERS: dict[str, type[Base]] = {one.kind: one for one in (Mltrail, Mlflow, FastTrackML)}
_STARTS, _SLOW_START_SECONDS = 3, 3.0
_TRACES = 10_000
_FLOOR_SHARE = 0.3
"""How long a floor is measured, of the time that a server gets."""
_T = TypeVar("_T")

Values = dict[str, dict[str, list[float]]]


def _values() -> Values:
    return defaultdict(lambda: defaultdict(list))


class Comparison:
    """What was measured, by item (or fact) and server: `rates`, medians and p99 of a call in ms, `facts`; and for each
    item the rates of `bare` WSGI and of `raw` SQL.
    """

    def __init__(self, items: Sequence[Item], sizes: Sequence[int], *, seconds: float, floors: bool = True) -> None:
        self.items = items
        self.sizes = sizes
        self.seconds = seconds
        self._with_floors = floors
        self.rates, self.medians, self.p99s, self.floors, self.facts = (_values() for _ in range(5))
        self.failures: list[str] = []
        self._received: dict[str, int] = {}
        self.benches: list[Bench] = []
        self._bare: Base | None = None
        self._raw: Raw | None = None
        self._begun = time.monotonic()

    def begin(self, folder: Path, kinds: Sequence[str], *, url: str, local: bool) -> None:
        """Start and fill the servers. `url` is a PostgreSQL without a database, or nothing for SQLite."""
        for kind in kinds:
            made = LocalMltrail if local and kind == OURS else PEERS[kind]
            base = made(folder / kind, database_url=database(url, kind))
            bench = self._attempt(f"{kind}: start", lambda base=base: self._begin(base, folder, url))
            if bench is not None:
                self.benches.append(bench)
        self._bare = Bare(folder / "bare")
        self._bare.start()

    def restart(self, workers: int) -> None:
        """Start the servers again with this many web processes."""
        for bench in self.benches:
            bench.base.workers = workers
            self._attempt(f"{bench.base.kind}: start", bench.base.restart)

    def end(self) -> None:
        if self._raw is not None:
            self._raw.close()
        for bench in self.benches:
            bench.base.stop()
            if bench.tracer is not None:
                bench.tracer.stop()
        if self._bare is not None:
            self._bare.stop()

    def turn(self, number: int) -> None:
        """Measure all items once, in another order of the servers each time."""
        order = self.benches[number % len(self.benches) :] + self.benches[: number % len(self.benches)]
        for item in self.items:
            for bench in order:
                if not item.only or bench.base.kind in item.only:
                    self._attempt(f"{bench.base.kind}, {item.name}", lambda i=item, b=bench: self._measure(i, b))
            for bench in order:
                if bench.base.kind == OURS and self._with_floors:
                    self._attempt(f"floor, {item.name}", lambda i=item, b=bench: self._measure_floors(i, b))
            shown = ", ".join(f"{kind} {found[-1]:,.4g}" for kind, found in self.rates[item.name].items() if found)
            self.say(f"round {number + 1}, {item.name}: {shown} {item.unit}")

    def finish(self, folder: Path, *, url: str, beside: bool) -> None:
        """Note what is known once the work is done: memory, and if wanted what goes `beside` it: sizes, imports."""
        for name, item, values in (
            ("32 jobs at once, p99 of a call, ms", JOBS_ITEM, self.p99s),
            ("what training feels, p99 a step, ms", TRAINING_ITEM, self.p99s),
        ):
            self.facts[name].update(values.get(item, {}))
        for bench in self.benches:
            self.facts["memory after the work, MB"][bench.base.kind] = [bench.base.memory()]
        if not beside:
            return
        for bench in self.benches:
            self._attempt(f"{bench.base.kind}: sizes", lambda b=bench: self._note_sizes(b.base))
            self.say(f"sizes of {bench.base.kind}")
        if any(bench.base.kind == OURS for bench in self.benches):
            self._attempt("import", lambda: self._note_import(folder, url))

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self._begun:6.0f} s  {what}", file=sys.stderr, flush=True)

    def _begin(self, base: Base, folder: Path, url: str) -> Bench:
        base.start()
        self.facts["first answer on an empty database, s"][base.kind].append(base.start_seconds)
        bench = Bench(base, seed(base, self.sizes))
        if any(item.traces for item in self.items) and base.kind != FastTrackML.kind:
            if isinstance(base, Mlflow):
                bench.tracer = TracedMlflow(folder / "traced", database_url=database(url, "traced"))
                bench.tracer.start()
            bench.begin_traces()
            traces.fill(bench.tracer or base, bench.traced, _TRACES)
        os.sync()  # otherwise, writes left over from the seed would slow the starts
        for _ in range(_STARTS if base.start_seconds < _SLOW_START_SECONDS else 1):
            base.restart()
            self.facts["first answer after start, s"][base.kind].append(base.start_seconds)
        bench.prepare()
        self.say(f"{base.name} is filled, and started in {base.start_seconds:.2f} s")
        return bench

    def _measure(self, item: Item, bench: Bench) -> None:
        if not bench.base.lives:
            bench.base.restart()
        sample = item.measure(bench, self.seconds)
        kind = bench.base.kind
        self.rates[item.name][kind].append(item.rate(bench, sample))
        self.medians[item.name][kind].append(sample.quantile(0.5))
        self.p99s[item.name][kind].append(sample.quantile(0.99))
        if kind == OURS:
            self._received[item.name] = sample.received // max(len(sample.milliseconds), 1)

    def _measure_floors(self, item: Item, bench: Bench) -> None:
        if item.work is not None or self._bare is None or item.name not in self._received:
            return
        seconds = self.seconds * _FLOOR_SHARE
        sample = item.measure_bare(bench, self._bare, seconds, self._received[item.name])
        self.floors[item.name]["bare"].append(item.rate(bench, sample))
        self._raw = self._raw or Raw(bench)
        call = self._raw.call(item.raw)
        if call is not None:
            self.floors[item.name]["raw"].append(self._raw.rate(call, seconds, item.count) * item.per_call)

    def _note_sizes(self, base: Base) -> None:
        self.facts["a million metric points, MB"][base.kind] = [size.of_points(base)]
        megabytes, packages = size.of_installation(base.kind)
        self.facts["installed, MB"][base.kind] = [megabytes]
        self.facts["installed, packages"][base.kind] = [packages]

    def _note_import(self, folder: Path, url: str) -> None:
        rate, floor = imports.imported(folder, database(url, "imported"))
        self.rates[imports.NAME][OURS] = [rate]
        self.floors[imports.NAME]["raw"] = [floor]
        self.say(f"{imports.NAME}: {rate:,.0f} {imports.UNIT}")

    def _attempt(self, what: str, work: Callable[[], _T]) -> _T | None:
        """Do the work. If a server fails, its figure is missing, and the end says why."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - a peer may fail in whatever way
            self.failures.append(f"{what}: {type(error).__name__}: {str(error)[:500]}")
            self.say(self.failures[-1])
            return None


def median(values: Sequence[float] | None) -> float | None:
    return statistics.median(values) if values else None

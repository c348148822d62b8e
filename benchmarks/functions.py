"""Where the processor time of a call goes, function by function.

    .venv/bin/python -m benchmarks.functions                          the calls of `benchmarks.peers`, one after another
    .venv/bin/python -m benchmarks.functions --only "create run"      one of them
    .venv/bin/python -m benchmarks.functions --postgresql             on PostgreSQL

The application is called in this process, without granian in front of it, with an ID token of a running job. A call's
processor time is first measured without the profiler, which makes Python functions look slower than C functions. The
profiler measures wall-clock time, since reading the processor clock takes longer than most functions do: so use a quiet
machine. The time spent waiting for PostgreSQL is part of `run` in `prepared.py`.
"""

import argparse
import cProfile
import gc
import json
import pstats
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from tests.wsgi import Environ, body_of, environ

from benchmarks.peers import databases
from benchmarks.peers.bases import Base, Mltrail
from benchmarks.peers.items import Bench, Item, items
from benchmarks.peers.load import Call
from benchmarks.peers.seed import Seeded
from mltrail_server.app import create_app, create_deps
from mltrail_server.settings import Settings

CALLS = {
    "create run": "create run, 1 client",
    "log-metric": "log-metric, 1 client",
    "log-batch of 1,000 metrics": "log-batch of 1,000 metrics, 1 client",
    "get run": "get run (100 metrics, 100 params), 1 client",
    "experiment by name": "experiment by name",
    "experiment search": "experiment search",
    "4 kB file up": "4 kB files up, 8 clients",
}
"""Our names for calls, and the items of `benchmarks.peers` that make them."""

_WARM = 100
_PARTS = 5
_NAMED = 0.01

Function = tuple[str, int, str]
"""File, line and name; for a C function, the file is `~`."""


class InProcess(Mltrail):
    """The application in this process."""

    def start(self) -> None:
        self.found_gitlab()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.deps = create_deps(Settings.from_environment(self.environment()))
        self.app = create_app(self.deps)

    def stop(self) -> None:
        self.deps.db.dispose()
        super().stop()

    def answer(self, sent: Environ) -> bytes:
        return body_of(self.app, sent)


class DirectBench(Bench):
    """Prepares an experiment and its runs without a socket."""

    def ask(self, method: str, path: str, body: object = None, *, server: Base | None = None) -> Any:  # noqa: ANN401 - JSON
        sent = self.get(path) if method == "GET" else self.post(path, body)
        return json.loads(cast("InProcess", server or self.base).answer(environ_of(sent)))


def environ_of(sent: bytes) -> Environ:
    """Turn the bytes of a request into the environ that a WSGI server would pass."""
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _version = first.split(" ")
    path, _, query = target.partition("?")
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (one.split(": ", 1) for one in lines)}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if (value := headers.pop(f"HTTP_{name}", None)) is not None:
            headers[name] = value
    return environ(method, unquote(path), query=query, body=body, RAW_URI=target, **headers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    databases.add_option(parser)
    parser.add_argument("--only", default="", help="only calls whose name contains this")
    parser.add_argument("--calls", type=int, default=1000, help="how many times each call is made and measured")
    parser.add_argument("--functions", type=int, default=15, help="how many functions to list, the slowest first")
    options = parser.parse_args()
    by_name = {item.name: item for item in items([])}
    with _bench(options.postgresql) as bench:
        for name, item in CALLS.items():
            if options.only in name:
                _print(name, bench, by_name[item], options.calls, options.functions)


@contextmanager
def _bench(postgresql: str | None) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="mltrail-functions-") as folder, databases.server(postgresql) as url:
        base = InProcess(Path(folder), database_url=databases.database(url, "functions"))
        base.start()
        try:
            bench = DirectBench(base, Seeded({}, ""))
            bench.prepare()
            yield bench
        finally:
            base.stop()
            databases.drop(url, base.database_url)


def _print(name: str, bench: Bench, item: Item, count: int, most: int) -> None:
    if item.calls is None:
        raise NotImplementedError(item.name)
    base, made = cast("InProcess", bench.base), item.calls(bench)
    numbers = iter(range(10**9))
    for _ in range(_WARM):
        base.answer(environ_of(made(0, next(numbers))))
    gc.collect()
    seconds = statistics.median(_seconds(base, made, numbers, count // _PARTS) for _ in range(_PARTS))
    profile = cProfile.Profile()
    for _ in range(count):
        given = environ_of(made(0, next(numbers)))
        profile.enable()
        base.answer(given)
        profile.disable()
    found = pstats.Stats(profile).stats  # type: ignore[attr-defined] # typeshed leaves it out
    own = {function: (calls, took) for function, (_, calls, took, *_) in found.items()}
    total = sum(took for _, took in own.values())
    rooms: Counter[str] = Counter()
    for function, (_, took) in own.items():
        rooms[_room(function)] += took / total
    print(f"\n### {name}: {seconds * 1e6:,.0f} µs\n")
    print(", ".join(f"{room} {share:.0%}" for room, share in rooms.most_common() if share >= _NAMED))
    print("\n| share | calls | function |\n|--:|--:|---|")
    for function, (calls, took) in sorted(own.items(), key=lambda one: -one[1][1])[:most]:
        print(f"| {took / total:.1%} | {calls / count:.1f} | {_named(function)} |")


def _seconds(base: InProcess, made: Call, numbers: Iterator[int], count: int) -> float:
    """Measure the processor time of a call, not counting the time to build its request."""
    prepared = [environ_of(made(0, next(numbers))) for _ in range(count)]
    begun = time.thread_time()
    for given in prepared:
        base.answer(given)
    return (time.thread_time() - begun) / count


def _named(function: Function) -> str:
    """Return a function's name, with its file and line unless it is written in C."""
    file, line, name = function
    return f"`{name.strip('<>')}`" if file == "~" else f"`{'/'.join(_parts(file))}`:{line} `{name}`"


def _room(function: Function) -> str:
    """Return the part of the program, or the library, that a function belongs to."""
    file, _line, name = function
    if file == "~":
        return "the database's driver" if "sqlite3." in name or "psycopg" in name else "functions in C"
    parts = _parts(file)
    if parts[0] in {"mltrail_server", "benchmarks"}:
        return "/".join(parts[:2])
    return "Python's library" if parts[0].startswith("python3") else parts[0].removesuffix(".py")


def _parts(file: str) -> tuple[str, ...]:
    parts = Path(file).parts
    places = [place for place, part in enumerate(parts) if part in {"mltrail_server", "site-packages", "benchmarks"}]
    found = parts[places[-1] :] if places else parts[-2:]
    return found[1:] if found[0] == "site-packages" else found


if __name__ == "__main__":
    main()

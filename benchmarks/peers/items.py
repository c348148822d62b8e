"""What is measured: each item makes the calls of one kind of work, and says in which unit its result is given."""

import itertools
import json
import secrets
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .bases import Bare, Base
from .load import Call, Sample, load, request
from .seed import POINTS, Seeded, now_ms
from .traces import Sender, search

BIG = bytes(range(256)) * 4 * 1024 * 256  # 256 MB
SMALL = b"x" * 4096
_FRESH = 100
_FILES = 100
PAGE = 100
_DEEP = 4900


@dataclass
class Bench:
    """A running server with what the items need: an experiment, some runs, the seeded data."""

    base: Base
    seeded: Seeded
    experiment: str = ""
    runs: list[str] = field(default_factory=list)
    full: str = ""
    serial: int = 0
    pages: int = 1  # calls that an item's answer takes
    tracer: Base | None = None  # the server that takes traces, if it is another one
    traced: str = ""  # its experiment for traces

    def prepare(self) -> None:
        made = self.ask("POST", "experiments/create", {"name": f"bench {secrets.token_hex(4)}"})
        self.experiment = made["experiment_id"]
        self.runs = [self.new_run() for _ in range(40)]
        self.full = self.new_run()
        metrics = [{"key": f"m{n}", "value": n / 7, "timestamp": 1, "step": 1} for n in range(100)]
        params = [{"key": f"p{n}", "value": str(n)} for n in range(100)]
        self.ask("POST", "runs/log-batch", {"run_id": self.full, "metrics": metrics, "params": params})

    def begin_traces(self) -> None:
        """Make an experiment for traces, on the server that takes them."""
        server = self.tracer or self.base
        made = self.ask("POST", "experiments/create", {"name": f"traces {secrets.token_hex(4)}"}, server=server)
        self.traced = made["experiment_id"]

    def new_run(self) -> str:
        made = self.ask("POST", "runs/create", {"experiment_id": self.experiment, "start_time": now_ms()})
        run: str = made["run"]["info"]["run_id"]
        return run

    def new_runs(self, count: int) -> list[str]:
        """Make runs as fast as the server can."""
        made: list[str] = []
        load(
            self.base.address,
            lambda _client, _n: self.post("runs/create", {"experiment_id": self.experiment, "start_time": now_ms()}),
            clients=min(4, count),
            calls=count,
            answered=lambda _client, _n, body: made.append(json.loads(body)["run"]["info"]["run_id"]),
        )
        return made

    def ask(self, method: str, path: str, body: object = None, *, server: Base | None = None) -> Any:  # noqa: ANN401 - JSON
        server = server or self.base
        url = f"http://127.0.0.1:{server.port}{server.prefix}{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = server.headers | {"Content-Type": "application/json"}
        asked = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(asked, timeout=120) as answer:  # noqa: S310
            return json.load(answer)

    def post(self, path: str, body: object) -> bytes:
        sent = json.dumps(body).encode()
        return request("POST", self.base.prefix + path, host=self._host, headers=self.base.headers, body=sent)

    def get(self, path: str) -> bytes:
        return request("GET", self.base.prefix + path, host=self._host, headers=self.base.headers)

    def file(self, method: str, path: str, body: bytes = b"", *, run: str = "") -> bytes:
        where = f"{self.base.files}{self.experiment}/{run or self.runs[0]}/artifacts/{path}"
        kind = "application/octet-stream"
        return request(method, where, host=self._host, headers=self.base.headers, body=body, kind=kind)

    @property
    def _host(self) -> str:
        return f"127.0.0.1:{self.base.port}"


@dataclass(frozen=True)
class Item:
    """`raw` names its floor in `raw.py`; `target` is how many times the best peer's rate it should be."""

    name: str
    calls: Callable[[Bench], Call] | None = None
    clients: int = 1
    count: int = 0  # so many calls, or as many as go into the time
    per_call: float = 1  # so many points, files or MB a call
    unit: str = "calls/s"
    target: float = 1.0
    only: tuple[str, ...] = ()
    raw: str = ""
    traces: bool = False
    work: Callable[[Bench], Sample] | None = None  # instead of `calls`

    def measure(self, bench: Bench, seconds: float) -> Sample:
        if self.work is not None:
            return self.work(bench)
        bench.serial += 1
        bench.pages = 1
        calls = self._calls(bench)
        count = self.count * bench.pages
        address = self.server(bench).address
        return load(address, calls, clients=self.clients, seconds=0 if count else seconds, calls=count)

    def measure_bare(self, bench: Bench, bare: Base, seconds: float, length: int) -> Sample:
        """Send mltrail's calls to a server that does nothing, and answers as many bytes."""
        calls = self._calls(bench)
        if not self.count:
            # Made beforehand: making them is not what is measured, and this server is faster than the load.
            ready = [Bare.like(calls(client % self.clients, client), length) for client in range(2 * self.clients)]
            return load(bare.address, lambda client, _n: ready[client], clients=self.clients, seconds=seconds)
        count = self.count * bench.pages
        return load(
            bare.address,
            lambda client, n: Bare.like(calls(client, n), length),
            clients=self.clients,
            calls=count,
        )

    def _calls(self, bench: Bench) -> Call:
        if self.calls is None:
            raise NotImplementedError(self.name)
        return self.calls(bench)

    def server(self, bench: Bench) -> Base:
        return bench.tracer if self.traces and bench.tracer is not None else bench.base

    def rate(self, bench: Bench, sample: Sample) -> float:
        return sample.per_second * self.per_call / bench.pages


def _create(bench: Bench) -> Call:
    tags = [{"key": "mlflow.user", "value": "u"}, {"key": "mlflow.source.name", "value": "train.py"}]
    body = {"experiment_id": bench.experiment, "run_name": "bench", "tags": tags}
    return lambda _client, _n: bench.post("runs/create", body | {"start_time": now_ms()})


def _log_metric(bench: Bench) -> Call:
    return lambda client, n: bench.post(
        "runs/log-metric",
        {"run_id": bench.runs[client], "key": "loss", "value": n * 0.1, "timestamp": now_ms(), "step": n},
    )


def _batch(bench: Bench) -> Call:
    def call(client: int, n: int) -> bytes:
        at = now_ms()
        metrics = [
            {"key": f"k{i % 10}", "value": i * 0.1, "timestamp": at, "step": n * 100 + i // 10} for i in range(1000)
        ]
        return bench.post("runs/log-batch", {"run_id": bench.runs[32 + client], "metrics": metrics})

    return call


def _pairs(bench: Bench) -> Call:
    """Log to a fresh run each time: a run that grows with each call slows the peers down."""
    runs = itertools.cycle(bench.new_runs(_FRESH))
    params = [{"key": f"p{i}", "value": f"value {i}"} for i in range(100)]
    tags = [{"key": f"t{i}", "value": f"value {i}"} for i in range(100)]
    return lambda _client, _n: bench.post("runs/log-batch", {"run_id": next(runs), "params": params, "tags": tags})


def _get(bench: Bench) -> Call:
    return lambda _client, _n: bench.get(f"runs/get?run_id={bench.full}")


def _by_name(bench: Bench) -> Call:
    return lambda _client, _n: bench.get("experiments/get-by-name?experiment_name=Default")


def _experiments(bench: Bench) -> Call:
    return lambda _client, _n: bench.post("experiments/search", {"max_results": 20})


def _history(bench: Bench) -> Call:
    """Ask for the whole history as MLflow's clients do, page by page; FastTrackML sends all of it in one."""
    path = f"metrics/get-history?run_id={bench.seeded.history_run}&metric_key=m0&max_results=25000"
    pages, token = [path], bench.ask("GET", path).get("next_page_token")
    while token:
        pages.append(f"{path}&page_token={quote(token)}")
        token = bench.ask("GET", pages[-1]).get("next_page_token")
    bench.pages = len(pages)
    return lambda _client, n: bench.get(pages[n % len(pages)])


def _search(size: int, **query: object) -> Callable[[Bench], Call]:
    def calls(bench: Bench) -> Call:
        body: dict[str, object] = {"experiment_ids": [bench.seeded.experiments[size]], "max_results": PAGE, **query}
        if query.get("page_token"):
            before = {"experiment_ids": body["experiment_ids"], "max_results": min(_DEEP, size - PAGE)}
            body["page_token"] = bench.ask("POST", "runs/search", before)["next_page_token"]
        return lambda _client, _n: bench.post("runs/search", body)

    return calls


def _upload(bench: Bench) -> Call:
    return lambda _client, n: bench.file("PUT", f"big-{n % 2}.bin", BIG)


def _download(bench: Bench) -> Call:
    return lambda _client, n: bench.file("GET", f"big-{n % 2}.bin")


def _small_up(bench: Bench) -> Call:
    return lambda client, n: bench.file("PUT", f"small/{client}-{bench.serial}-{n}.bin", SMALL)


def _small_down(bench: Bench) -> Call:
    numbers = itertools.count()
    load(
        bench.base.address,
        lambda _client, _n: bench.file("PUT", f"read/{next(numbers)}.bin", SMALL),
        clients=8,
        calls=_FILES,
    )
    return lambda client, n: bench.file("GET", f"read/{(11 * client + n) % _FILES}.bin")


def _traces(bench: Bench) -> Call:
    return Sender(bench.tracer or bench.base, bench.traced)


def _trace_search(bench: Bench) -> Call:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": bench.traced}}
    return search(bench.tracer or bench.base, {"locations": [place], "max_results": PAGE})


def items(sizes: list[int]) -> list[Item]:
    """List what is measured, with the target of each: how many times the best peer's."""
    stored = ("mltrail", "mlflow")  # FastTrackML leaves files to its clients, and has no traces
    searches = [
        Item(name := f"search {size:,}: {kind}", _search(size, **query), target=1.5, unit="pages/s", raw=name)
        for size in sizes
        for kind, query in (
            ("newest", {}),
            ("by metric", {"order_by": ["metrics.m1 DESC"]}),
            ("filtered", {"filter": "metrics.m1 > 0.5 and params.p1 = '3'"}),
            ("page 50", {"page_token": "?"}),
        )
    ]
    log, batch, points = "log-metric", "log-batch of 1,000 metrics", {"per_call": 1000, "unit": "points/s"}
    pairs, full = "log-batch of 100 params and 100 tags", "get run"
    up, down, history = "4 kB files up", "4 kB files down", "metric history"
    return [
        Item("create run, 1 client", _create, target=1.5, raw="create run"),
        Item("create run, 8 clients", _create, 8, target=1.5, raw="create run"),
        Item("log-metric, 1 client", _log_metric, target=1.5, raw=log),
        Item("log-metric, 8 clients", _log_metric, 8, target=1.5, raw=log),
        Item("log-metric, 32 clients", _log_metric, 32, target=1.5, raw=log),
        Item("log-batch of 1,000 metrics, 1 client", _batch, target=2.5, raw=batch, **points),
        Item("log-batch of 1,000 metrics, 4 clients", _batch, 4, target=2.5, raw=batch, **points),
        Item("100 params and 100 tags, each on a fresh run", _pairs, count=_FRESH, target=2.5, raw=pairs),
        Item("get run (100 metrics, 100 params), 1 client", _get, target=1.5, raw=full),
        Item("get run (100 metrics, 100 params), 8 clients", _get, 8, target=1.5, raw=full),
        *searches,
        Item("history of 100,000 points", _history, count=2, per_call=POINTS, unit="points/s", raw=history),
        Item("experiment by name", _by_name, raw="experiment by name"),
        Item("experiment search", _experiments, raw="experiment search"),
        Item("upload of 256 MB", _upload, count=2, per_call=256, unit="MB/s", only=stored, raw="upload of 256 MB"),
        Item("download of 256 MB", _download, count=2, per_call=256, unit="MB/s", only=stored),
        Item("4 kB files up, 8 clients", _small_up, 8, unit="files/s", target=2, only=stored, raw=up),
        Item("4 kB files down, 8 clients", _small_down, 8, unit="files/s", target=2, only=stored, raw=down),
        # Two calls a trace: its spans, then the trace.
        Item("traces, 8 clients", _traces, 8, per_call=0.5, unit="traces/s", only=stored, traces=True),
        Item("search in 10,000 traces", _trace_search, unit="pages/s", only=stored, traces=True),
    ]

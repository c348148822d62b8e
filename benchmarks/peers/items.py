"""What is measured: each item makes the calls of one kind of work, and says in which unit its result is given."""

import json
import secrets
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .bases import Base
from .load import Call, Sample, load, request
from .seed import POINTS, Seeded, now_ms

BIG = bytes(range(256)) * 4 * 1024 * 256  # 256 MB
SMALL = b"x" * 4096
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

    def prepare(self) -> None:
        made = self.ask("POST", "experiments/create", {"name": f"bench {secrets.token_hex(4)}"})
        self.experiment = made["experiment_id"]
        self.runs = [self.new_run() for _ in range(40)]
        self.full = self.new_run()
        metrics = [{"key": f"m{n}", "value": n / 7, "timestamp": 1, "step": 1} for n in range(100)]
        params = [{"key": f"p{n}", "value": str(n)} for n in range(100)]
        self.ask("POST", "runs/log-batch", {"run_id": self.full, "metrics": metrics, "params": params})

    def new_run(self) -> str:
        made = self.ask("POST", "runs/create", {"experiment_id": self.experiment, "start_time": now_ms()})
        run: str = made["run"]["info"]["run_id"]
        return run

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        url = f"http://127.0.0.1:{self.base.port}{self.base.prefix}{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = self.base.headers | {"Content-Type": "application/json"}
        asked = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(asked, timeout=120) as answer:  # noqa: S310
            return json.load(answer)

    def post(self, path: str, body: object) -> bytes:
        sent = json.dumps(body).encode()
        return request("POST", self.base.prefix + path, host=self._host, headers=self.base.headers, body=sent)

    def get(self, path: str) -> bytes:
        return request("GET", self.base.prefix + path, host=self._host, headers=self.base.headers)

    def file(self, method: str, path: str, body: bytes = b"") -> bytes:
        where = f"{self.base.files}{self.experiment}/{self.runs[0]}/artifacts/{path}"
        kind = "application/octet-stream"
        return request(method, where, host=self._host, headers=self.base.headers, body=body, kind=kind)

    @property
    def _host(self) -> str:
        return f"127.0.0.1:{self.base.port}"


@dataclass(frozen=True)
class Item:
    name: str
    calls: Callable[[Bench], Call]
    clients: int = 1
    count: int = 0  # so many calls, or as many as go into the time
    per_call: float = 1  # so many points, files or MB a call
    unit: str = "calls/s"
    target: float = 1.0  # times the best peer
    only: tuple[str, ...] = ()

    def measure(self, bench: Bench, seconds: float) -> Sample:
        bench.serial += 1
        bench.pages = 1
        calls = self.calls(bench)
        count = self.count * bench.pages
        return load(bench.base.address, calls, clients=self.clients, seconds=0 if count else seconds, calls=count)

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


def _params(bench: Bench) -> Call:
    run = bench.new_run()

    def call(_client: int, n: int) -> bytes:
        pairs = [{"key": f"{n}.{i}", "value": f"value {i}"} for i in range(100)]
        return bench.post("runs/log-batch", {"run_id": run, "params": pairs, "tags": pairs})

    return call


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


def _small(bench: Bench) -> Call:
    return lambda client, n: bench.file("PUT", f"small/{client}-{bench.serial}-{n}.bin", SMALL)


def items(sizes: list[int]) -> list[Item]:
    """List what is measured, with the target of each: how many times the best peer's."""
    stored = ("mltrail", "mlflow")  # FastTrackML leaves files to its clients
    searches = [
        Item(f"search {size:,}: {name}", _search(size, **query), target=10, unit="pages/s")
        for size in sizes
        for name, query in (
            ("newest", {}),
            ("by metric", {"order_by": ["metrics.m1 DESC"]}),
            ("filtered", {"filter": "metrics.m1 > 0.5 and params.p1 = '3'"}),
            ("page 50", {"page_token": "?"}),
        )
    ]
    return [
        Item("log-metric, 1 client", _log_metric, target=1.8),
        Item("log-metric, 32 clients", _log_metric, clients=32, target=3),
        Item("log-batch of 1,000 metrics", _batch, per_call=1000, unit="points/s", target=10),
        Item("log-batch of 1,000 metrics, 4 clients", _batch, clients=4, per_call=1000, unit="points/s", target=4),
        Item("log-batch of 100 params and 100 tags", _params, target=5),
        Item("create run", _create, target=1.2),
        Item("get run (100 metrics, 100 params)", _get, target=2),
        Item("metric history, 100,000 points", _history, count=2, per_call=POINTS, unit="points/s", target=5),
        Item("experiment by name", _by_name, target=0.8),
        Item("experiment search", _experiments, target=0.8),
        *searches,
        Item("upload 256 MB", _upload, count=2, per_call=256, unit="MB/s", target=2.5, only=stored),
        Item("download 256 MB", _download, count=2, per_call=256, unit="MB/s", target=1, only=stored),
        Item("1,000 files of 4 KB, 8 clients", _small, 8, count=1000, unit="files/s", target=2, only=stored),
    ]

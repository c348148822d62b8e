"""The calls whose costs are measured, on a server with one large experiment and one large run."""

import itertools
import time
from collections.abc import Callable

from benchmarks.peers.items import PAGE, SMALL, Bench
from benchmarks.peers.load import load
from benchmarks.peers.seed import now_ms

from .fill import EXPERIMENT, large_eid

Call = Callable[[], bytes]
_DEEP = 4900
_HISTORY_PAGE = 1000
_FILES = 40


def calls(bench: Bench) -> dict[str, Call]:
    """Return what makes the requests, by what they ask for."""
    steps = itertools.count()
    run, large = bench.new_run(), large_eid()
    load(
        bench.base.address,
        lambda _client, n: bench.file("PUT", f"file-{n}.bin", SMALL, run=run),
        calls=_FILES,
    )
    found = {"experiment_ids": [str(EXPERIMENT)], "max_results": PAGE}
    deep = bench.ask("POST", "runs/search", found | {"max_results": _DEEP})["next_page_token"]
    history = f"metrics/get-history?metric_key=m0&max_results={_HISTORY_PAGE}"

    def log_metric(into: str) -> Call:
        return lambda: bench.post(
            "runs/log-metric", {"run_id": into, "key": "m0", "value": 0.5, "timestamp": now_ms(), "step": _step()}
        )

    def log_batch(into: str) -> Call:
        def call() -> bytes:
            at, first = now_ms(), _step()
            points = [
                {"key": f"m{i % 10}", "value": i * 0.1, "timestamp": at, "step": first + i // 10} for i in range(1000)
            ]
            return bench.post("runs/log-batch", {"run_id": into, "metrics": points})

        return call

    def search(**query: object) -> Call:
        return lambda: bench.post("runs/search", found | query)

    return {
        "create run": lambda: bench.post("runs/create", {"experiment_id": str(EXPERIMENT), "start_time": 1}),
        "log-metric": log_metric(run),
        "log-metric to the large run": log_metric(large),
        "log-batch of 1,000": log_batch(run),
        "log-batch of 1,000 to the large run": log_batch(large),
        "get run": lambda: bench.get(f"runs/get?run_id={run}"),
        "get the large run": lambda: bench.get(f"runs/get?run_id={large}"),
        "history, a page of 1,000": lambda: bench.get(f"{history}&run_id={large}"),
        "experiment by name": lambda: bench.get("experiments/get-by-name?experiment_name=experiment%202"),
        "experiment search": lambda: bench.post("experiments/search", {"max_results": 20}),
        "experiment search by name": lambda: bench.post(
            "experiments/search", {"max_results": 20, "filter": "name LIKE '%ment 3'"}
        ),
        "search: newest": search(),
        "search: page 50": search(page_token=deep),
        "search: by metric": search(order_by=["metrics.m1 DESC"]),
        "search: filtered": search(filter="metrics.m1 > 0.5 and params.p1 = '3'"),
        "search: filtered, by metric": search(filter="params.p1 = '3'", order_by=["metrics.m2 ASC"]),
        "search: rare tag": search(filter="tags.t0 = '7'"),
        "search: nothing matches": search(filter="params.p1 = '3' and params.p2 LIKE 'x%'"),
        "4 kB file up": lambda: bench.file("PUT", f"up/{next(steps)}.bin", SMALL, run=run),
        "4 kB file down": lambda: bench.file("GET", "file-0.bin", run=run),
        "files of a run": lambda: bench.get(f"artifacts/list?run_id={run}"),
    }


def _step() -> int:
    """Return the time in microseconds as a step, since steps rise with time in a training. A batch has a hundred steps
    and takes longer than a hundred microseconds, so each call's steps are larger than all earlier ones.
    """
    return time.time_ns() // 1000

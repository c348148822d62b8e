"""What the calls of training loops cost the server's process: Python's function calls and memory, on SQLite.

Counted, not timed, so that a slow-down breaks a test on any machine. `tests/costs.py` has what they cost the database.

    python -m tests.hot_calls           prints what calls cost, beside what they cost before
    python -m tests.hot_calls --write   keeps that, after a change that made them cheaper: from then on, they may not
                                        cost much more
"""

import argparse
import gc
import itertools
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.mlflow_client import LOCAL_TOKEN
from tests.places import ROOT
from tests.wsgi import body_of, environ

CEILINGS = Path(__file__).with_suffix(".json")
"""By call: how many functions it called, Python's and C's, and how many KB of memory it had at once."""

_MARGIN, _SPARE = 1.1, 2
"""Versions of Python differ by less: from 3.12 on, a comprehension calls no function."""

_WARM = 20
_ROUNDS = 5
_RUNS = 100  # of a page of a search
_BASE = "/api/v4/projects/1/ml/mlflow/api/2.0/"

Ceilings = dict[str, dict[str, int]]
Body = bytes | dict[str, Any]
Meter = Callable[[Callable[[], bytes]], tuple[bytes, int]]


class _Server:
    """The whole application, called as a WSGI server would. `measure` is given what answers each call."""

    measure: Callable[[Callable[[], bytes]], bytes] = staticmethod(lambda answer: answer())

    def __init__(self, folder: str) -> None:
        # The process that measures is started with an environment of its own, see `measured`.
        from mltrail_server.app import create_app, create_deps  # noqa: PLC0415
        from mltrail_server.settings import Settings  # noqa: PLC0415

        self.deps = create_deps(Settings(data_dir=folder, local_token=LOCAL_TOKEN, secret_key="key-of-the-tests"))
        self.app = create_app(self.deps)

    def call(self, method: str, path: str, body: Body = b"", query: str = "") -> bytes:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = environ(
            method,
            _BASE + path,
            query=query,
            body=sent,
            HTTP_HOST="127.0.0.1:5000",
            HTTP_AUTHORIZATION=f"Bearer {LOCAL_TOKEN}",
            HTTP_USER_AGENT="mlflow-python-client/3.18.0",
            HTTP_ACCEPT="*/*",
            CONTENT_TYPE="application/json",
            CONTENT_LENGTH=str(len(sent)),
        )
        return self.measure(lambda: body_of(self.app, given))

    def post(self, path: str, **fields: Any) -> Any:
        return json.loads(self.call("POST", f"mlflow/{path}", fields))


def measured() -> Ceilings:
    """Measure in a process of its own, in which nobody listens to what the server does, as other tests do."""
    environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "tests.hot_calls", "--measure"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: Ceilings = json.loads(done.stdout)
    return found


def ceilings() -> Ceilings:
    found: Ceilings = json.loads(CEILINGS.read_text())
    return found


def allowed() -> Ceilings:
    """Answer what calls may cost, with the margin."""
    return {
        name: {kind: int(most * _MARGIN) + _SPARE for kind, most in cost.items()} for name, cost in ceilings().items()
    }


def _measure() -> Ceilings:
    with tempfile.TemporaryDirectory() as folder:
        server = _Server(folder)
        calls = _calls(server)
        gc.disable()
        found = {name: _cost(server, call) for name, call in calls.items()}
        server.deps.db.dispose()
    return found


def _cost(server: _Server, call: Callable[[], object]) -> dict[str, int]:
    for _ in range(_WARM):
        call()
    gc.collect()
    return {kind: min(_seen(server, call, meter) for _ in range(_ROUNDS)) for kind, meter in _METERS.items()}


def _seen(server: _Server, call: Callable[[], object], meter: Meter) -> int:
    """Use a meter on what the server does in a call; what a client does for it is left out."""
    found = 0

    def measure(answer: Callable[[], bytes]) -> bytes:
        nonlocal found
        body, found = meter(answer)
        return body

    server.measure = measure
    try:
        call()
    finally:
        del server.measure
    return found


def _functions(answer: Callable[[], bytes]) -> tuple[bytes, int]:
    seen = itertools.count()

    def note(_frame: object, event: str, _argument: object) -> None:
        if event in {"call", "c_call"}:
            next(seen)

    sys.setprofile(note)
    try:
        body = answer()
    finally:
        sys.setprofile(None)
    return body, next(seen)


def _kilobytes(answer: Callable[[], bytes]) -> tuple[bytes, int]:
    """The most that the server has at once of what was not there before: its answer, and all that leads to it."""
    tracemalloc.start()
    try:
        body = answer()
        return body, tracemalloc.get_traced_memory()[1] // 1024 + 1
    finally:
        tracemalloc.stop()


_METERS: dict[str, Meter] = {"functions": _functions, "kilobytes": _kilobytes}


def _calls(server: _Server) -> dict[str, Callable[[], object]]:
    experiment = server.post("experiments/create", name="hot")["experiment_id"]
    steps = itertools.count()

    def new(experiment: str = "0", **fields: Any) -> str:
        made = server.post("runs/create", experiment_id=experiment, start_time=next(steps), **fields)
        run_id: str = made["run"]["info"]["run_id"]
        return run_id

    def points(count: int, names: int) -> list[dict[str, Any]]:
        return [{"key": f"k{i % names}", "value": i / 7, "timestamp": 1, "step": next(steps)} for i in range(count)]

    def pairs(name: str, count: int) -> list[dict[str, str]]:
        return [{"key": f"{name}{i}", "value": f"value {i}"} for i in range(count)]

    run, full = new(), new()
    server.post("runs/log-batch", run_id=full, metrics=points(100, 100), params=pairs("p", 100))
    server.post("runs/log-batch", run_id=full, metrics=[point | {"key": "long"} for point in points(1000, 1)])
    for _ in range(_RUNS + 50):
        one = new(experiment)
        server.post("runs/log-batch", run_id=one, metrics=points(20, 20), params=pairs("p", 20), tags=pairs("t", 5))
    fresh = iter([new() for _ in range(_WARM + 2 * _ROUNDS)])
    artifacts = f"mlflow-artifacts/artifacts/0/{run}/artifacts"
    server.call("PUT", f"{artifacts}/read.bin", b"x" * 4096)
    tags = [{"key": "mlflow.user", "value": "u"}, {"key": "mlflow.source.name", "value": "train.py"}]
    batch = "runs/log-batch"
    return {
        "create run": lambda: new(run_name="hot", tags=tags),
        "log-metric": lambda: server.post(
            "runs/log-metric", run_id=run, key="loss", value=0.5, timestamp=1, step=next(steps)
        ),
        "log-batch of 1,000 metrics": lambda: server.post(batch, run_id=run, metrics=points(1000, 10)),
        "log-batch of 100 params and 100 tags": lambda: server.post(
            batch, run_id=next(fresh), params=pairs("p", 100), tags=pairs("t", 100)
        ),
        "end run": lambda: server.post("runs/update", run_id=run, status="FINISHED", end_time=next(steps)),
        "get run": lambda: server.call("GET", "mlflow/runs/get", query=f"run_id={full}"),
        "experiment by name": lambda: server.call(
            "GET", "mlflow/experiments/get-by-name", query="experiment_name=Default"
        ),
        "experiment search": lambda: server.post("experiments/search", max_results=20),
        "search: newest": lambda: server.post("runs/search", experiment_ids=[experiment], max_results=_RUNS),
        "search: by metric": lambda: server.post(
            "runs/search", experiment_ids=[experiment], max_results=_RUNS, order_by=["metrics.k1 DESC"]
        ),
        "search: filtered": lambda: server.post(
            "runs/search",
            experiment_ids=[experiment],
            max_results=_RUNS,
            filter="params.p1 = 'value 1' and metrics.k1 > 0",
        ),
        "history of 1,000 points": lambda: server.call(
            "GET", "mlflow/metrics/get-history", query=f"run_id={full}&metric_key=long"
        ),
        "4 kB file up": lambda: server.call("PUT", f"{artifacts}/{next(steps)}.bin", b"x" * 4096),
        "4 kB file down": lambda: server.call("GET", f"{artifacts}/read.bin"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="from now on, calls may cost this much")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        json.dump(_measure(), sys.stdout)
        return
    found, before = measured(), ceilings() if CEILINGS.exists() else {}
    for name, cost in found.items():
        now = ", ".join(f"{cost[kind]:,} of {before.get(name, {}).get(kind, 0):,} {kind}" for kind in cost)
        print(f"{name:38} {now}")  # noqa: T201 - a command line prints
    if options.write:
        CEILINGS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

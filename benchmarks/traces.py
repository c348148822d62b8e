"""What traces cost, in turns with `mlflow server` 3.18: `python -m benchmarks.traces --help`.

1. Traces per second from eight clients, each trace as MLflow's client sends it: its three spans by OpenTelemetry's
   protocol, then the trace. Also the processor time of the server for each, which depends less on what else the machine
   does.
2. A page of a search over 100,000 traces, which are put into both databases by bulk insert.
3. What `@mlflow.trace` costs a job for each call, in the background as is the default, and synchronously.

MLflow comes from the environment of the clients' tests (`make client-envs`). mltrail uses ID tokens.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.peers.bases import Base, Mltrail, TracedMlflow
from benchmarks.peers.load import load, request
from benchmarks.peers.traces import Sender, fill, search

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-clients/mlflow-3/bin/python"
CLIENTS = 8
EXPERIMENT = "1"

JOB = """
import sys, time
import mlflow

calls = int(sys.argv[1])
mlflow.set_experiment("traces")

@mlflow.trace(span_type="TOOL")
def search(question):
    return ["30 days"]

@mlflow.trace
def answer(question):
    return {"answer": search(question)[0]}

answer("warm up")
began, processor = time.perf_counter(), time.process_time()
for number in range(calls):
    answer(f"question {number}")
print(time.perf_counter() - began, end=" ")
try:
    mlflow.flush_trace_async_logging()
except Exception:
    pass
print(time.perf_counter() - began, time.process_time() - processor)
"""

SEARCHES = {
    "newest": {},
    "by tag": {"filter": "tags.team = 'team 7'"},
    "by name and state": {"filter": "attributes.name = 'answer 3' AND attributes.status = 'ERROR'"},
    "by metadata": {"filter": "metadata.`mlflow.sourceRun` = 'run 77'"},
    "slowest": {"order_by": ["execution_time DESC"]},
}


class Mlflow3(TracedMlflow):
    python = PYTHON


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load in each round")
    parser.add_argument("--traces", type=int, default=100_000, help="that are searched")
    parser.add_argument("--only", choices=("load", "search", "job"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        servers: list[Base] = [Mltrail(Path(folder) / "mltrail"), Mlflow3(Path(folder) / "mlflow")]
        try:
            for server in servers:
                server.start()
                _experiment(server)
            if given.only in (None, "load"):
                _load(servers, given.rounds, given.seconds)
            if given.only in (None, "job"):
                _jobs(servers, given.rounds)
            if given.only in (None, "search"):
                _searches(servers, given.rounds, given.traces)
        finally:
            for server in servers:
                server.stop()


def _load(servers: Sequence[Base], rounds: int, seconds: float) -> None:
    rates: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for _ in range(rounds):
        for server in servers:
            before = server.processor_seconds()
            # Two calls a trace.
            sample = load(server.address, Sender(server, EXPERIMENT), clients=CLIENTS, seconds=seconds)
            traces = len(sample.milliseconds) / 2
            rates.setdefault(server.kind, []).append(traces / sample.seconds)
            costs.setdefault(server.kind, []).append((server.processor_seconds() - before) / traces * 1000)
    _show("traces per second from 8 clients", rates, "{:.0f}")
    _show("server's processor time a trace, ms", costs, "{:.2f}")


def _jobs(servers: Sequence[Base], rounds: int, calls: int = 40) -> None:
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for server in servers:
            for how in ("true", "false"):
                environment = {
                    "PATH": os.environ["PATH"],
                    "HOME": str(server.folder),
                    "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{server.port}"
                    + server.prefix.removesuffix("/api/2.0/mlflow/"),
                    "MLFLOW_TRACKING_TOKEN": server.headers.get("Authorization", "Bearer x").removeprefix("Bearer "),
                    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": how,
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                    "GIT_PYTHON_REFRESH": "quiet",
                }
                done = subprocess.run(
                    [PYTHON, "-W", "ignore", "-c", JOB, str(calls)],
                    env=environment,
                    cwd=server.folder,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                called, sent, processor = (float(one) / calls * 1000 for one in done.stdout.split()[-3:])
                mode = "in the background" if how == "true" else "synchronously"
                for what, value in (
                    (f"a traced call, {mode}, ms", called),
                    (f"until it is sent, {mode}, ms", sent),
                    (f"the job's processor time, {mode}, ms", processor),
                ):
                    found.setdefault(what, {}).setdefault(server.kind, []).append(value)
    for what, values in found.items():
        _show(what, values, "{:.2f}")


def _searches(servers: Sequence[Base], rounds: int, count: int) -> None:
    for server in servers:
        server.stop()
        fill(server, EXPERIMENT, count)
        with closing(sqlite3.connect(server.sqlite_file)) as database:
            database.execute("ANALYZE")
        server.start()
    for name, query in SEARCHES.items():
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            for server in servers:
                body = {
                    "locations": [
                        {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": EXPERIMENT}},
                    ],
                    "max_results": 100,
                    **query,
                }
                sample = load(server.address, search(server, body), calls=5)
                found.setdefault(server.kind, []).append(statistics.median(sample.milliseconds))
        _show(f"search over {count:,} traces: {name}, ms", found, "{:.1f}")


def _experiment(server: Base) -> None:
    """Make the experiment 1, which both servers count from there."""
    body = json.dumps({"name": "bench"}).encode()
    path = f"{server.prefix}experiments/create"
    made: list[bytes] = []
    load(
        server.address,
        lambda _client, _number: request(
            "POST", path, host=f"127.0.0.1:{server.port}", headers=server.headers, body=body
        ),
        calls=1,
        answered=lambda _client, _number, answer: made.append(answer),
    )
    assert json.loads(made[0])["experiment_id"] == EXPERIMENT, made  # noqa: S101 - a benchmark's own check


def _show(what: str, found: dict[str, list[float]], shape: str) -> None:
    medians = {name: statistics.median(values) for name, values in found.items()}
    ours, theirs = medians["mltrail"], medians["mlflow"]
    figures = "   ".join(f"{name} {shape.format(value):>8}" for name, value in medians.items())
    print(f"{what:60} {figures}   ratio {ours / theirs:6.2f}", flush=True)


if __name__ == "__main__":
    main()

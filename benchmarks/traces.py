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
import random
import sqlite3
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.api.traces.exporter import message, span

from benchmarks.peers.bases import Base, Mlflow, Mltrail, _tree
from benchmarks.peers.load import load, request

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-clients/mlflow-3/bin/python"
CLIENTS = 8
EXPERIMENT = "1"
_TICKS = os.sysconf("SC_CLK_TCK")

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


class Mlflow3(Mlflow):
    """Spans come to its FastAPI application, which gunicorn's options would turn off."""

    python = PYTHON

    def command(self) -> list[str]:
        given = super().command()
        place = given.index("--gunicorn-opts")
        return given[:place] + given[place + 2 :]


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
            before = _processor(server)
            # Two calls a trace.
            sample = load(server.address, _Sender(server), clients=CLIENTS, seconds=seconds)
            traces = len(sample.milliseconds) / 2
            rates.setdefault(server.kind, []).append(traces / sample.seconds)
            costs.setdefault(server.kind, []).append((_processor(server) - before) / traces * 1000)
    _show("traces per second from 8 clients", rates, "{:.0f}")
    _show("server's processor time a trace, ms", costs, "{:.2f}")


class _Sender:
    """Sends traces of three spans, as MLflow's client does: first the spans, then the trace."""

    def __init__(self, server: Base) -> None:
        self._base = server.prefix.removesuffix("/api/2.0/mlflow/")
        self._server = server
        self._sent: dict[int, str] = {}

    def __call__(self, client: int, number: int) -> bytes:
        host = f"127.0.0.1:{self._server.port}"
        headers = self._server.headers
        if client not in self._sent:
            trace = self._sent[client] = uuid.uuid4().hex
            body = message(_spans(trace, number))
            sent = headers | {"x-mlflow-experiment-id": EXPERIMENT}
            return request(
                "POST", f"{self._base}/v1/traces", host=host, headers=sent, body=body, kind="application/x-protobuf"
            )
        body = json.dumps({"trace": {"trace_info": _info(self._sent.pop(client))}}).encode()
        return request("POST", f"{self._base}/api/3.0/mlflow/traces", host=host, headers=headers, body=body)


def _spans(trace: str, number: int) -> list[Any]:
    text = f"How long may I keep what I bought, order {number}? " * 4
    root = "b7ad6b7169203331"
    return [
        span(root, trace=trace, attributes={"mlflow.spanInputs": {"question": text}, "mlflow.spanOutputs": text}),
        span(2, trace=trace, parent=root, name="search", attributes={"mlflow.spanType": "TOOL", "hits": [1, 2, 3]}),
        span(
            3,
            trace=trace,
            parent=root,
            name="chat",
            attributes={
                "mlflow.spanType": "CHAT_MODEL",
                "mlflow.spanInputs": {"messages": [{"role": "user", "content": text}]},
                "mlflow.chat.tokenUsage": {"input_tokens": 50, "output_tokens": 9, "total_tokens": 59},
            },
        ),
    ]


def _info(trace: str) -> dict[str, Any]:
    return {
        "trace_id": f"tr-{trace}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": EXPERIMENT}},
        "request_time": "2026-11-28T18:24:18.176Z",
        "execution_duration": "0.305s",
        "state": "OK",
        "trace_metadata": {"mlflow.trace_schema.version": "3", "mlflow.user": "dana", "mlflow.traceInputs": "{}"},
        "tags": {"mlflow.traceName": "answer"},
        "request_preview": "How long",
        "response_preview": "30 days",
    }


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
        fill = _fill_ours if isinstance(server, Mltrail) else _fill_theirs
        with closing(sqlite3.connect(server.sqlite_file)) as database, database:
            fill(database, count)
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
                sample = load(server.address, _search(server, body), calls=5)
                found.setdefault(server.kind, []).append(statistics.median(sample.milliseconds))
        _show(f"search over {count:,} traces: {name}, ms", found, "{:.1f}")


def _search(server: Base, body: dict[str, Any]) -> Callable[[int, int], bytes]:
    path = server.prefix.replace("/api/2.0/", "/api/3.0/") + "traces/search"
    host = f"127.0.0.1:{server.port}"
    sent = request("POST", path, host=host, headers=server.headers, body=json.dumps(body).encode())
    return lambda _client, _number: sent


def _rows(count: int) -> list[tuple[str, int, int, str, dict[str, str], dict[str, str]]]:
    """Make traces: id, start, duration, state, tags, metadata."""
    numbers = random.Random(11)  # noqa: S311 - the same data each time, nothing secret
    rows = []
    for number in range(count):
        tags = {"mlflow.traceName": f"answer {numbers.randrange(50)}", "team": f"team {numbers.randrange(200)}"}
        metadata = {"mlflow.sourceRun": f"run {numbers.randrange(1000)}", "mlflow.trace_schema.version": "3"}
        state = "ERROR" if numbers.random() < 0.05 else "OK"
        rows.append((f"tr-{number:032x}", 1_795_890_000_000 + number, numbers.randrange(20_000), state, tags, metadata))
    return rows


def _fill_ours(database: sqlite3.Connection, count: int) -> None:
    rows = _rows(count)
    database.executemany(
        "INSERT INTO trace (project_id, id, experiment_iid, state, started_ms, duration_ms, user_name, announced, "
        "protected, created_ms) VALUES (1, ?, 1, ?, ?, ?, 'dana', 1, 0, ?)",
        [(row[0], 1 if row[3] == "OK" else 2, row[1], row[2], row[1]) for row in rows],
    )
    for table, place in (("trace_tag", 4), ("trace_metadata", 5)):
        database.executemany(
            f"INSERT INTO {table} (project_id, trace_id, key, value) VALUES (1, ?, ?, ?)",  # noqa: S608 - ours
            [(row[0], key, value) for row in rows for key, value in row[place].items()],  # type: ignore[attr-defined]
        )


def _fill_theirs(database: sqlite3.Connection, count: int) -> None:
    rows = _rows(count)
    columns = {row[1] for row in database.execute("PRAGMA table_info(trace_info)")}
    named = ", trace_name" if "trace_name" in columns else ""
    database.executemany(
        f"INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status{named}) "  # noqa: S608
        f"VALUES (?, 1, ?, ?, ?{', ?' if named else ''})",
        [(*row[:4], *([row[4]["mlflow.traceName"]] if named else ())) for row in rows],
    )
    for table, place in (("trace_tags", 4), ("trace_request_metadata", 5)):
        database.executemany(
            f"INSERT INTO {table} (request_id, key, value) VALUES (?, ?, ?)",  # noqa: S608 - theirs
            [(row[0], key, value) for row in rows for key, value in row[place].items()],  # type: ignore[attr-defined]
        )


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


def _processor(server: Base) -> float:
    """Processor seconds of a server's processes so far."""
    total = 0
    for pid in _tree(server.process.pid if server.process else 0):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    time.sleep(0)
    return total / _TICKS


def _show(what: str, found: dict[str, list[float]], shape: str) -> None:
    medians = {name: statistics.median(values) for name, values in found.items()}
    ours, theirs = medians["mltrail"], medians["mlflow"]
    figures = "   ".join(f"{name} {shape.format(value):>8}" for name, value in medians.items())
    print(f"{what:60} {figures}   ratio {ours / theirs:6.2f}", flush=True)


if __name__ == "__main__":
    main()

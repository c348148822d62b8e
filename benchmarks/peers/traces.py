"""Traces for a comparison: those that clients send, and many that are put into a database to be searched."""

import json
import random
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import Any

from tests.api.traces.exporter import message, span

from .bases import Base, Mltrail
from .load import request
from .seed import Rows, insert


class Sender:
    """Sends traces of three spans, as MLflow's client does: first the spans, then the trace."""

    def __init__(self, server: Base, experiment: str) -> None:
        self._experiment = experiment
        self._base = server.prefix.removesuffix("/api/2.0/mlflow/")
        self._server = server
        self._sent: dict[int, str] = {}

    def __call__(self, client: int, number: int) -> bytes:
        host = f"127.0.0.1:{self._server.port}"
        headers = self._server.headers
        if client not in self._sent:
            trace = self._sent[client] = uuid.uuid4().hex
            body = message(_spans(trace, number))
            sent = headers | {"x-mlflow-experiment-id": self._experiment}
            return request(
                "POST", f"{self._base}/v1/traces", host=host, headers=sent, body=body, kind="application/x-protobuf"
            )
        body = json.dumps({"trace": {"trace_info": _info(self._sent.pop(client), self._experiment)}}).encode()
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


def _info(trace: str, experiment: str) -> dict[str, Any]:
    return {
        "trace_id": f"tr-{trace}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2026-11-28T18:24:18.176Z",
        "execution_duration": "0.305s",
        "state": "OK",
        "trace_metadata": {"mlflow.trace_schema.version": "3", "mlflow.user": "dana", "mlflow.traceInputs": "{}"},
        "tags": {"mlflow.traceName": "answer"},
        "request_preview": "How long",
        "response_preview": "30 days",
    }


def search(server: Base, body: dict[str, Any]) -> Callable[[int, int], bytes]:
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


def fill(server: Base, experiment: str, count: int) -> None:
    """Put traces into a server's database, as its own code would have."""
    made = _ours(count, experiment) if isinstance(server, Mltrail) else _theirs(count, experiment, server)
    for rows in made:
        insert(server, rows)


def _ours(count: int, experiment: str) -> list[Rows]:
    rows = _rows(count)
    traces = [
        (1, one[0], int(experiment), 1 if one[3] == "OK" else 2, one[1], one[2], "dana", True, False, one[1])
        for one in rows
    ]
    columns = (
        "project_id, id, experiment_iid, state, started_ms, duration_ms, user_name, announced, protected, created_ms"
    )
    pairs = "project_id, trace_id, key, value"
    return [
        ("trace", columns, traces),
        ("trace_tag", pairs, [(1, one[0], *pair) for one in rows for pair in one[4].items()]),
        ("trace_metadata", pairs, [(1, one[0], *pair) for one in rows for pair in one[5].items()]),
    ]


def _theirs(count: int, experiment: str, server: Base) -> list[Rows]:
    rows = _rows(count)
    named = "trace_name" in _columns(server)
    traces = [(one[0], int(experiment), *one[1:4], *([one[4]["mlflow.traceName"]] if named else ())) for one in rows]
    columns = f"request_id, experiment_id, timestamp_ms, execution_time_ms, status{', trace_name' if named else ''}"
    return [
        ("trace_info", columns, traces),
        ("trace_tags", "request_id, key, value", [(one[0], *pair) for one in rows for pair in one[4].items()]),
        (
            "trace_request_metadata",
            "request_id, key, value",
            [(one[0], *pair) for one in rows for pair in one[5].items()],
        ),
    ]


def _columns(server: Base) -> set[str]:
    if server.database_url:
        import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

        with psycopg.connect(server.database_url) as connection:
            query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'trace_info'"
            return {row[0] for row in connection.execute(query)}
    with closing(sqlite3.connect(server.sqlite_file)) as database:
        return {row[1] for row in database.execute("PRAGMA table_info(trace_info)")}

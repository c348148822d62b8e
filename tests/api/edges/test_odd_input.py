"""Whatever comes in, the answer is an error that says why, never a bare 500.

The sweep of fields leaves out `/metrics`, which reads none and whose answer is long. On PostgreSQL each value meets
half as many fields of each route as on SQLite: what differs is what a value does in a statement.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.mlflow_client import LOCAL_TOKEN, Mlflow

ODD: tuple[Any, ...] = (
    *(None, "", "x", "\x00", "\ud800", "é" * 9000, "'", '"', "`", "%", "../..", "0", "-1", "1e400", "NaN"),
    *(0, -1, 2**63, 2**64, -(2**63), 1e308, True, False, [], {}, [[]], [{}], [None], ["x"], {"a": {}}),
    *([{"key": "k"}], [{"key": "k", "value": None}], [{"key": "\x00", "value": "\ud800", "timestamp": 2**63}]),
)
FIELDS = (
    *("experiment_id", "experiment_ids", "experiment_name", "name", "new_name", "run_id", "run_uuid", "key", "value"),
    *("timestamp", "step", "status", "end_time", "start_time", "tags", "params", "metrics", "filter", "order_by"),
    *("max_results", "page_token", "run_view_type", "view_type", "metric_key", "datasets", "models", "model_json"),
    *("version", "alias", "stage", "stages", "source", "description", "model_id", "path", "archive_existing_versions"),
    *("artifact_directory_path", "allow_deleted", "pipeline_id", "model_type", "source_run_id"),
)
BODIES = (b"", b"null", b"[]", b"1", b'"x"', b"{", b"\xff", b"[" * 5000, b'{"a":' * 2000, b'{"run_id": "\\ud800"}')


def calls(app: Flask, run_id: str) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        url = re.sub(r"<project:project>", "1", rule.rule)
        url = re.sub(r"<int:[^>]+>", "1", url)
        url = re.sub(r"<path:path>", f"0/{run_id}/artifacts/f", url)
        url = re.sub(r"<[^>]+>", "x", url)
        if "/ajax-api/" not in url and "/preview/" not in url:
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield method, url


def send(client: FlaskClient, method: str, url: str, **options: Any) -> int:
    answer = client.open(url, method=method, headers={"Authorization": f"Bearer {LOCAL_TOKEN}"}, **options)
    # Local mode knows no pipelines, and says so with 503; multipart is 501.
    assert answer.status_code < 500 or answer.status_code in (501, 503), (method, url, options, answer.get_data())
    return answer.status_code


@pytest.mark.filterwarnings("ignore:Exception ignored")
def test_no_value_of_any_field_breaks_any_route(app: Flask, mlflow: Mlflow, run_id: str, backend: str) -> None:
    client = app.test_client(use_cookies=False)
    every = 4 if backend == "sqlite" else 8
    known = {
        "run_id": run_id,
        "experiment_id": "0",
        "name": "m",
        "key": "k",
        "value": "1",
        "timestamp": 1,
        "version": "1",
    }
    known |= {"max_results": 5, "metric_key": "k", "alias": "a", "experiment_ids": ["0"], "stage": "None", "path": ""}
    count = 0
    for method, url in calls(app, run_id):
        if url == "/metrics":
            continue
        for number, odd in enumerate(ODD):
            # Each route meets each odd value in some fields; over all routes, every field meets every value.
            for field in FIELDS[(count + number) % every :: every]:
                body = known | {field: odd}
                count += 1
                if method == "GET":
                    text = (
                        odd
                        if isinstance(odd, str) and "\ud800" not in odd
                        else str(odd)[:100].encode("ascii", "replace")
                    )
                    send(client, method, url, query_string={**known, field: text})
                else:
                    send(client, method, url, json=body)
            if url.endswith(("runs/delete", "experiments/delete", "/artifacts/f")):
                send(client, "POST", url.rsplit("/", 1)[0] + "/restore", json=known)
    assert count > 20_000


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
def test_no_body_breaks_any_route(app: Flask, mlflow: Mlflow, run_id: str, body: bytes) -> None:
    client = app.test_client()
    for method, url in calls(app, run_id):
        send(client, method, url, data=body, content_type="application/json")


@pytest.mark.parametrize(
    "query", ["%ff=%fe", "run_id=%ff", "a" * 5000, "max_results=1&max_results=x", "=&&=", "page=%00"]
)
def test_no_query_breaks_any_route(app: Flask, mlflow: Mlflow, run_id: str, query: str) -> None:
    client = app.test_client()
    for method, url in calls(app, run_id):
        if method == "GET":
            send(client, method, f"{url}?{query}")


@pytest.mark.parametrize(
    "value", ["\x00", "a\x00b", "\\\x00", "\\\\\x00"], ids=["alone", "inside", "after one", "after two backslashes"]
)
def test_nul_is_refused_on_every_database(mlflow: Mlflow, run_id: str, value: str) -> None:
    """PostgreSQL keeps none; what SQLite had kept could not be moved there."""
    for path, fields in (
        ("runs/set-tag", {"run_id": run_id, "key": "k", "value": value}),
        ("runs/log-parameter", {"run_id": run_id, "key": "k", "value": value}),
        ("experiments/create", {"name": value}),
        ("registered-models/create", {"name": "m", "description": value}),
        ("runs/log-batch", {"run_id": run_id, "tags": [{"key": "k", "value": value}]}),
    ):
        assert mlflow.error("POST", path, **fields)[:2] == (400, "INVALID_PARAMETER_VALUE"), path
    for kept in ("\\u0000", "C:\\u0000\\\\u0000", "\u2400"):
        mlflow.post("runs/set-tag", run_id=run_id, key="k", value=kept)
        tags = mlflow.get("runs/get", run_id=run_id)["run"]["data"]["tags"]
        assert {"key": "k", "value": kept} in tags

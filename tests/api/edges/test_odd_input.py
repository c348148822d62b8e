"""Whatever comes in, the answer is an error that says why, never a bare 500.

The sweep of fields leaves out `/metrics`, which reads none and whose answer is long. On SQLite each field of each route
meets each value; on PostgreSQL half of the values: what differs is what a value does in a statement.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import ImmutableMultiDict

from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.ui.browsing import sign_in

ODD: tuple[Any, ...] = (
    *(None, "", "x", "\x00", "\ud800", "é" * 9000, "'", '"', "`", "%", "../..", "0", "-1", "1e400", "NaN"),
    *(0, -1, 2**63, 2**64, -(2**63), 1e308, True, False, [], {}, [[]], [{}], [None], ["x"], {"a": {}}),
    *([{"key": "k"}], [{"key": "k", "value": None}], [{"key": "\x00", "value": "\ud800", "timestamp": 2**63}]),
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


class Asked(ImmutableMultiDict[str, str]):
    """The parameters of a query or form; `names` are those that a route has asked for."""

    names: ClassVar[set[str]] = set()

    def get(self, key: Any, *default: Any, **options: Any) -> Any:
        self.names.add(key)
        return super().get(key, *default, **options)

    def getlist(self, key: Any, **options: Any) -> Any:
        self.names.add(key)
        return super().getlist(key, **options)

    def __getitem__(self, key: Any) -> Any:
        self.names.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: Any) -> bool:
        self.names.add(key)
        return super().__contains__(key)


@pytest.fixture
def asked(app: Flask, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the fields that the routes called meanwhile have asked for: in their messages, queries and forms."""

    def noted(read: Callable[..., Any]) -> Callable[..., Any]:
        def reading(*given: Any, **options: Any) -> Any:
            Asked.names.update(getattr(options.get("type"), "__struct_fields__", ()))
            return read(*given, **options)

        return reading

    monkeypatch.setattr(msgspec.json, "decode", noted(msgspec.json.decode))
    monkeypatch.setattr(msgspec, "convert", noted(msgspec.convert))
    monkeypatch.setattr(app.request_class, "parameter_storage_class", Asked)
    return Asked.names


@pytest.mark.filterwarnings("ignore:Exception ignored")
def test_no_value_of_any_field_breaks_any_route(
    app: Flask, mlflow: Mlflow, run_id: str, backend: str, asked: set[str]
) -> None:
    script, browser = app.test_client(use_cookies=False), app.test_client()
    sign_in(browser, LOCAL_TOKEN)
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

    def call(method: str, url: str, **changed: Any) -> None:
        if method == "GET":
            client = browser if "/-/ml/" in url else script
            send(client, method, url, query_string=known | {name: as_text(odd) for name, odd in changed.items()})
        else:
            send(script, method, url, json=known | changed)

    every = 1 if backend == "sqlite" else 2
    count = 0
    for method, url in calls(app, run_id):
        if url == "/metrics":
            continue
        asked.clear()
        call(method, url)
        meetings = [(field, odd) for field in sorted(asked) for odd in ODD]
        for field, odd in meetings[count % every :: every]:
            call(method, url, **{field: odd})
            count += 1
        if url.endswith(("runs/delete", "experiments/delete", "/artifacts/f")):
            send(script, "POST", url.rsplit("/", 1)[0] + "/restore", json=known)
    assert count > 8_000 / every


def as_text(odd: Any) -> str | bytes:
    """What a query can say of a value."""
    return odd if isinstance(odd, str) and "\ud800" not in odd else str(odd)[:100].encode("ascii", "replace")


@pytest.mark.every_case
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
def test_no_body_breaks_any_route(app: Flask, mlflow: Mlflow, run_id: str, body: bytes) -> None:
    client = app.test_client()
    for method, url in calls(app, run_id):
        send(client, method, url, data=body, content_type="application/json")


@pytest.mark.every_case
@pytest.mark.parametrize(
    "query", ["%ff=%fe", "run_id=%ff", "a" * 5000, "max_results=1&max_results=x", "=&&=", "page=%00"]
)
def test_no_query_breaks_any_route(app: Flask, mlflow: Mlflow, run_id: str, query: str) -> None:
    client = app.test_client()
    for method, url in calls(app, run_id):
        if method == "GET":
            send(client, method, f"{url}?{query}")


@pytest.mark.every_case
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

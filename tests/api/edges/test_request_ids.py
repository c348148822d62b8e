"""Every response has an ID by which its call is found in the log; errors of the server's own say it."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mltrail_server.app import create_app
from mltrail_server.services.context.deps import Deps
from mltrail_server.telemetry import logs
from mltrail_server.telemetry.secrets_in_logs import Hiding
from tests.mlflow_client import LOCAL_TOKEN, Mlflow

API = "/api/v4/projects/1/ml/mlflow/api/2.0/mlflow"


@pytest.fixture
def broken(app: Flask) -> Callable[[str], Any]:
    """Have a path fail by a mistake of ours."""

    def register(path: str) -> None:
        def fails() -> None:
            raise RuntimeError("a mistake of ours")

        app.add_url_rule(path, f"broken:{path}", fails)

    return register


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/metrics", 200),
        ("/-/assets/app.css", 200),
        ("/no/such/page", 404),
        (f"{API}/runs/get?run_id=none", 404),
        (f"{API}/no-such-call", 404),
        ("/api/v4/projects/1/ml/no-such-call", 404),
    ],
)
def test_every_response_has_an_id(client: FlaskClient, mlflow: Mlflow, path: str, status: int) -> None:
    answer = client.get(path, headers={"Authorization": f"Bearer {mlflow.token}"})
    assert answer.status_code == status
    assert len(answer.headers.getlist("X-Request-Id")) == 1
    assert answer.headers["X-Request-Id"] != client.get(path).headers["X-Request-Id"]


def test_a_download_has_one_too(mlflow: Mlflow, run_id: str) -> None:
    path = f"api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/a.bin"
    mlflow.call("PUT", path, data=b"x" * 300_000)
    answer = mlflow.call("GET", path, headers={"X-Request-Id": "of-the-proxy"})
    assert (len(answer.data), answer.headers["X-Request-Id"]) == (300_000, "of-the-proxy")


@pytest.mark.parametrize("sent", ["a b", "x" * 65, "<script>", "", "é"])
def test_an_id_that_is_none_is_replaced(client: FlaskClient, sent: str) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": sent}).headers["X-Request-Id"] != sent


@pytest.mark.parametrize(
    "path",
    ["/api/v4/projects/1/ml/mlflow/broken", "/api/v4/projects/1/ml/broken", "/broken"],
    ids=["mlflow", "gitlab", "page"],
)
def test_internal_errors_say_it_in_each_edges_shape(
    client: FlaskClient, broken: Callable[[str], Any], caplog: pytest.LogCaptureFixture, path: str
) -> None:
    broken(path)
    answer = client.get(path, headers={"X-Request-Id": "seen-by-the-proxy"})
    assert answer.status_code == 500
    shown = answer.get_data(as_text=True) if path == "/broken" else answer.json["message"]
    assert "(request seen-by-the-proxy)" in shown
    handler = logs.JsonLines(Hiding())
    line = json.loads(handler.format(caplog.records[-1]))
    assert line["request_id"] == "seen-by-the-proxy"
    assert "a mistake of ours" in line["exception"]


def test_what_is_unavailable_says_it(client: FlaskClient, deps: Deps, caplog: pytest.LogCaptureFixture) -> None:
    folder = deps.settings.artifacts_path
    folder.parent.mkdir(exist_ok=True)
    folder.rmdir() if folder.exists() else None
    folder.write_text("a file stands where the folder should be")
    answer = client.get("/readyz", headers={"X-Request-Id": "r-1"})
    assert answer.status_code == 503
    assert "(request r-1)" in answer.get_data(as_text=True)
    assert "/readyz" in caplog.text


def test_requests_are_logged_by_route_where_that_is_asked_for(deps: Deps, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(replace(deps, settings=replace(deps.settings, log_requests="on")))
    client = app.test_client()
    Mlflow(client).post("experiments/create", name="secret-plan")
    path = f"{API}/experiments/get-by-name?experiment_name=secret-plan"
    client.get(path, headers={"Authorization": f"Bearer {LOCAL_TOKEN}"}, buffered=True)
    lines = [record for record in caplog.records if record.name == "mltrail_server.requests"]
    fields = vars(lines[-1])["fields"]
    assert (fields["method"], fields["status"]) == ("GET", 200)
    assert fields["route"].endswith("/experiments/get-by-name")
    assert fields["bytes"] > 0
    assert "project 1" in lines[-1].getMessage()
    assert "secret-plan" not in caplog.text


def test_requests_are_not_logged_otherwise(mlflow: Mlflow, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    mlflow.call("GET", "api/2.0/mlflow/experiments/get?experiment_id=0")
    assert not [record for record in caplog.records if record.name == "mltrail_server.requests"]

"""A server without the extra `traces` says so to whoever sends spans, and still takes them as files."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from google.rpc.status_pb2 import Status

from tests.api.traces.caller import a_trace
from tests.api.traces.exporter import PROTOBUF, message, span
from tests.api.traces.traces_json import FILE, ID, file_of
from tests.e2e.processes import Server
from tests.mlflow_client import FILES

TOKEN = "local-token-of-the-tests"
OF_MLFLOW = {"User-Agent": "mlflow-python-client/3.18.0"}
BLOCKED = """
import sys

sys.modules.update({"opentelemetry": None, "opentelemetry.proto": None, "google.protobuf": None})
"""
"""Python imports this file when it starts, and finds neither package afterwards, as if they had not been installed."""

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("without")
    (folder / "sitecustomize.py").write_text(BLOCKED)
    with Server.started(folder / "data", token=TOKEN, PYTHONPATH=str(folder)) as started:
        yield started


def call(server: Server, method: str, path: str, body: bytes, **headers: str) -> urllib3.BaseHTTPResponse:
    url = f"{server.url}/api/v4/projects/1/ml/mlflow/{path}"
    return urllib3.request(method, url, body=body, headers={"Authorization": f"Bearer {TOKEN}", **headers})


def test_whoever_sends_spans_learns_it(server: Server) -> None:
    sent, about = message([span()]), {"Content-Type": PROTOBUF, "x-mlflow-experiment-id": "0"}
    answer = call(server, "POST", "v1/traces", sent, **about, **OF_MLFLOW)
    assert (answer.status, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    assert "REST OTLP span logging is not supported" in answer.json()["message"], (
        "MLflow's client looks for these words"
    )
    answer = call(server, "POST", "v1/traces", sent, **about)
    said = Status.FromString(answer.data)
    assert (answer.status, said.code) == (501, 12)
    assert "install the extra `traces`" in said.message


def test_clients_of_mlflow_send_the_file_instead(server: Server) -> None:
    asked = json.dumps({"trace": a_trace(ID)}).encode()
    started = call(server, "POST", "api/3.0/mlflow/traces", asked, **{"Content-Type": "application/json"})
    assert started.status == 200, started.data
    assert call(server, "PUT", f"{FILES}/{FILE}", file_of(1, 2)).status == 200
    assert call(server, "GET", f"{FILES}/{FILE}", b"").data == file_of(1, 2)

"""A client whose answer was lost sends again, and what it wrote is there once.

MLflow's clients do so by themselves, see
https://mlflow.org/docs/latest/api_reference/python_api/mlflow.environment_variables.html
Creates without a natural key (a run, a logged model, a model version) are excepted: nothing tells the second from
another one. Creates with a name answer the second time that it exists.
"""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from tests.e2e.processes import Server

TOKEN = "token-of-the-retry-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
PROJECT = "/api/v4/projects/1/ml/mlflow"
API = f"{PROJECT}/api/2.0/mlflow"


class Forgetful:
    """A proxy that hands each request on, waits for the answer, and hangs up instead of handing it back."""

    def __init__(self, server: Server) -> None:
        address = urlsplit(server.url)
        self._target = (address.hostname, address.port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            with client, socket.create_connection(self._target) as server:
                server.sendall(_whole_request(client))
                assert server.recv(65536)

    def close(self) -> None:
        self._door.close()


def _whole_request(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += client.recv(65536)
    return head + b"\r\nConnection: close\r\n\r\n" + body


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.started(tmp_path_factory.mktemp("server"), token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Forgetful]:
    made = Forgetful(server)
    yield made
    made.close()


def ask(url: str, method: str, path: str, body: Any = None) -> Any:
    headers = HEADERS | ({"Content-Type": "application/json"} if isinstance(body, dict) else {})
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    return urllib3.request(method, f"{url}{path}", body=data, headers=headers, retries=False)


def good(server: Server, method: str, path: str, body: Any = None) -> Any:
    answer = ask(server.url, method, f"{API}/{path}", body)
    assert answer.status == 200, answer.data
    return answer.json()


@pytest.fixture
def run_id(server: Server) -> str:
    made: str = good(server, "POST", "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    return made


@pytest.fixture
def model_id(server: Server, run_id: str) -> str:
    body = {"experiment_id": "0", "source_run_id": run_id}
    made: str = good(server, "POST", "logged-models", body)["model"]["info"]["model_id"]
    return made


POINT = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 0}
DATASET = {"name": "d", "digest": "1", "source_type": "local", "source": "s"}


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "runs/log-metric", {"run_id": "RUN", **POINT}),
        ("POST", "runs/log-batch", {"run_id": "RUN", "metrics": [POINT, POINT | {"step": 1, "value": "NaN"}]}),
        ("POST", "runs/log-batch", {"run_id": "RUN", "params": [{"key": "lr", "value": "1"}]}),
        ("POST", "runs/log-parameter", {"run_id": "RUN", "key": "lr", "value": "1"}),
        ("POST", "runs/set-tag", {"run_id": "RUN", "key": "a", "value": "b"}),
        ("POST", "runs/log-inputs", {"run_id": "RUN", "datasets": [{"dataset": DATASET, "tags": []}]}),
        ("POST", "runs/outputs", {"run_id": "RUN", "models": [{"model_id": "<model>", "step": 0}]}),
        ("POST", "runs/update", {"run_id": "RUN", "status": "FINISHED", "end_time": 5}),
        ("POST", "runs/delete", {"run_id": "RUN"}),
        ("PATCH", "logged-models/<model>/tags", {"tags": [{"key": "a", "value": "b"}]}),
        ("POST", "logged-models/<model>/params", {"params": [{"key": "a", "value": "b"}]}),
        ("PATCH", "logged-models/<model>", {"status": "LOGGED_MODEL_READY"}),
    ],
)
def test_what_is_sent_twice_is_there_once(
    server: Server, proxy: Forgetful, run_id: str, model_id: str, method: str, path: str, body: dict[str, Any]
) -> None:
    body = json.loads(json.dumps(body).replace("RUN", run_id).replace("<model>", model_id))
    path = path.replace("<model>", model_id)

    def state() -> Any:
        found = [good(server, "GET", f"runs/get?run_id={run_id}"), good(server, "GET", f"logged-models/{model_id}")]
        found.append(good(server, "GET", f"metrics/get-history?run_id={run_id}&metric_key=loss"))
        found[1]["model"]["info"].pop("last_updated_timestamp_ms")
        return found

    before = state()
    with pytest.raises(urllib3.exceptions.ProtocolError):
        ask(proxy.url, method, f"{API}/{path}", body)
    once = state()
    assert once != before
    good(server, method, path, body)
    assert state() == once


@pytest.mark.e2e
def test_a_file_that_is_sent_twice(server: Server, proxy: Forgetful, run_id: str) -> None:
    path = f"{PROJECT}/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/a.txt"
    with pytest.raises(urllib3.exceptions.ProtocolError):
        ask(proxy.url, "PUT", path, b"content")
    assert ask(server.url, "PUT", path, b"content").status == 200
    listed = good(server, "GET", f"artifacts/list?run_id={run_id}")
    assert [(one["path"], one["file_size"]) for one in listed["files"]] == [("a.txt", 7)]


@pytest.mark.e2e
@pytest.mark.parametrize("path", ["experiments/create", "registered-models/create"])
def test_what_has_a_name_is_made_once_and_says_so(server: Server, proxy: Forgetful, path: str) -> None:
    body = {"name": f"once {path.partition('/')[0]}"}
    with pytest.raises(urllib3.exceptions.ProtocolError):
        ask(proxy.url, "POST", f"{API}/{path}", body)
    again = ask(server.url, "POST", f"{API}/{path}", body)
    assert (again.status, again.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")

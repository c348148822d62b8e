"""Requests as MLflow's Java client, curl and old proxies put them on the wire.

https://mlflow.org/docs/latest/api_reference/java_api/
"""

import base64
import hashlib
import json
import socket
from urllib.parse import urlsplit

import pytest
import urllib3

from tests.contract.conftest import TOKEN
from tests.contract.raw import API, BASE, JAVA, call
from tests.e2e.processes import Server
from tests.processes import PATIENCE_SECONDS


def spoken(server: Server, *parts: bytes, end: bool = False) -> bytes:
    """Send bytes as they are, and read until the other side hangs up or has answered once."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_SECONDS) as connection:
        for part in parts:
            connection.sendall(part)
        if end:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while b"\r\n\r\n" not in answer or len(_body(answer)) < _length(answer):
            piece = connection.recv(65536)
            if not piece:
                break
            answer += piece
        return answer


def _body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def _length(answer: bytes) -> int:
    lines = answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    return next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)


def head(method: str, path: str, *lines: str, version: str = "1.1") -> bytes:
    sent = [f"{method} {path} HTTP/{version}", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}", *lines, "", ""]
    return "\r\n".join(sent).encode()


def a_run(server: Server) -> str:
    made: str = call(server, "POST", "runs/create", '{"experiment_id": "0"}')["run"]["info"]["run_id"]
    return made


def test_the_java_client(server: Server) -> None:
    """Protocol buffers as JSON: 64-bit numbers are texts, both names of the run are sent, defaults are left out."""
    made = call(server, "POST", "experiments/create", '{"name": "java"}')["experiment_id"]
    body = json.dumps({"experiment_id": made, "user_id": "me", "start_time": "1700000000000"})
    run = call(server, "POST", "runs/create", body)["run"]["info"]
    both = {"run_uuid": run["run_uuid"], "run_id": run["run_id"]}
    metric = {"key": "loss", "value": 0.5, "timestamp": "1700000000001", "step": "3"}
    call(server, "POST", "runs/log-metric", json.dumps(both | metric))
    call(server, "POST", "runs/log-parameter", json.dumps(both | {"key": "lr", "value": "0.1"}))
    call(server, "POST", "runs/set-tag", json.dumps(both | {"key": "a", "value": "b"}))
    batch = {"metrics": [metric | {"step": "4", "value": "NaN"}], "params": [], "tags": [{"key": "c", "value": "d"}]}
    call(server, "POST", "runs/log-batch", json.dumps({"run_id": run["run_id"]} | batch))
    call(server, "POST", "runs/update", json.dumps(both | {"status": "FINISHED", "end_time": "1700000000002"}))
    got = call(server, "GET", f"runs/get?run_uuid={run['run_uuid']}&run_id={run['run_id']}")["run"]
    assert (got["info"]["status"], got["info"]["start_time"], got["info"]["end_time"]) == (
        "FINISHED",
        1_700_000_000_000,
        1_700_000_000_002,
    )
    assert got["data"]["metrics"] == [{"key": "loss", "value": "NaN", "timestamp": 1_700_000_000_001, "step": 4}]
    history = call(
        server, "GET", f"metrics/get-history?run_uuid={run['run_id']}&run_id={run['run_id']}&metric_key=loss"
    )
    assert [one["step"] for one in history["metrics"]] == [3, 4]
    search = {
        "experiment_ids": [made],
        "filter": "",
        "run_view_type": "ACTIVE_ONLY",
        "max_results": 1000,
        "order_by": [],
    }
    assert len(call(server, "POST", "runs/search", json.dumps(search))["runs"]) == 1
    found = call(server, "POST", "experiments/search", '{"max_results": "50"}')["experiments"]
    assert made in [one["experiment_id"] for one in found]


def test_a_body_in_chunks(server: Server) -> None:
    run = a_run(server)
    body = json.dumps({"run_id": run, "key": "a", "value": "b"}).encode()
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked", "Connection: close")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    assert spoken(server, head("POST", f"{API}/runs/set-tag", *lines), chunks).startswith(b"HTTP/1.1 200")
    tags = call(server, "GET", f"runs/get?run_id={run}")["run"]["data"]["tags"]
    assert {"key": "a", "value": "b"} in tags


@pytest.mark.parametrize("chunks", [[b"hello"], [b"he", b"llo"], [b"h" * 70_000, b"x"], []], ids=len)
def test_a_file_in_chunks(server: Server, chunks: list[bytes]) -> None:
    """As `curl -T -` sends one, and `requests.put(data=<generator>)`."""
    path = f"{BASE}/api/2.0/mlflow-artifacts/artifacts/0/{a_run(server)}/artifacts/f.bin"
    lines = ("Transfer-Encoding: chunked", "Connection: close")
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in chunks) + b"0\r\n\r\n"
    assert spoken(server, head("PUT", path, *lines), body).startswith(b"HTTP/1.1 200")
    assert urllib3.request("GET", f"{server.url}{path}", headers=JAVA).data == b"".join(chunks)


@pytest.mark.parametrize(("sent", "status"), [(b"hello", 200), (b"hell", 400)])
def test_a_digest_makes_sure_of_a_file_in_chunks(server: Server, sent: bytes, status: int) -> None:
    run = a_run(server)
    path = f"{BASE}/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/f.bin"
    digest = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    lines = ("Transfer-Encoding: chunked", f"Content-Digest: sha-256=:{digest}:", "Connection: close")
    answer = spoken(server, head("PUT", path, *lines), b"%x\r\n%s\r\n0\r\n\r\n" % (len(sent), sent))
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    listed = call(server, "GET", f"artifacts/list?run_id={run}")["files"]
    assert [one["path"] for one in listed] == (["f.bin"] if status == 200 else [])


def test_curl_asks_before_it_sends(server: Server) -> None:
    run = a_run(server)
    path = f"{BASE}/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/a.bin"
    lines = ("Content-Length: 4", "Expect: 100-continue", "Connection: close")
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(head("PUT", path, *lines))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"data")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    got = urllib3.request("GET", f"{server.url}{path}", headers=JAVA)
    assert got.data == b"data"


def test_http_1_0(server: Server) -> None:
    answer = spoken(server, head("GET", f"{API}/experiments/get?experiment_id=0", version="1.0"))
    assert b" 200 " in answer.partition(b"\r\n")[0]
    assert json.loads(_body(answer))["experiment"]["name"] == "Default"


def test_calls_share_a_connection(server: Server) -> None:
    with urllib3.HTTPConnectionPool("127.0.0.1", urlsplit(server.url).port, maxsize=1) as pool:
        for _ in range(5):
            assert pool.request("GET", f"{API}/experiments/get?experiment_id=0", headers=JAVA).status == 200
        assert pool.num_connections == 1


def test_no_content_type(server: Server) -> None:
    body = b'{"name": "untyped"}'
    answer = spoken(server, head("POST", f"{API}/experiments/create", f"Content-Length: {len(body)}"), body)
    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert "Content-Type: application/json" in json.loads(_body(answer))["message"]


@pytest.mark.parametrize("whole", [100, 10_000])
def test_an_upload_that_breaks_off_is_not_there(server: Server, whole: int) -> None:
    run = a_run(server)
    path = f"{BASE}/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/cut.bin"
    spoken(server, head("PUT", path, f"Content-Length: {whole}"), b"half", end=True)
    assert call(server, "GET", f"artifacts/list?run_id={run}").get("files", []) == []


def test_a_body_that_breaks_off_changes_nothing(server: Server) -> None:
    run = a_run(server)
    lines = ("Content-Type: application/json", "Content-Length: 500")
    body = json.dumps({"run_id": run, "key": "a", "value": "b"}).encode()
    spoken(server, head("POST", f"{API}/runs/set-tag", *lines), body, end=True)
    assert "a" not in [tag["key"] for tag in call(server, "GET", f"runs/get?run_id={run}")["run"]["data"]["tags"]]

"""Bodies that never come: others are served meanwhile, and the sender gets an error and is disconnected."""

import http.client
import json
import shlex
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import urllib3

from tests.e2e.gunicorn import documented
from tests.team_server import TeamServer
from tests.unfinished import begin

SLOW = 40
"""More than gunicorn has threads, and granian's processes had."""


def answer_to(connection: socket.socket) -> tuple[int, str]:
    """Read an answer's status and message. With 408 the server hangs up."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    message = json.loads(answer.read())["message"]
    if answer.status == 408:
        assert connection.recv(1) == b""
    return answer.status, message


@contextmanager
def served(folder: Path, kind: str) -> Iterator[TeamServer]:
    settings = {"MLTRAIL_BODY_SECONDS": "2"}
    if kind == "granian":
        with TeamServer(folder / "server", **settings) as server:
            yield server
    else:
        (folder / "numbers").mkdir()
        command = documented()
        command[command.index("--threads") + 1] = str(SLOW + 8)
        with TeamServer(
            folder / "server", command=command, PROMETHEUS_MULTIPROC_DIR=str(folder / "numbers"), **settings
        ) as server:
            yield server


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["granian", "gunicorn"])
def test_slow_bodies_hold_nobody_up_and_are_ended(tmp_path: Path, kind: str) -> None:
    with served(tmp_path, kind) as server, ExitStack() as open_ones:
        url, token = server.tracking_uri, server.token()
        created = urllib3.request(
            "POST",
            f"{url}/api/2.0/mlflow/runs/create",
            json={"experiment_id": "0"},
            headers={"Authorization": f"Bearer {token}"},
        )
        run = created.json()["run"]["info"]["run_id"]
        places = (
            ("/api/2.0/mlflow/runs/log-metric", 300, b'{"run_id": "'),
            ("/api/2.0/mlflow/runs/search", 5_000_000, b"{" * 100_000),
            (f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/a.bin", 10_000_000, b"x" * 1000),
        )
        slow = [
            open_ones.enter_context(begin(url, path, token, size=size, sent=sent))
            for path, size, sent in places
            for _ in range(SLOW // 3)
        ]
        # While they hang, another one is answered.
        answer = urllib3.request(
            "GET", f"{url}/api/2.0/mlflow/runs/get?run_id={run}", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status == 200
        answers = {answer_to(connection) for connection in slow}
        assert all(message for _, message in answers)
        assert 408 in {status for status, _ in answers} <= {408, 429}
        # And an honest one of some size goes through.
        put = urllib3.request(
            "PUT",
            f"{url}/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/large.bin",
            body=b"x" * 20_000_000,
            headers={"Authorization": f"Bearer {token}"},
        )
        assert put.status == 200


def test_the_documented_command_has_threads() -> None:
    assert "--threads" in shlex.join(documented())

"""A server that is asked to stop tells load balancers first, and finishes what it has begun."""

import json
import signal
import socket
import subprocess
import threading
from http.client import HTTPResponse
from pathlib import Path

import pytest

from mltrail_server.serve import _after_draining
from tests.e2e.processes import COMMAND
from tests.processes import PATIENCE_SECONDS, free_port, status, wait_until
from tests.team_server import TeamServer
from tests.unfinished import begin

SEARCH = json.dumps({"max_results": 5}).encode()


def readiness(server: TeamServer) -> int:
    return status(f"{server.url}/readyz")


def ready(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([COMMAND, "ready", *arguments], capture_output=True, text=True, check=False)


def begin_a_search(server: TeamServer) -> socket.socket:
    path = "/api/2.0/mlflow/experiments/search"
    return begin(server.tracking_uri, path, server.token(), size=len(SEARCH), sent=SEARCH[:5])


def finish_the_search(call: socket.socket) -> int:
    call.sendall(SEARCH[5:])
    answer = HTTPResponse(call)
    answer.begin()
    return answer.status


@pytest.mark.e2e
def test_a_load_balancer_is_told_while_calls_are_still_served(tmp_path: Path) -> None:
    with TeamServer(tmp_path / "server", MLTRAIL_DRAIN_SECONDS="3600") as server:
        assert server.process
        assert ready("--url", f"{server.url}/readyz").returncode == 0
        server.process.terminate()
        # Every process knows.
        for _ in range(20):
            wait_until(lambda: readiness(server) == 503, "/readyz says that it stops")
        asked = ready("--url", f"{server.url}/readyz")
        assert (asked.returncode, "about to end" in asked.stderr) == (1, True)
        assert server.get("/healthz").status == 200
        with begin_a_search(server) as call:
            assert finish_the_search(call) == 200
        # Those who can't wait send the signal again.
        server.process.terminate()
        assert server.process.wait(timeout=PATIENCE_SECONDS) == 0
        server.process = None


@pytest.mark.e2e
@pytest.mark.parametrize("drain_seconds", ["0", "1"])
def test_calls_in_progress_are_finished(tmp_path: Path, drain_seconds: str) -> None:
    settings = {"MLTRAIL_DRAIN_SECONDS": drain_seconds, "MLTRAIL_BODY_SECONDS": "0"}
    with TeamServer(tmp_path / "server", **settings) as server, begin_a_search(server) as call:
        assert server.process
        # The server has begun to read it once it has answered a later one on each of its processes.
        for _ in range(20):
            assert readiness(server) == 200
        server.process.terminate()
        wait_until(lambda: readiness(server) == 0, "nothing listens any more")
        assert finish_the_search(call) == 200
        assert server.process.wait(timeout=PATIENCE_SECONDS) == 0
        server.process = None


@pytest.mark.e2e
def test_signals_that_come_together_let_it_stop(tmp_path: Path) -> None:
    """A handler that took a lock would wait for itself, once it is interrupted by the next one."""
    with TeamServer(tmp_path, MLTRAIL_DRAIN_SECONDS="999999999999999999") as server:
        assert server.process is not None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            server.process.send_signal(number)
        server.process.wait(timeout=PATIENCE_SECONDS)
        server.process = None
        wait_until(lambda: readiness(server) == 0, "nothing listens any more")


def test_a_burst_of_signals_stops_once_and_not_in_the_handler() -> None:
    stopped: list[str] = []
    done = threading.Event()

    def stop() -> None:
        stopped.append(threading.current_thread().name)
        done.set()

    handle = _after_draining(stop, 0.0)
    for _ in range(50):
        handle(signal.SIGINT, None)
    assert done.wait(PATIENCE_SECONDS)
    assert stopped == ["drain"]


@pytest.mark.e2e
def test_ready_waits_for_a_server_that_is_just_starting(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/readyz"
    asked = ready("--url", url)
    assert asked.returncode == 1
    assert f"{url} is not ready: " in asked.stderr
    with subprocess.Popen(
        [COMMAND, "ready", "--url", url, "--wait", str(round(PATIENCE_SECONDS))], stderr=subprocess.PIPE
    ) as waiting:
        server = subprocess.Popen(
            [COMMAND, "serve", "--port", str(port), "--data-dir", tmp_path / "data"], stdout=subprocess.DEVNULL
        )
        try:
            assert waiting.wait(timeout=PATIENCE_SECONDS) == 0
        finally:
            server.terminate()
            assert server.wait(timeout=PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("url", ["127.0.0.1:5000", "ftp://127.0.0.1/", "http://127.0.0.1:x/"])
def test_ready_wants_a_url(url: str) -> None:
    asked = ready("--url", url)
    assert asked.returncode == 2
    assert "is not a URL such as http://127.0.0.1:5000/readyz" in asked.stderr

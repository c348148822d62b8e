"""The server as a process: how it starts, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import PATIENCE_SECONDS, free_port

SERVER = Path(sys.executable).parent / "mltrail-server"


def start(folder: Path, port: int, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [SERVER, "serve", "--port", str(port), "--data-dir", folder, *options],
        env=os.environ | {"MLTRAIL_LOG_LEVEL": "info"},  # granian says which processes have started
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A test runner in the background ignores SIGINT, and its children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
    )


def wait_until_started(server: "subprocess.Popen[str]", workers: int = 2) -> list[str]:
    assert server.stdout
    lines: list[str] = []
    while sum("Started worker" in line for line in lines) < workers:
        lines.append(server.stdout.readline())
        assert lines[-1], lines
    return lines


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.mark.e2e
@pytest.mark.parametrize(
    "end",
    [
        lambda server: os.killpg(server.pid, signal.SIGINT),  # Ctrl-C in a terminal: every process of the group gets it
        lambda server: server.terminate(),
    ],
    ids=["ctrl-c", "sigterm"],
)
def test_it_says_how_to_reach_it_and_stops_when_asked(
    tmp_path: Path, port: int, end: Callable[["subprocess.Popen[str]"], None]
) -> None:
    with start(tmp_path, port) as server:
        lines = wait_until_started(server)
        assert f"  export MLFLOW_TRACKING_URI=http://127.0.0.1:{port}/api/v4/projects/1/ml/mlflow\n" in lines
        assert not [line for line in lines if "WARNING" in line or "not supported" in line]
        end(server)
        output, _ = server.communicate(timeout=PATIENCE_SECONDS)
        assert "shutdown completed" in output
        assert "Killing" not in output


@pytest.mark.e2e
def test_a_taken_port_suggests_another_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with start(tmp_path, taken.getsockname()[1]) as server:
            output, _ = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == 2
    assert "Choose another one with --port" in output


@pytest.mark.e2e
def test_local_mode_keeps_to_this_machine(tmp_path: Path, port: int) -> None:
    with start(tmp_path, port, "--host", "0.0.0.0") as server:
        output, _ = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == 2
    assert "serves only this machine" in output


@pytest.mark.e2e
def test_a_team_server_without_a_bot_says_what_it_can_not_do(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTRAIL_GITLAB_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MLTRAIL_EXTERNAL_URL", f"http://127.0.0.1:{port}")
    with start(tmp_path, port, "--no-worker") as server:
        lines = wait_until_started(server)
        server.terminate()
        server.communicate(timeout=PATIENCE_SECONDS)
    assert [line for line in lines if "MLTRAIL_GITLAB_TOKEN" in line]

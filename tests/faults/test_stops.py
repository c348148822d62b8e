"""A server that has to stop while jobs log finishes what it has accepted, and a new one goes on."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import urllib3

from tests.faults.load import Connection, Load
from tests.length import length
from tests.processes import PATIENCE_SECONDS, lives
from tests.team_server import TeamServer

STOPS = length(short=2, long=20)
CLIENTS = 6
BETWEEN = 60


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(900 + 30 * STOPS)
def test_a_restart_under_load_loses_nothing(tmp_path: Path, database_url: str) -> None:
    with TeamServer(tmp_path, database_url=database_url) as server:
        load = Load(server.tracking_uri, server.token())
        with load.running(CLIENTS):
            for _ in range(STOPS):
                load.wait_for(BETWEEN)
                server.stop()
                server.start()
            load.wait_for(BETWEEN)
        load.check()
        log = server.log.read_text()
        assert "internal error" not in log
        assert "Killing" not in log, "a web process had to be killed"


@pytest.mark.e2e
def test_a_call_under_way_is_finished(tmp_path: Path) -> None:
    """The upload's second half is sent after the server was asked to stop."""
    with TeamServer(tmp_path, workers=1) as server:
        connection = Connection(server.tracking_uri, server.token())
        run = connection.insist("POST", "mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"][
            "run_id"
        ]
        path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/model.bin"
        half = b"x" * 100_000
        head = (
            f"PUT {server.tracking_uri.removeprefix(server.url)}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {server.token()}\r\nContent-Length: {2 * len(half)}\r\n"
            "Expect: 100-continue\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as upload:
            upload.sendall(head.encode())
            assert b" 100 " in upload.recv(1000), "it reads the body now"
            upload.sendall(half)
            process = server.process
            assert process
            process.terminate()
            threading.Timer(0.5, lambda: upload.sendall(half)).start()
            assert b" 200 " in upload.recv(1000)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
        server.start()
        assert connection.insist("GET", path.removeprefix("/api/2.0/")).data == 2 * half


_ASLEEP = """
import os, signal, threading
from mltrail_server.serve import wake_for_signals

stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
wake_for_signals()
threading.Thread(target=threading.Event().wait, daemon=True).start()
# Another thread takes the signal, so that it does not interrupt the wait of this one.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
stopping.wait()
"""


def test_a_signal_that_does_not_wake_the_main_thread_is_heeded() -> None:
    subprocess.run([sys.executable, "-c", _ASLEEP], check=True, timeout=PATIENCE_SECONDS)


@pytest.mark.e2e
def test_no_process_outlives_a_server_that_was_killed(tmp_path: Path) -> None:
    with TeamServer(tmp_path) as server:
        assert server.process
        left = [*server.processes("web"), *server.processes("worker")]
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        until = threading.Event()
        while any(map(lives, left)):
            until.wait(0.1)
        server.process = None


@pytest.mark.e2e
def test_answers_do_not_wait_for_the_clients_system(tmp_path: Path) -> None:
    """Without TCP_NODELAY an answer in parts waits some 40 ms for the client's system to acknowledge the first."""
    with TeamServer(tmp_path, workers=1) as server, urllib3.HTTPConnectionPool("127.0.0.1", server.port) as pool:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            seconds = []
            for _ in range(31):
                began = time.perf_counter()
                pool.request("GET", "/healthz")
                seconds.append(time.perf_counter() - began)
            if sorted(seconds)[10] < 0.03:
                break
            # A busy machine delays some calls, at times most; the client's system would delay most of them always.
            assert time.monotonic() < until, seconds

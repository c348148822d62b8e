"""The worker's own port: clients that are slow, or many, take nothing from the worker."""

import contextlib
import logging
import socket
from collections.abc import Iterator

import pytest
import urllib3

from mltrail_server.ops import worker_port
from mltrail_server.ops.instruments import Instruments
from mltrail_server.services.context.deps import Deps
from tests.processes import PATIENCE_SECONDS


class Going:
    stalled = False


@pytest.fixture
def port(deps: Deps) -> Iterator[int]:
    with worker_port.listening(deps, Instruments(), ("127.0.0.1", 0), Going()) as number:
        yield number


def connected(port: int, sent: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    made.sendall(sent)
    return made


def is_hung_up(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def health(port: int) -> int:
    return urllib3.request("GET", f"http://127.0.0.1:{port}/healthz", retries=False, timeout=PATIENCE_SECONDS).status


def test_more_connections_than_it_takes_are_closed(port: int) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(port)) for _ in range(worker_port._MOST)]
        assert is_hung_up(stack.enter_context(connected(port)))
        idle[0].sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert idle[0].recv(100).startswith(b"HTTP/1.0 200")


def test_who_sends_too_slowly_is_hung_up_on_without_a_word_in_the_log(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker_port, "_SECONDS", 0.0)
    caplog.set_level(logging.DEBUG)
    with connected(port, b"GET /he") as slow:
        assert is_hung_up(slow)
    monkeypatch.undo()
    assert health(port) == 200
    assert "Traceback" not in caplog.text + capfd.readouterr().err


def test_what_it_does_not_have_is_said_in_text(port: int) -> None:
    answer = urllib3.request("POST", f"http://127.0.0.1:{port}/healthz", retries=False, timeout=PATIENCE_SECONDS)
    assert answer.status == 405
    assert answer.headers["Content-Type"].startswith("text/plain")
    answer = urllib3.request("GET", f"http://127.0.0.1:{port}/other", retries=False, timeout=PATIENCE_SECONDS)
    assert answer.status == 404

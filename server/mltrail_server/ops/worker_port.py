"""A port for a separate worker: `/healthz` for what restarts it, `/metrics` for Prometheus."""

import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from flask import Flask, Response

from mltrail_server.domain.errors import conflict
from mltrail_server.http.errors import Edge, ErrorAnswers, handle_errors
from mltrail_server.http.request_ids import RequestIds
from mltrail_server.http.routes import mount_public
from mltrail_server.services.context.deps import Deps

from . import health, metrics
from .instruments import Instruments

_log = logging.getLogger(__name__)
_SECONDS = 10.0
"""How long a connection may last, whatever it sends."""
_MOST = 32
"""The most connections at once. More are closed immediately, so that nobody takes the worker's files and memory."""


class Progress(Protocol):
    @property
    def stalled(self) -> bool: ...


@contextmanager
def listening(deps: Deps, instruments: Instruments, address: tuple[str, int], progress: Progress) -> Iterator[int]:
    """Listen on an address while the block runs, and give the block the port. Raises CONFLICT if it is taken."""
    host, port = address
    try:
        server = make_server(
            host, port, _app(deps, instruments, progress), _Server6 if ":" in host else _Server, _Handler
        )
    except OSError as error:
        raise conflict(f"Can't listen on {host}:{port}: {error.strerror}. Choose another one with --listen.") from error
    threading.Thread(target=server.serve_forever, name="worker port", daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _app(deps: Deps, instruments: Instruments, progress: Progress) -> RequestIds:
    app = Flask("mltrail_server.ops")

    def healthz() -> Response:
        if progress.stalled:
            return Response("The worker's loop does not run.\n", 503, content_type="text/plain")
        return Response("OK\n", content_type="text/plain")

    mount_public(app, "/healthz", healthz)
    metrics.mount_page(app, deps, instruments)
    handle_errors(app, ErrorAnswers([Edge(owns=lambda _: True, render=health.render)], instruments.refused))
    return RequestIds(app.wsgi_app)


class _Server(ThreadingMixIn, WSGIServer):
    """One thread for each request, of which there is one every few seconds."""

    daemon_threads = True
    request_queue_size = _MOST

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - socketserver's
        self._ends: dict[socket.socket, float] = {}
        super().__init__(*arguments, **options)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks DNS for this machine's name, which can take long
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the same
        if len(self._ends) >= _MOST:
            self.shutdown_request(request)
            return
        self._ends[request] = time.monotonic() + _SECONDS
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Hang up on clients that take too long; called twice a second."""
        for connection, end in list(self._ends.items()):
            if time.monotonic() > end:
                with suppress(OSError):  # it is closed by now
                    connection.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the same
        super().shutdown_request(request)
        self._ends.pop(request, None)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Log what went wrong; the base class would print a traceback for each client that hangs up."""
        error = sys.exception()
        if not isinstance(error, OSError):
            _log.error("a request at the worker's port failed", exc_info=error)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _SECONDS

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Write no access log."""

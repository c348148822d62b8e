"""A port for a worker that runs by itself: `/healthz` for what restarts it, `/metrics` for Prometheus."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from flask import Flask, Response

from mltrail_server.domain.errors import conflict
from mltrail_server.http.request_ids import RequestIds
from mltrail_server.http.routes import mount_public
from mltrail_server.services.context.deps import Deps

from . import metrics
from .instruments import Instruments

_REQUEST_SECONDS = 10.0


class Progress(Protocol):
    @property
    def stalled(self) -> bool: ...


@contextmanager
def listening(deps: Deps, instruments: Instruments, address: tuple[str, int], progress: Progress) -> Iterator[int]:
    """Answer at an address while the block runs, and give the block the port. Raises CONFLICT if it is taken."""
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
    return RequestIds(app.wsgi_app)


class _Server(ThreadingMixIn, WSGIServer):
    """One thread for each request, of which there is one every few seconds."""

    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_SECONDS

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Write no access log."""

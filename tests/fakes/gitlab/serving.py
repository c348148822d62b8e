"""A WSGI application on a port of this machine, in a thread of this process."""

import ssl
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Self

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class _Quiet(WSGIRequestHandler):
    """Serves without logging each call."""

    def log_request(self, *_: object) -> None:
        pass


class Serving:
    """Has its port, a free one for 0, as soon as it is created, and serves from `start` to `stop`."""

    def __init__(self, application: "WSGIApplication", *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._server = make_server(
            "127.0.0.1", port, application, threaded=True, request_handler=_Quiet, ssl_context=tls
        )
        self._thread: threading.Thread | None = None
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def one_at_a_time(application: "WSGIApplication", lock: AbstractContextManager[bool]) -> "WSGIApplication":
    """Make calls wait for each other, and for the lock."""

    def locked(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with lock:
            return application(environ, start_response)

    return locked

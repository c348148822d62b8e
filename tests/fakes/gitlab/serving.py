"""A WSGI application on a port, in a thread of this process."""

import os
import ssl
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from selectors import EVENT_READ, DefaultSelector
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

    def __init__(
        self,
        application: "WSGIApplication",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = make_server(host, port, application, threaded=True, request_handler=_Quiet, ssl_context=tls)
        self._thread: threading.Thread | None = None
        self.url = f"http{'s' if tls else ''}://{host}:{self._server.server_port}"

    def start(self) -> None:
        self._pipe = os.pipe()
        self._thread = threading.Thread(target=self._serve, args=self._pipe[:1], daemon=True)
        self._thread.start()

    def _serve(self, ended: int) -> None:
        """Serve until `ended` can be read. `serve_forever` looks only from time to time whether it is over, and the end
        of each test waits for that.
        """
        with DefaultSelector() as awaited:
            awaited.register(self._server, EVENT_READ)
            awaited.register(ended, EVENT_READ)
            while all(ready.fileobj is self._server for ready, _ in awaited.select()):
                self._server.handle_request()

    def stop(self) -> None:
        if self._thread is not None:
            os.write(self._pipe[1], b".")
            self._thread.join()
            self._thread = None
            for end in self._pipe:
                os.close(end)
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

"""Catch one webhook, for the self-test: an HTTP server that lives for some seconds."""

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from mltrail_server.domain.errors import invalid

_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Caught:
    headers: Mapping[str, str]
    body: bytes


class HookCatcher:
    """Listens on `address`, `host:port`, while the block runs. Raises INVALID when that can't be."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        caught: queue.Queue[Caught] = queue.Queue()
        self._caught = caught

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES)
                caught.put(Caught(dict(self.headers.items()), self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer((host or "0.0.0.0", int(port)), Handler)  # noqa: S104 - GitLab must reach it
        except (OSError, ValueError, OverflowError) as error:
            raise invalid(f"Can't listen on {address!r} for a webhook: {error}. Give host:port.") from error
        self.port = self._server.server_port

    def wait(self, seconds: float) -> Caught | None:
        """Answer the next webhook; None when none came in time."""
        try:
            return self._caught.get(timeout=seconds)
        except queue.Empty:
            return None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""A load balancer for two servers: HTTP/1.1, one connection to a server for each call, as many real ones do.

It remembers how each call went, as its client saw it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3

from tests.processes import PATIENCE_SECONDS

_OWN_HEADERS = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"})


@dataclass(frozen=True)
class Call:
    """`began` and `seconds` by a monotonic clock; `status` 0 if no server answered."""

    method: str
    path: str
    began: float
    seconds: float
    status: int


@dataclass
class Balancer:
    """Sends each call to the server with the fewest calls in progress, of those that are in turn."""

    port: int
    calls: list[Call] = field(default_factory=list)
    _under_way: dict[str, int] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        balancer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_call(self) -> None:
                balancer.forward(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_call  # noqa: N815 - its own names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        server = Server(("127.0.0.1", self.port), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def add(self, url: str) -> None:
        with self._changed:
            self._under_way[url] = 0
            self._changed.notify_all()

    def remove(self, url: str) -> None:
        """Send no more calls to a server, and wait until those that it has are done."""
        with self._changed:
            waiting = self._under_way.pop(url)
            self._under_way[f"leaving {url}"] = waiting
            done = self._changed.wait_for(lambda: not self._under_way[f"leaving {url}"], PATIENCE_SECONDS)
            del self._under_way[f"leaving {url}"]
        assert done, f"{url} has calls that do not end"

    def forward(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _OWN_HEADERS}
        began = time.monotonic()
        server = self._take()
        try:
            answer = urllib3.request(
                handler.command, server + handler.path, headers=headers, body=body or None,
                retries=False, redirect=False, timeout=urllib3.Timeout(60), decode_content=False,
            )  # fmt: skip
            status, content, given = answer.status, answer.data, answer.headers
        except urllib3.exceptions.HTTPError:
            status, content, given = 0, b"", urllib3.HTTPHeaderDict()
        finally:
            self._give_back(server)
        self.calls.append(Call(handler.command, handler.path, began, time.monotonic() - began, status))
        handler.send_response(status or 502)
        for name, value in given.items():
            if name.lower() not in _OWN_HEADERS:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _take(self) -> str:
        with self._changed:
            self._changed.wait_for(lambda: any(not url.startswith("leaving") for url in self._under_way))
            url = min(
                (one for one in self._under_way if not one.startswith("leaving")), key=self._under_way.__getitem__
            )
            self._under_way[url] += 1
            return url

    def _give_back(self, url: str) -> None:
        with self._changed:
            name = url if url in self._under_way else f"leaving {url}"
            self._under_way[name] -= 1
            self._changed.notify_all()

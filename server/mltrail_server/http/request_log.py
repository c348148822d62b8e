"""A line in the log for each request, where `MLTRAIL_LOG_REQUESTS` asks for it: the route and never the path, which may
name what is secret, nor the query, which may hold a signature.
"""

import logging
import time
from typing import TYPE_CHECKING, Any

from mltrail_server.telemetry import calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger("mltrail_server.requests")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestLog:
    """Belongs directly inside `RequestIds`."""

    def __init__(self, inner: "WSGIApplication") -> None:
        _log.setLevel(logging.INFO)  # whatever the level of all others: these lines were asked for
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        answer = _Answer(calls.current(), environ.get("REQUEST_METHOD", ""))

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> "Callable[[bytes], object]":  # noqa: ANN401 - an exception's parts
            answer.status = int(status[:3])
            return start_response(status, headers, *error)

        answer.body = self._inner(environ, start)
        return answer


class _Answer:
    """A response's body, which counts what is sent, and logs the request when it is closed."""

    def __init__(self, call: calls.CurrentCall | None, method: str) -> None:
        self.body: Iterable[bytes] = ()
        self.status = 0
        self._call = call
        self._method = method if method in _METHODS else "other"
        self._began = time.perf_counter()
        self._sent = 0

    def __iter__(self) -> "Iterator[bytes]":
        for piece in self.body:
            self._sent += len(piece)
            yield piece

    def close(self) -> None:
        if close := getattr(self.body, "close", None):
            close()
        milliseconds = round(1000 * (time.perf_counter() - self._began), 1)
        route = (self._call.route if self._call is not None else "") or "unknown"
        fields = {
            "method": self._method,
            "route": route,
            "status": self.status,
            "ms": milliseconds,
            "bytes": self._sent,
        }
        project = self._call.project_id if self._call is not None else None
        of_project = "" if project is None else f", project {project}"
        text = f"{self._method} {route} {self.status}, {milliseconds} ms, {self._sent} bytes{of_project}"
        _log.info("%s", text, extra={"fields": fields})

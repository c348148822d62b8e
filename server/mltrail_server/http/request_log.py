"""A line in the log for each request, where `MLTRAIL_LOG_REQUESTS` asks for it: the route and never the path, which may
name what is secret, nor the query, which may hold a signature.
"""

import logging
import time
from typing import TYPE_CHECKING

from mltrail_server.telemetry import calls

from .watched import METHODS, Watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_log = logging.getLogger("mltrail_server.requests")


class RequestLog(Watched):
    """Belongs directly inside `RequestIds`."""

    def __init__(self, inner: "WSGIApplication") -> None:
        super().__init__(inner)
        _log.setLevel(logging.INFO)  # whatever the level of all others: these lines were asked for

    def begin(self, environ: "WSGIEnvironment") -> "Callable[[int, int], None]":
        call, began = calls.current(), time.perf_counter()
        sent_method = environ.get("REQUEST_METHOD", "")
        method = sent_method if sent_method in METHODS else "other"

        def ended(status: int, size: int) -> None:
            route = (call.route if call is not None else "") or "unknown"
            ms = round(1000 * (time.perf_counter() - began), 1)
            project = call.project_id if call is not None else None
            of_project = "" if project is None else f", project {project}"
            fields = {"method": method, "route": route, "status": status, "ms": ms, "bytes": size}
            text = f"{method} {route} {status}, {ms} ms, {size} bytes{of_project}"
            _log.info("%s", text, extra={"fields": fields})

        return ended

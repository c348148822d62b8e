"""A span for each request, where traces are switched on, as OpenTelemetry names its parts.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/; but the path, which may name what is private, is left out:
the route tells enough.
"""

from typing import TYPE_CHECKING

from mltrail_server.telemetry import calls
from mltrail_server.telemetry.tracing import TRACING, attach, detach

from .watched import METHODS, Watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment


class RequestTraces(Watched):
    """Belongs inside `RequestIds`."""

    def begin(self, environ: "WSGIEnvironment") -> "Callable[[int, int], None] | None":
        if TRACING.tracer is None:
            return None
        sent_method = environ.get("REQUEST_METHOD", "")
        method = sent_method if sent_method in METHODS else "_OTHER"
        headers = {name: environ.get(f"HTTP_{name.upper()}", "") for name in ("traceparent", "tracestate")}
        span = TRACING.request(method, {name: value for name, value in headers.items() if value})
        token, call = attach(span), calls.current()

        def ended(status: int, size: int) -> None:
            if call is not None and call.route:
                span.update_name(f"{method} {call.route}")
                span.set_attribute("http.route", call.route)
            if call is not None and call.project_id is not None:
                span.set_attribute("mltrail.project_id", call.project_id)
            span.set_attributes(
                {
                    "url.scheme": environ.get("wsgi.url_scheme", ""),
                    "http.response.status_code": status,
                    "http.response.body.size": size,
                }
            )
            if status >= 500:
                span.set_attribute("error.type", str(status))
            detach(token)
            span.end()

        return ended

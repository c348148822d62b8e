"""Every response has an `X-Request-Id`, which leads to its log lines, error message and trace.

A proxy's ID is kept, if it is 1 to 64 letters, digits and `._-`; everything else gets a new one.
"""

from typing import TYPE_CHECKING, Any

from mltrail_server.telemetry import calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUEST_ID = "mltrail.request_id"
"""The key of the ID in the WSGI environment."""


class RequestIds:
    """The outermost part of the application."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        request_id = calls.begin(environ.get("HTTP_X_REQUEST_ID", "")).request_id
        environ[REQUEST_ID] = request_id

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> "Callable[[bytes], object]":  # noqa: ANN401 - an exception's parts
            headers.append(("X-Request-Id", request_id))
            return start_response(status, headers, *error)

        return self._inner(environ, start)

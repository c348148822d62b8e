"""From errors to responses: one function, which lets the edge that owns the URL render the error for its clients."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.reasons import Reason
from mltrail_server.telemetry import calls

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Edge:
    """Which URLs belong to an edge, and how it renders an error."""

    owns: Callable[[str], bool]
    render: Callable[[MltrailError, Request], Response]


@dataclass(frozen=True, slots=True)
class ErrorAnswers:
    """Renders every error as the first edge that owns the path does; the last edge owns all paths. `observe` is called
    with each error.
    """

    edges: Sequence[Edge]
    observe: Callable[[MltrailError], None]

    def answer(self, error: Exception, request: Request) -> Response:
        """Answer a request that has failed. Internal errors are logged, never shown."""
        if isinstance(error, MltrailError):
            return self._rendered(error, request)
        if isinstance(error, HTTPException):
            return self._http(error, request)
        # Quoted, so that a path with line breaks can't forge lines in the log.
        _log.exception("internal error: %s %r", request.method, request.path, exc_info=error)
        return self._rendered(
            MltrailError(
                Code.INTERNAL,
                f"Something went wrong in mltrail (request {calls.request_id()}). Nothing was stored by this call. "
                "The server's log has the details under that ID.",
            ),
            request,
        )

    def _rendered(self, error: MltrailError, request: Request) -> Response:
        self.observe(error)
        edge = next(edge for edge in self.edges if edge.owns(request.path))
        if error.code is Code.UNAVAILABLE:
            error = _with_request_id(error, request)
        response = edge.render(error, request)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        if error.code is Code.UNAUTHENTICATED:
            response.headers["WWW-Authenticate"] = 'Bearer realm="mltrail"'
        return response

    def _http(self, error: HTTPException, request: Request) -> Response:
        response = self._rendered(_translated(error, request), request)
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response


def handle_errors(app: Flask, answers: ErrorAnswers) -> None:
    """Have Flask answer every error so."""

    def handler(error: Exception) -> Response:
        return answers.answer(error, request)

    for kind in (MltrailError, HTTPException, Exception):
        app.register_error_handler(kind, handler)


def _with_request_id(error: MltrailError, request: Request) -> MltrailError:
    """Log it, and say by which ID the operator finds it there."""
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ is not None else ""
    _log.warning("%s %s: %s%s", request.method, calls.route() or "unknown", error.message, cause)
    message = f"{error.message} (request {calls.request_id()})"
    return MltrailError(error.code, message, retry_after=error.retry_after)


def _translated(error: HTTPException, request: Request) -> MltrailError:
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return MltrailError(Code.NO_METHOD, f"{request.method} is not allowed here; this URL accepts {allowed}.")
    if isinstance(error, NotFound):
        return MltrailError(
            Code.NO_ENDPOINT, Reason.NO_ENDPOINT, facts={"method": request.method, "path": request.path}
        )
    if isinstance(error, RequestEntityTooLarge):
        return MltrailError(Code.TOO_LARGE, "The body is too large for this call; send it in smaller batches.")
    return MltrailError(Code.INVALID, error.description or "The request can't be understood.")

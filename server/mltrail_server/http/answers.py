"""Encode responses."""

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Response
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_encoder = msgspec.json.Encoder()


class _Whole(Response):
    """A response whose body is complete. Werkzeug's `Headers`, which take 10 us, are built only if somebody asks for
    them. Werkzeug's own response would also go through all headers again before sending.
    """

    def __init__(self, body: bytes, status: int) -> None:
        self.response: Iterable[bytes] = [body]
        self._length = str(len(body))
        self._status, self._status_code = _line_of(status), status
        self._on_close: list[Callable[[], Any]] = []
        self.direct_passthrough = False

    @cached_property
    def headers(self) -> Headers:  # type: ignore[override] # an attribute in Werkzeug
        return Headers(self._first_headers())

    def _first_headers(self) -> list[tuple[str, str]]:
        return [("Content-Type", "application/json"), ("Content-Length", self._length)]

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        asked_for = "headers" in self.__dict__
        start_response(self._status, self.headers.to_wsgi_list() if asked_for else self._first_headers())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.response


@cache
def _line_of(status: int) -> str:
    return Response(status=status).status


def json_answer(value: Any, status: int = 200) -> Response:  # noqa: ANN401 - any struct or dict that JSON can hold
    return _Whole(_encoder.encode(value), status)

"""Encode responses."""

from typing import TYPE_CHECKING, Any

import msgspec
from flask import Response
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_encoder = msgspec.json.Encoder()


class _Whole(Response):
    """A response whose body and headers are complete. Werkzeug would go through all of them again before sending."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.response  # type: ignore[return-value] # of bytes


def json_answer(value: Any, status: int = 200) -> Response:  # noqa: ANN401 - any struct or dict that JSON can hold
    body = _encoder.encode(value)
    headers = Headers([("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return _Whole([body], status, headers)

"""Encode responses."""

from typing import Any

import msgspec
from flask import Response

_encoder = msgspec.json.Encoder()


def json_answer(value: Any, status: int = 200) -> Response:  # noqa: ANN401 - any struct or dict that JSON can hold
    return Response(_encoder.encode(value), status=status, content_type="application/json")

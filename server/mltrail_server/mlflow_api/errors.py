"""Errors as MLflow clients read them: `{"error_code": NAME, "message": text}`.

MLflow 1.28 and 2.7 crash on an `error_code` that is not in their list, so wherever such a client may call, only names
that 1.28 knows are used.
"""

from typing import TYPE_CHECKING

from flask import Request, Response

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.http.answers import json_answer
from mltrail_server.http.errors import Edge
from mltrail_server.later import later

from . import absent, sentences
from .wire import OTLP_PATH

if TYPE_CHECKING:
    from . import otlp
else:
    [otlp] = later(__package__, "otlp")

ANSWERS: dict[Code, tuple[int, str]] = {
    Code.INVALID: (400, "INVALID_PARAMETER_VALUE"),
    Code.NOT_FOUND: (404, "RESOURCE_DOES_NOT_EXIST"),
    Code.ALREADY_EXISTS: (400, "RESOURCE_ALREADY_EXISTS"),
    Code.CONFLICT: (400, "INVALID_STATE"),
    Code.UNAUTHENTICATED: (401, "CUSTOMER_UNAUTHORIZED"),
    Code.FORBIDDEN: (403, "PERMISSION_DENIED"),
    Code.LIMIT: (429, "REQUEST_LIMIT_EXCEEDED"),
    # Clients retry on 429, but a full project stays full.
    Code.QUOTA: (403, "QUOTA_EXCEEDED"),
    Code.UNAVAILABLE: (503, "TEMPORARILY_UNAVAILABLE"),
    Code.NOT_IMPLEMENTED: (501, "NOT_IMPLEMENTED"),
    Code.NO_ENDPOINT: (404, "ENDPOINT_NOT_FOUND"),
    Code.NO_METHOD: (405, "ENDPOINT_NOT_FOUND"),
    Code.SLOW: (408, "TEMPORARILY_UNAVAILABLE"),
    Code.TOO_LARGE: (413, "INVALID_PARAMETER_VALUE"),
    Code.INTERNAL: (500, "INTERNAL_ERROR"),
}


def render(error: MltrailError, request: Request) -> Response:
    status, name = ANSWERS[error.code]
    message = sentences.of(error)
    if error.code in (Code.NO_ENDPOINT, Code.NO_METHOD):
        message = absent.instead_of(request.path, other_method=error.code is Code.NO_METHOD) or message
    if request.path.endswith(OTLP_PATH) and otlp.wants_status(request):
        return otlp.render(error, request, status, message)
    return json_answer({"error_code": name, "message": message}, status)


EDGE = Edge(owns=lambda path: "/ml/mlflow/" in path, render=render)

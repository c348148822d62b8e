"""Errors in the shape of GitLab's API: `{"message": text}`."""

from flask import Request, Response

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.http.answers import json_answer
from mltrail_server.http.errors import Edge

from .sentences import SENTENCES

STATUSES: dict[Code, int] = {
    Code.INVALID: 400,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.CONFLICT: 409,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.LIMIT: 429,
    Code.QUOTA: 403,
    Code.UNAVAILABLE: 503,
    Code.NOT_IMPLEMENTED: 501,
    Code.NO_ENDPOINT: 404,
    Code.NO_METHOD: 405,
    Code.SLOW: 408,
    Code.TOO_LARGE: 413,
    Code.INTERNAL: 500,
}


def render(error: MltrailError, _request: Request) -> Response:
    return json_answer({"message": error.in_words(SENTENCES)}, STATUSES[error.code])


EDGE = Edge(owns=lambda path: path.startswith("/api/"), render=render)

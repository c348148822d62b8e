"""Errors as pages."""

from flask import Response, redirect, render_template, request, url_for

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.http.errors import Edge

_STATUSES = {
    Code.NOT_FOUND: 404,
    Code.NO_ENDPOINT: 404,
    Code.NO_METHOD: 405,
    Code.FORBIDDEN: 403,
    Code.QUOTA: 403,
    Code.TOO_LARGE: 413,
    Code.UNAVAILABLE: 503,
    Code.INTERNAL: 500,
}


def render(error: MltrailError) -> Response:
    if error.code is Code.UNAUTHENTICATED and request.method == "GET":
        answer = redirect(url_for("public:/-/sign-in", next=request.full_path.rstrip("?")))
        return Response(answer.get_data(), 302, answer.headers)
    status = _STATUSES.get(error.code, 401 if error.code is Code.UNAUTHENTICATED else 400)
    return Response(render_template("error.html", status=status, message=error.message), status)


EDGE = Edge(owns=lambda _: True, render=render)

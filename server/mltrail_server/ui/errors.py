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
    if error.code is Code.UNAUTHENTICATED:
        # After a form the page that it was on comes again: what was typed is not kept anywhere.
        target = request.full_path.rstrip("?") if request.method == "GET" else request.path
        answer = redirect(url_for("public:/-/sign-in", next=target))
        return Response(answer.get_data(), 302, answer.headers)
    status = _STATUSES.get(error.code, 400)
    return Response(render_template("error.html", status=status, message=error.message), status)


EDGE = Edge(owns=lambda _: True, render=render)

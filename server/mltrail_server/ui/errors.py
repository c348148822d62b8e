"""Errors as pages."""

from urllib.parse import quote

from flask import Response, redirect, render_template, request, url_for

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.http.errors import Edge

from . import sentences

_STATUSES = {
    Code.NOT_FOUND: 404,
    Code.NO_ENDPOINT: 404,
    Code.NO_METHOD: 405,
    Code.FORBIDDEN: 403,
    Code.QUOTA: 403,
    Code.TOO_LARGE: 413,
    Code.LIMIT: 429,
    Code.SLOW: 408,
    Code.UNAVAILABLE: 503,
    Code.INTERNAL: 500,
}


def here() -> str:
    """The path and query of this request, as a browser would ask for them again: a name in it may hold `?` or `%`."""
    path = quote(request.environ.get("SCRIPT_NAME", "") + request.environ.get("PATH_INFO", ""), encoding="latin-1")
    query = request.environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def render(error: MltrailError) -> Response:
    if error.code is Code.UNAUTHENTICATED:
        # After a form, people come back to the page that it was on: what they typed is not kept.
        target = here() if request.method == "GET" else here().partition("?")[0]
        answer = redirect(url_for("public:/-/sign-in", next=target))
        return Response(answer.get_data(), 302, answer.headers)
    status = _STATUSES.get(error.code, 400)
    return Response(render_template("error.html", status=status, message=sentences.of(error)), status)


EDGE = Edge(owns=lambda _: True, render=render)

"""Errors as pages."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Request, Response, redirect, render_template, request, url_for

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.http.call import Call
from mltrail_server.http.errors import Edge
from mltrail_server.http.routes import ADMITTED
from mltrail_server.later import later

if TYPE_CHECKING:
    from . import render as pages
    from . import sentences
else:
    pages, sentences = later(__package__, "render", "sentences")

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

_TITLES = {
    403: "Not allowed",
    404: "Not found",
    408: "Too slow",
    413: "Too large",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not available right now",
}


def here() -> str:
    """The path and query of this request, as a browser would ask for them again: a name in it may hold `?` or `%`."""
    path = quote(request.environ.get("SCRIPT_NAME", "") + request.environ.get("PATH_INFO", ""), encoding="latin-1")
    query = request.environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def render(error: MltrailError, request: Request) -> Response:
    if error.code is Code.UNAUTHENTICATED:
        # After a form, people come back to the page that it was on: what they typed is not kept.
        target = here() if request.method == "GET" else here().partition("?")[0]
        answer = redirect(url_for("public:/-/sign-in", next=target))
        return Response(answer.get_data(), 302, answer.headers)
    status = _STATUSES.get(error.code, 400)
    shown = {"status": status, "title": _TITLES.get(status, "This can't be done"), "message": sentences.of(error)}
    admitted = request.environ.get(ADMITTED)
    if admitted is None:
        text = render_template("error.html", **shown)
    else:
        deps, actor = admitted
        text = pages.page(Call(deps, actor, request), "error.html", **shown)
    return Response(text, status)


EDGE = Edge(owns=lambda _: True, render=render)

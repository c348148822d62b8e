"""Is it alive, is it ready?"""

from collections.abc import Callable

from flask import Request, Response

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.http.errors import Edge
from mltrail_server.http.project_app import ProjectApp
from mltrail_server.http.routes import mount_public
from mltrail_server.services.admin.readiness import Readiness
from mltrail_server.services.context.deps import Deps

from .draining import DRAINING

_STATUSES = {Code.UNAVAILABLE: 503, Code.INTERNAL: 500, Code.NO_METHOD: 405, Code.NO_ENDPOINT: 404}
_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


def mount_all(app: ProjectApp, deps: Deps) -> None:
    readiness = Readiness(deps)

    def healthz() -> Response:
        return Response("OK\n", content_type="text/plain")

    def readyz() -> Response:
        if DRAINING:
            return Response("This server is about to end.\n", 503, content_type="text/plain")
        readiness.check()
        return Response("OK\n", content_type="text/plain")

    for path, answer in (("/healthz", healthz), ("/readyz", readyz)):
        mount_public(app, path, answer)
        app.short_way.add_path(path, _answering(answer))


def _answering(answer: Callable[[], Response]) -> Callable[[Request], Response]:
    return lambda _request: answer()


def render(error: MltrailError, _request: Request) -> Response:
    status = _STATUSES.get(error.code, 400)
    return Response(f"{error.message}\n", status, content_type="text/plain")


EDGE = Edge(owns=_PATHS.__contains__, render=render)
"""What programs ask gets errors as text: an operator reads them in the log of a health check."""

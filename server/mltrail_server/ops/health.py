"""Is it alive, is it ready?"""

from flask import Flask, Response

from mltrail_server.http.routes import mount_public
from mltrail_server.services.admin import readiness
from mltrail_server.services.context.deps import Deps

from .draining import DRAINING


def mount_all(app: Flask, deps: Deps) -> None:
    def healthz() -> Response:
        return Response("OK\n", content_type="text/plain")

    def readyz() -> Response:
        if DRAINING:
            return Response("This server is about to end.\n", 503, content_type="text/plain")
        readiness.check(deps)
        return Response("OK\n", content_type="text/plain")

    mount_public(app, "/healthz", healthz)
    mount_public(app, "/readyz", readyz)

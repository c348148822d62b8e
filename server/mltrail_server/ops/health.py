"""Is it alive, is it ready?"""

from flask import Flask, Response

from mltrail_server.http.routes import mount_public
from mltrail_server.services.context.deps import Deps


def mount_all(app: Flask, deps: Deps) -> None:
    def healthz() -> Response:
        return Response("OK\n", content_type="text/plain")

    def readyz() -> Response:
        deps.db.ping()
        deps.files.ping()
        return Response("OK\n", content_type="text/plain")

    mount_public(app, "/healthz", healthz)
    mount_public(app, "/readyz", readyz)

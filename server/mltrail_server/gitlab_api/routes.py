"""The route table of our own API."""

from flask import Flask

from mltrail_server.domain.identity import Access
from mltrail_server.http.routes import Route, mount
from mltrail_server.services.deps import Deps

from . import aliases, detachments, packages, promotions, reports, setup, versions

READ, WRITE = Access.READ, Access.WRITE

ROUTES = (
    Route("GET", "pipelines/<int:pipeline_id>/candidates", reports.candidates, READ),
    Route("GET", "pipelines/<int:pipeline_id>/report", reports.show, READ),
    Route("POST", "pipelines/<int:pipeline_id>/report", reports.refresh, WRITE),
    Route("GET", "setup", setup.show, READ),
    Route("POST", "detachments", detachments.create, WRITE),
    Route("POST", "pipelines/<int:pipeline_id>/contract", reports.try_contract, WRITE),
    Route("POST", "promotions", promotions.create, WRITE),
    Route("GET", "models/<model>/versions/<version>/provenance", versions.provenance, READ),
    Route("GET", "models/<model>/versions/<version>/card", versions.card, READ),
    Route("GET", "models/<model>/aliases", aliases.show, READ),
    Route("PUT", "models/<model>/aliases/<alias>", aliases.put, WRITE),
    Route("POST", "models/<model>/aliases/<alias>/rollback", aliases.rollback, WRITE),
)

PACKAGES = (
    Route("GET", "<owner>/files/<path:path>", packages.download, READ),
    Route("PUT", "<owner>/files/<path:path>", packages.upload, WRITE),
)


def mount_all(app: Flask, deps: Deps) -> None:
    mount(app, deps, name="gitlab", prefix="/api/v4/projects/<project:project>/ml/", routes=ROUTES)
    mount(app, deps, name="packages", prefix="/api/v4/projects/<project:project>/packages/ml_models/", routes=PACKAGES)

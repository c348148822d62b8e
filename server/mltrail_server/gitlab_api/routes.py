"""The route table of our own API. The first call of a route loads its module."""

from typing import TYPE_CHECKING

from mltrail_server.domain.identity import Access
from mltrail_server.http.project_app import ProjectApp
from mltrail_server.http.routes import Handler, Route, mount
from mltrail_server.later import later
from mltrail_server.services.context.deps import Deps

if TYPE_CHECKING:
    from . import aliases, detachments, packages, promotions, reports, setup, traces, versions
else:
    aliases, detachments, packages, promotions, reports, setup, traces, versions = later(
        __package__, "aliases", "detachments", "packages", "promotions", "reports", "setup", "traces", "versions"
    )

READ, WRITE = Access.READ, Access.WRITE


def _own(method: str, path: str, handler: Handler, access: Access, *query: str) -> Route:
    """Declare a route of our own: `query` names every parameter that its query string may have."""
    return Route(method, path, handler, access, frozenset(query))


ROUTES = (
    _own("GET", "pipelines/<int:pipeline_id>/candidates", reports.candidates, READ),
    _own("GET", "pipelines/<int:pipeline_id>/report", reports.show, READ),
    _own("POST", "pipelines/<int:pipeline_id>/report", reports.refresh, WRITE),
    _own("GET", "setup", setup.show, READ),
    _own("POST", "detachments", detachments.create, WRITE),
    _own("POST", "pipelines/<int:pipeline_id>/contract", reports.try_contract, WRITE),
    _own("POST", "promotions", promotions.create, WRITE),
    _own("POST", "traces/delete", traces.delete, WRITE),
    _own("GET", "models/<model>/versions/<version>/provenance", versions.provenance, READ),
    _own("GET", "models/<model>/versions/<version>/card", versions.card, READ),
    _own("GET", "models/<model>/aliases", aliases.show, READ),
    _own("PUT", "models/<model>/aliases/<alias>", aliases.put, WRITE),
    _own("POST", "models/<model>/aliases/<alias>/rollback", aliases.rollback, WRITE),
)

PACKAGES = (
    Route("GET", "<owner>/files/<path:path>", packages.download, READ),
    Route("PUT", "<owner>/files/<path:path>", packages.upload, WRITE),
)


def mount_all(app: ProjectApp, deps: Deps) -> None:
    mount(app, deps, name="gitlab", prefix="/api/v4/projects/<project:project>/ml/", routes=ROUTES)
    mount(app, deps, name="packages", prefix="/api/v4/projects/<project:project>/packages/ml_models/", routes=PACKAGES)

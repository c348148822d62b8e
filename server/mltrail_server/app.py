"""Wire the application. Nothing else creates a `Deps` or registers a route."""

from typing import TYPE_CHECKING

from .artifacts.base import FileStore
from .artifacts.local import LocalFiles
from .domain.clock import Clock, system_clock
from .gitlab_api import errors as gitlab_errors
from .gitlab_api import routes as gitlab_routes
from .http import hosts
from .http.errors import ErrorAnswers
from .http.joined_paths import JoinedPaths
from .http.path_prefix import PathPrefix
from .http.project_app import ProjectApp
from .http.request_ids import RequestIds
from .http.request_log import RequestLog
from .http.request_traces import RequestTraces
from .http.safe_headers import SafeHeaders
from .http.sharinghub import SharingHubPaths
from .http.slow_bodies import SLOW_BODIES
from .later import later
from .mlflow_api import errors as mlflow_errors
from .mlflow_api import routes as mlflow_routes
from .ops import health, metrics
from .ops.instruments import Instruments
from .ops.metrics import CountedRequests
from .services.context.deps import Deps
from .settings import Settings
from .store.db.database import Database
from .store.db.migrate import prepare
from .store.db.named_statements import SLOW_STATEMENTS
from .telemetry import tracing
from .ui import errors as ui_errors
from .ui import routes as ui_routes
from .webhooks import receiver

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from . import team
    from .artifacts import s3
    from .services.promotion import provenance
else:
    [team] = later(__package__, "team")
    [s3] = later(f"{__package__}.artifacts", "s3")
    [provenance] = later(f"{__package__}.services.promotion", "provenance")


def create_deps(
    settings: Settings, *, clock: Clock = system_clock, gitlab_timeout_seconds: float | None = None
) -> Deps:
    """Open the database and the file store. Refuses a database whose schema is out of date."""
    if settings.signing_key:
        provenance.signer(settings)  # refuses an invalid key before anything is opened
    # Not readable by other users of the machine, since database and files are there.
    settings.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    SLOW_STATEMENTS.limit(int(settings.slow_statement_ms))
    database = Database(
        settings.database,
        replica_url=settings.database_replica_url,
        sqlite_synchronous=settings.sqlite_synchronous,
    )
    prepare(database)
    # Whichever server runs the application: with an empty secret, anybody could forge our signatures. An interrupted
    # restore was refused above: it brings the secrets last, and would not replace new ones.
    settings = settings.with_kept_secrets()
    files = create_files(settings)
    if settings.local_mode:
        return Deps(settings, database, files, clock)
    connected = team.create_team(settings, database, clock, timeout_seconds=gitlab_timeout_seconds)
    return Deps(settings, database, files, clock, connected)


def create_files(settings: Settings) -> FileStore:
    if settings.s3_place is None:
        return LocalFiles(settings.artifacts_path, durable=settings.folder_sync == "on")
    return s3.S3Files(*settings.s3_place, endpoint_url=settings.s3_endpoint_url)


def create_app(deps: Deps) -> ProjectApp:
    deps.db.limit(float(deps.settings.search_seconds))
    SLOW_BODIES.seconds = float(deps.settings.body_seconds)
    instruments = Instruments()
    instruments.attach(deps)
    answers = ErrorAnswers([health.EDGE, mlflow_errors.EDGE, gitlab_errors.EDGE, ui_errors.EDGE], instruments.refused)
    app = ProjectApp("mltrail_server", template_folder="ui/templates", answers=answers)
    if deps.team is None:
        app.check_each(hosts.check_loopback)
    mlflow_routes.mount_all(app, deps)
    gitlab_routes.mount_all(app, deps)
    receiver.mount_all(app, deps)
    ui_routes.mount_all(app, deps)
    health.mount_all(app, deps)
    metrics.mount_page(app, deps, instruments)
    app.wsgi_app = _layers(app.wsgi_app, deps.settings, instruments)  # type: ignore[assignment,method-assign] # Flask's own way to wrap it
    return app


def _layers(app: "WSGIApplication", settings: Settings, instruments: Instruments) -> "WSGIApplication":
    """Wrap the application in what every request passes, the outermost last."""
    app = JoinedPaths(SharingHubPaths(app))
    if settings.root_path:
        app = PathPrefix(app, settings.root_path)
    app = CountedRequests(SafeHeaders(app), instruments)
    if settings.log_requests == "on":
        app = RequestLog(app)
    if tracing.wanted():
        app = RequestTraces(app)
    return RequestIds(app)

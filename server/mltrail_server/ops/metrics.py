"""What Prometheus scrapes at `/metrics`. Labels are routes, never projects, users or anything that they can name.

Web processes and worker each keep their own numbers in files in one folder, `PROMETHEUS_MULTIPROC_DIR`, and the process
that serves the request adds them up (https://prometheus.github.io/client_python/multiprocess/).
"""

import hmac
import os
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from mltrail_server.http.routes import mount_public
from mltrail_server.services.admin.overview import Overview, OverviewReader
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import is_loopback
from mltrail_server.telemetry import calls

from .shared_metrics import FOLDER_VARIABLE

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


class Instruments:
    """The metrics that this process counts itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "mltrail_http_request_seconds",
            "Requests by route and status, and the seconds until the response began",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "mltrail_http_requests_in_flight",
            "Requests in progress",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self._transactions = Histogram(
            "mltrail_database_transaction_seconds",
            "Transactions by kind, including the wait for a connection or the write lock",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._gitlab = Histogram(
            "mltrail_gitlab_call_seconds",
            "Calls to GitLab's API by status; `error` is a call without a response",
            ["method", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._failed = Counter(
            "mltrail_internal_errors_total", "Responses with status 500; each is in the log", registry=self.registry
        )
        # Looking up a label costs more than counting.
        self._known: dict[tuple[str, str, int], Histogram] = {}
        self._of_kind = {kind: self._transactions.labels(kind) for kind in ("read", "search", "write")}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        child = self._known.get((method, route, status))
        if child is None:
            child = self._known[method, route, status] = self._requests.labels(method, route, str(status))
        child.observe(seconds)
        if status == 500:
            self._failed.inc()

    def transaction(self, kind: str, seconds: float) -> None:
        self._of_kind[kind].observe(seconds)

    def gitlab_call(self, method: str, status: str, seconds: float) -> None:
        self._gitlab.labels(method, status).observe(seconds)

    def attach(self, deps: Deps) -> None:
        """Have the database and the GitLab client report what they do."""
        deps.db.observe = self.transaction
        if deps.team is not None:
            deps.team.gitlab.observe(self.gitlab_call)


def mount_all(app: Flask, deps: Deps) -> None:
    instruments = Instruments()
    instruments.attach(deps)
    _count_requests(app, instruments)
    mount_page(app, deps, instruments)


def mount_page(app: Flask, deps: Deps, instruments: Instruments) -> None:
    """Register `/metrics` alone."""
    overview = OverviewReader(deps)

    def metrics() -> Response:
        if refused := _refused(deps.settings.metrics_token):
            return refused
        seen = CollectorRegistry()
        seen.register(_Database(overview.read()))
        return Response(_own(instruments) + generate_latest(seen), content_type=CONTENT_TYPE_LATEST)

    mount_public(app, "/metrics", metrics)


def _count_requests(app: Flask, instruments: Instruments) -> None:
    def began() -> None:
        g.began = time.perf_counter()
        if request.url_rule is not None and (call := calls.current()) is not None:
            call.route = request.url_rule.rule
        instruments.in_flight.inc()

    def answered(response: Response) -> Response:
        # A request that matches no route can have any method that a client makes up.
        method, route = (request.method, request.url_rule.rule) if request.url_rule else ("", "unknown")
        instruments.answered(method, route, response.status_code, time.perf_counter() - g.began)
        return response

    def ended(_error: BaseException | None) -> None:
        if "began" in g:
            instruments.in_flight.dec()

    # Called first, before anything can refuse the request.
    app.before_request_funcs.setdefault(None, []).insert(0, began)
    app.after_request(answered)
    app.teardown_request(ended)


def _own(instruments: Instruments) -> bytes:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return generate_latest(instruments.registry)
    for file in Path(folder).glob("gauge_live*_*.db"):
        # A killed process has no requests in progress any more; its counters stay.
        pid = int(file.stem.rpartition("_")[2])
        if not Path(f"/proc/{pid}").exists() and Path("/proc").exists():
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call] # prometheus_client types half
    together = CollectorRegistry()
    MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call] # the same
    return generate_latest(together)


class _Database(Collector):
    """The metrics that are the same in every process."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def collect(self) -> Iterator[Metric]:
        overview = self._overview
        gauges: list[tuple[str, str, float]] = [
            ("mltrail_worker_due", "Items that the worker has not processed yet although they are due", overview.due),
            ("mltrail_worker_lag_seconds", "How long the oldest due item has been waiting", overview.lag_ms / 1000),
        ]
        if (counts := overview.counts) is not None:
            notes = "Merge requests whose note could not be written, counted about once a minute"
            gauges += [
                ("mltrail_notes_not_posted", notes, counts.notes_not_posted),
                (
                    "mltrail_stored_bytes",
                    "Bytes of all files, counted about once a minute",
                    counts.stored_bytes,
                ),
            ]
        for name, meaning, value in gauges:
            yield GaugeMetricFamily(name, meaning, value)
        version = GaugeMetricFamily("mltrail_info", "The running version", labels=["version"])
        version.add_metric([metadata.version("mltrail")], 1)
        yield version


def _refused(token: str) -> Response | None:
    if token:
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), token.encode()):
            return None
        return _plain(401, "Send the token in MLTRAIL_METRICS_TOKEN as Authorization: Bearer.")
    if is_loopback(request.remote_addr or "") and not any(name in request.headers for name in _FORWARDED):
        return None
    return _plain(403, "Metrics are only for this machine. Set MLTRAIL_METRICS_TOKEN to fetch them from elsewhere.")


def _plain(status: int, text: str) -> Response:
    return Response(f"{text}\n", status, content_type="text/plain")

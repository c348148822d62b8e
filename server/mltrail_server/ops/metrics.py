"""What Prometheus scrapes at `/metrics`: what the processes have counted, and what is the same in all of them.

docs/reference/metrics.md describes each; `python -m scripts.metrics_table` writes its tables.
"""

import hmac
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from mltrail_server.http.routes import mount_public
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import is_loopback
from mltrail_server.telemetry import calls

from .instruments import Instruments
from .shared_metrics import FOLDER_VARIABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from mltrail_server.services.admin.overview import Overview, OverviewReader

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


def mount_page(app: Flask, deps: Deps, instruments: Instruments) -> None:
    """Register `/metrics` alone."""

    @cache
    def overview() -> "OverviewReader":
        from mltrail_server.services.admin.overview import OverviewReader  # noqa: PLC0415 - few processes are asked

        return OverviewReader(deps)

    def metrics() -> Response:
        if refused := _refused(deps.settings.metrics_token):
            return refused
        seen = CollectorRegistry()
        seen.register(_Database(overview().read()))
        return Response(_own(instruments) + generate_latest(seen), content_type=CONTENT_TYPE_LATEST)

    mount_public(app, "/metrics", metrics)


class CountedRequests:
    """Counts requests and measures them, as a layer around the application. Belongs inside `RequestIds`."""

    def __init__(self, inner: "WSGIApplication", instruments: Instruments) -> None:
        self._inner = inner
        self._instruments = instruments

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        began = time.perf_counter()
        instruments = self._instruments

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> "Callable[[bytes], object]":  # noqa: ANN401 - an exception's parts
            # A request that matches no route can have any method that a client makes up.
            route = calls.route()
            method = environ["REQUEST_METHOD"] if route else ""
            instruments.answered(method, route or "unknown", int(status[:3]), time.perf_counter() - began)
            return start_response(status, headers, *error)

        instruments.in_flight.inc()
        try:
            return self._inner(environ, start)
        finally:
            instruments.in_flight.dec()


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


@dataclass(frozen=True, slots=True)
class Read:
    """A metric that is read when it is asked for. It has no sample while its value is not known."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    values: "Callable[[Overview], Iterable[tuple[tuple[str, ...], float]]]"


def _known(value: float | None) -> list[tuple[tuple[str, ...], float]]:
    return [] if value is None else [((), value)]


def _by_label(values: Mapping[str, float]) -> list[tuple[tuple[str, ...], float]]:
    return [((label,), value) for label, value in values.items()]


READ = (
    Read(
        "mltrail_info", "The running version; always 1", ("version",), lambda _: [((metadata.version("mltrail"),), 1)]
    ),
    Read(
        "mltrail_schema_info",
        "The revision of the database's schema; always 1",
        ("revision",),
        lambda seen: [((seen.revision,), 1)],
    ),
    Read(
        "mltrail_worker_due",
        "Items that the worker has not processed yet although they are due, by kind",
        ("kind",),
        lambda seen: _by_label({kind: float(one.due) for kind, one in seen.waiting.items()}),
    ),
    Read(
        "mltrail_worker_lag_seconds",
        "How long the oldest due item has been waiting, by kind",
        ("kind",),
        lambda seen: _by_label({kind: one.lag_ms / 1000 for kind, one in seen.waiting.items()}),
    ),
    Read(
        "mltrail_notes_not_posted",
        "Merge requests whose comment could not be written; counted in the background about once a minute",
        (),
        lambda seen: _known(seen.counts.notes_not_posted if seen.counts else None),
    ),
    Read(
        "mltrail_stored_bytes",
        "Bytes of all files; counted in the background about once a minute",
        (),
        lambda seen: _known(seen.counts.stored_bytes if seen.counts else None),
    ),
    Read(
        "mltrail_disk_free_bytes",
        "Free space of the disk that holds the folder: data (MLTRAIL_DATA_DIR) or artifacts (files in a folder)",
        ("folder",),
        lambda seen: _by_label({folder: float(one.free) for folder, one in seen.disks.items()}),
    ),
    Read(
        "mltrail_disk_size_bytes",
        "Size of that disk",
        ("folder",),
        lambda seen: _by_label({folder: float(one.size) for folder, one in seen.disks.items()}),
    ),
    Read(
        "mltrail_last_backup_timestamp_seconds",
        "When the last backup without damage ended (mltrail-server backup); absent before the first",
        (),
        lambda seen: _known(seen.last_backup_ms and seen.last_backup_ms / 1000),
    ),
    Read(
        "mltrail_bot_token_valid",
        "1 if GitLab accepts the tokens of all bots, else 0; asked about once an hour",
        (),
        lambda seen: _known(seen.expiry.bots_valid),
    ),
    Read(
        "mltrail_bot_token_expires_timestamp_seconds",
        "When the first of the bots' tokens expires; absent if none does",
        (),
        lambda seen: _known(seen.expiry.first_bot_ends),
    ),
    Read(
        "mltrail_certificate_expires_timestamp_seconds",
        "When the TLS certificate of a URL expires: external_url or gitlab_url; absent without TLS, or where this "
        "server can't reach it",
        ("url",),
        lambda seen: _by_label(seen.expiry.certificates),
    ),
)


class _Database(Collector):
    """The metrics that are the same in every process."""

    def __init__(self, overview: "Overview") -> None:
        self._overview = overview

    def collect(self) -> Iterator[Metric]:
        for one in READ:
            family = GaugeMetricFamily(one.name, one.meaning, labels=one.labels)
            for labels, value in one.values(self._overview):
                family.add_metric(labels, value)
            if family.samples:
                yield family


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

"""The metrics that a process counts itself. Labels are routes and our own words, never names that users chose.

Web processes and worker keep their numbers in files in one folder, `PROMETHEUS_MULTIPROC_DIR`, and the process that
serves the request adds them up (https://prometheus.github.io/client_python/multiprocess/).
"""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.named_statements import SLOW_STATEMENTS
from mltrail_server.telemetry.measured import MEASURED, Receiver

from .shared_values import share_values

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_OF_THEIR_OWN = frozenset({Reason.SEARCH_TOO_SLOW})
"""Reasons that are counted separately from their code."""


class Instruments(Receiver):
    def __init__(self) -> None:
        share_values()
        self.registry = CollectorRegistry()
        self._requests = self._histogram(
            "mltrail_http_request_seconds",
            "Requests by route and status, and the seconds until the response began",
            ["method", "route", "status"],
        )
        self.in_flight = self._gauge("mltrail_http_requests_in_flight", "Requests in progress")
        self._errors = self._counter(
            "mltrail_http_errors_total",
            "Error responses by kind, such as quota, limit (too many calls), search_too_slow, unavailable or internal",
            ["error"],
        )
        self._failed = self._counter("mltrail_internal_errors_total", "Responses with status 500; each is in the log")
        self._transactions = self._histogram(
            "mltrail_database_transaction_seconds",
            "Transactions by kind (read; search on the replica; write), including the wait for a connection or the "
            "write lock",
            ["kind"],
        )
        self._used = self._gauge(
            "mltrail_database_connections_in_use", "Connections to PostgreSQL that calls are using, of all processes"
        )
        self._most = self._gauge(
            "mltrail_database_connections_limit", "How many connections to PostgreSQL all processes together may open"
        )
        self._waits = self._counter(
            "mltrail_database_connection_waits_total",
            "Calls that had to wait, since their process had no connection left",
        )
        self._slow = self._counter(
            "mltrail_slow_statements_total",
            "Statements that took longer than MLTRAIL_SLOW_STATEMENT_MS, by their name in the log",
            ["statement"],
        )
        self._gitlab = self._histogram(
            "mltrail_gitlab_call_seconds",
            "Calls to GitLab's API by status; error is a call without a response",
            ["method", "status"],
        )
        self._keys_at = self._gauge(
            "mltrail_jwks_fetched_timestamp_seconds",
            "When the issuer's keys (JWKS) were last fetched; 0 before the first time",
            mode="max",
        )
        self._keys_failed = self._counter(
            "mltrail_jwks_fetch_failures_total", "Failed attempts to fetch the issuer's keys; known ones stay valid"
        )
        self._s3 = self._histogram(
            "mltrail_s3_call_seconds",
            "Calls to S3 by operation and status, retries included; error is a call without a response",
            ["operation", "status"],
        )
        self._published = self._counter(
            "mltrail_publications_total",
            "Comments, threads, statuses and issues by outcome: written in GitLab, or refused by it",
            ["outcome"],
        )
        self._passes = self._counter(
            "mltrail_worker_passes_total", "Passes of the worker's loop over what is due, by outcome", ["outcome"]
        )
        self._pass_at = self._gauge(
            "mltrail_worker_last_pass_timestamp_seconds",
            "When the worker ended its last pass; 0 in an instance without a worker",
            mode="max",
        )
        self._looks = self._counter(
            "mltrail_worker_looks_total", "The worker's looks at what is due, by kind and outcome", ["kind", "outcome"]
        )
        # Looking up a label costs more than counting.
        self._known: dict[tuple[str, str, int], Histogram] = {}
        self._of_kind = {kind: self._transactions.labels(kind) for kind in ("read", "search", "write")}
        for outcome in ("ok", "failed"):
            self._passes.labels(outcome)  # from zero on, so that Prometheus sees the first one as an increase

    def _histogram(self, name: str, meaning: str, labels: list[str]) -> Histogram:
        return Histogram(name, meaning, labels, buckets=_SECONDS, registry=self.registry)

    def _counter(self, name: str, meaning: str, labels: list[str] | None = None) -> Counter:
        return Counter(name, meaning, labels or [], registry=self.registry)

    def _gauge(self, name: str, meaning: str, mode: "str" = "livesum") -> Gauge:
        return Gauge(name, meaning, multiprocess_mode=mode, registry=self.registry)  # type: ignore[arg-type] # a literal

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        child = self._known.get((method, route, status))
        if child is None:
            child = self._known[method, route, status] = self._requests.labels(method, route, str(status))
        child.observe(seconds)
        if status == 500:
            self._failed.inc()

    def refused(self, error: MltrailError) -> None:
        reason = error.reason if error.reason in _OF_THEIR_OWN else None
        self._errors.labels((reason or error.code).name.lower()).inc()

    def transaction(self, kind: str, seconds: float) -> None:
        self._of_kind[kind].observe(seconds)

    def gitlab_call(self, method: str, status: str, seconds: float) -> None:
        self._gitlab.labels(method, status).observe(seconds)

    def slow_statement(self, name: str) -> None:
        self._slow.labels(name).inc()

    def published(self, outcome: str) -> None:
        self._published.labels(outcome).inc()

    def passed(self, *, failed: bool) -> None:
        self._passes.labels("failed" if failed else "ok").inc()
        self._pass_at.set(time.time())

    def looked(self, kind: str, outcome: str) -> None:
        self._looks.labels(kind, outcome).inc()

    def s3_call(self, operation: str, status: str, seconds: float) -> None:
        self._s3.labels(operation, status).observe(seconds)

    def keys_fetched(self, *, failed: bool) -> None:
        if failed:
            self._keys_failed.inc()
        else:
            self._keys_at.set(time.time())

    def connections(self, used: int) -> None:
        self._used.set(used)

    def connections_limit(self, most: int) -> None:
        self._most.set(most)

    def waited_for_connection(self) -> None:
        self._waits.inc()

    def attach(self, deps: Deps) -> None:
        """Have everything report to these instruments."""
        MEASURED.to = self
        SLOW_STATEMENTS.observe = self.slow_statement
        deps.db.observe = self.transaction
        if deps.team is not None:
            deps.team.gitlab.observe(self.gitlab_call)

"""Write deploy/observability/grafana-dashboard.json: a row for each question that an operator has.

Only what differs between panels is written down here; a test compares the file with this script.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "deploy/observability/grafana-dashboard.json"
_SCHEMA = 39
"""Of Grafana 10.4; later versions convert it when they load it."""
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_WIDTH, _HEIGHT = 8, 7
_ACROSS = 3


@dataclass(frozen=True)
class Panel:
    """A chart of some queries, by legend; a `stat` shows only the newest value."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"


def _rate(metric: str, by: str = "", where: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{where}}}[$__rate_interval]))"


def _quantile(metric: str, share: float, by: str = "", where: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval])))"


ROWS: dict[str, list[Panel]] = {
    "Does it work?": [
        Panel("Instances up", {"{{job}}": 'sum by (job) (up{job=~"mltrail.*"})'}, kind="stat"),
        Panel("Internal errors in a day", {"errors": "sum(increase(mltrail_internal_errors_total[1d]))"}, kind="stat"),
        Panel("Version", {"{{version}}": "count by (version) (mltrail_info)"}, kind="stat"),
    ],
    "Requests": [
        Panel("By status", {"{{status}}": _rate("mltrail_http_request_seconds_count", "status")}, "reqps"),
        Panel(
            "Seconds until the response begins",
            {
                "half": _quantile("mltrail_http_request_seconds", 0.5),
                "19 of 20": _quantile("mltrail_http_request_seconds", 0.95),
                "99 of 100": _quantile("mltrail_http_request_seconds", 0.99),
            },
            "s",
        ),
        Panel("In progress", {"{{instance}}": "mltrail_http_requests_in_flight"}),
        Panel(
            "Slowest routes (19 of 20 calls)",
            {"{{route}}": f"topk(5, {_quantile('mltrail_http_request_seconds', 0.95, 'route')})"},
            "s",
        ),
        Panel("Errors by kind", {"{{error}}": _rate("mltrail_http_errors_total", "error")}, "reqps"),
        Panel(
            "Logging (19 of 20 calls)",
            {"log": _quantile("mltrail_http_request_seconds", 0.95, where='route=~".*/runs/log-.*"')},
            "s",
        ),
    ],
    "Worker and comments": [
        Panel("Age of the oldest due item", {"{{kind}}": "max by (kind) (mltrail_worker_lag_seconds)"}, "s"),
        Panel("Due", {"{{kind}}": "max by (kind) (mltrail_worker_due)"}),
        Panel("Looks", {"{{kind}}, {{outcome}}": _rate("mltrail_worker_looks_total", "kind, outcome")}, "ops"),
        Panel("Passes", {"{{outcome}}": _rate("mltrail_worker_passes_total", "outcome")}, "ops"),
        Panel("Written in GitLab", {"{{outcome}}": _rate("mltrail_publications_total", "outcome")}, "ops"),
        Panel("Comments that can't be written", {"merge requests": "max(mltrail_notes_not_posted)"}),
    ],
    "Database": [
        Panel("Transactions", {"{{kind}}": _rate("mltrail_database_transaction_seconds_count", "kind")}, "ops"),
        Panel(
            "Seconds per transaction (19 of 20)",
            {"{{kind}}": _quantile("mltrail_database_transaction_seconds", 0.95, "kind")},
            "s",
        ),
        Panel(
            "Connections to PostgreSQL",
            {
                "in use": "sum(mltrail_database_connections_in_use)",
                "limit": "sum(mltrail_database_connections_limit)",
                "waits a second": _rate("mltrail_database_connection_waits_total"),
            },
        ),
        Panel("Slow statements", {"{{statement}}": _rate("mltrail_slow_statements_total", "statement")}, "ops"),
    ],
    "GitLab and S3": [
        Panel("Calls to GitLab", {"{{status}}": _rate("mltrail_gitlab_call_seconds_count", "status")}, "reqps"),
        Panel("Seconds per call to GitLab (19 of 20)", {"GitLab": _quantile("mltrail_gitlab_call_seconds", 0.95)}, "s"),
        Panel(
            "Calls to S3",
            {"{{operation}}, {{status}}": _rate("mltrail_s3_call_seconds_count", "operation, status")},
            "reqps",
        ),
        Panel(
            "Seconds per call to S3 (19 of 20)",
            {"{{operation}}": _quantile("mltrail_s3_call_seconds", 0.95, "operation")},
            "s",
        ),
        Panel("Keys for ID tokens: failed fetches", {"failed": "sum(increase(mltrail_jwks_fetch_failures_total[1h]))"}),
    ],
    "Space and dates": [
        Panel("Stored files", {"bytes": "max(mltrail_stored_bytes)"}, "bytes"),
        Panel(
            "Free disk",
            {"{{instance}}, {{folder}}": "mltrail_disk_free_bytes / mltrail_disk_size_bytes"},
            "percentunit",
        ),
        Panel(
            "Last backup ended",
            {"ago": "time() - max(mltrail_last_backup_timestamp_seconds)"},
            "s",
            kind="stat",
        ),
        Panel(
            "First bot token expires in",
            {"in": "min(mltrail_bot_token_expires_timestamp_seconds) - time()"},
            "s",
            kind="stat",
        ),
        Panel(
            "Certificate expires in",
            {"{{url}}": "min by (url) (mltrail_certificate_expires_timestamp_seconds) - time()"},
            "s",
            kind="stat",
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
                "panels": [],
            }
        )
        y += 1
        for number, one in enumerate(row):
            place = {
                "h": _HEIGHT,
                "w": _WIDTH,
                "x": number % _ACROSS * _WIDTH,
                "y": y + number // _ACROSS * _HEIGHT,
            }
            panels.append(_panel(one, len(panels) + 1, place))
        y += -(-len(row) // _ACROSS) * _HEIGHT
    return {
        "title": "mltrail",
        "uid": "mltrail",
        "tags": ["mltrail"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}]
        },
        "panels": panels,
    }


def _panel(one: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": number,
        "type": one.kind,
        "title": one.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": one.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(one.queries.items())
        ],
    }
    if one.kind == "stat":
        made["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name"}
    return made


def text() -> str:
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")

"""Alerts and dashboard: every alert fires when it should and only then, and uses metrics that exist.

Grafana itself does not run here.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from flask.testing import FlaskClient
from scripts import grafana_dashboard
from scripts.metrics_table import metrics

from tests.mlflow_client import Mlflow
from tests.places import ROOT

FOLDER = ROOT / "deploy/observability"
ALERTS = FOLDER / "alerts.yaml"
PAGE = ROOT / "docs/how-to/watch.md"

HTTP = "mltrail_http_request_seconds_count"
LOGGED = 'mltrail_http_request_seconds_bucket{route="/x/runs/log-metric",le='
GITLAB, S3 = "mltrail_gitlab_call_seconds_count", "mltrail_s3_call_seconds_count"
ERRORS = "mltrail_http_errors_total"
DAYS = 86_400
LAST_BACKUP = "mltrail_last_backup_timestamp_seconds"

# For each alert, what is measured when it fires after four hours, and when it does not. Time begins at zero, and there
# is a sample each minute. https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "MltrailDown": ({'up{job="mltrail"}': "0x240"}, {'up{job="mltrail"}': "1x240", 'up{job="other"}': "0x240"}),
    "MltrailInternalErrors": (
        {"mltrail_internal_errors_total": "0x230 1x10"},
        {"mltrail_internal_errors_total": "7x240"},
    ),
    "MltrailUnavailable": (
        {f'{HTTP}{{status="503"}}': "0+1x240", f'{HTTP}{{status="200"}}': "0+9x240"},
        {f'{HTTP}{{status="503"}}': "0+1x240", f'{HTTP}{{status="200"}}': "0+99x240"},
    ),
    "MltrailSlow": (
        {f'{LOGGED}"1"}}': "0+90x240", f'{LOGGED}"2.5"}}': "0+100x240", f'{LOGGED}"+Inf"}}': "0+100x240"},
        {f'{LOGGED}"0.1"}}': "0+99x240", f'{LOGGED}"1"}}': "0+99x240", f'{LOGGED}"+Inf"}}': "0+100x240"},
    ),
    "MltrailWorkerStopped": (
        {"mltrail_worker_last_pass_timestamp_seconds": "60x240"},
        {
            'mltrail_worker_last_pass_timestamp_seconds{job="mltrail"}': "0x240",
            'mltrail_worker_last_pass_timestamp_seconds{job="mltrail-worker"}': "0+60x240",
        },
    ),
    "MltrailWorkerFailing": (
        {'mltrail_worker_passes_total{outcome="failed"}': "0+1x240"},
        {
            'mltrail_worker_passes_total{outcome="failed"}': "3x240",
            'mltrail_worker_passes_total{outcome="ok"}': "0+1x240",
        },
    ),
    "MltrailWorkerBehind": (
        {'mltrail_worker_lag_seconds{kind="pipeline"}': "400x240"},
        {'mltrail_worker_lag_seconds{kind="pipeline"}': "0x238 400x2"},
    ),
    "MltrailNotesNotPosted": ({"mltrail_notes_not_posted": "2x240"}, {"mltrail_notes_not_posted": "0x200 2x40"}),
    "MltrailGitLabFailing": (
        {f'{GITLAB}{{status="error"}}': "0+3x240", f'{GITLAB}{{status="200"}}': "0+7x240"},
        {f'{GITLAB}{{status="404"}}': "0+3x240", f'{GITLAB}{{status="200"}}': "0+7x240"},
    ),
    "MltrailGitLabRateLimit": ({f'{GITLAB}{{status="429"}}': "0+1x240"}, {f'{GITLAB}{{status="429"}}': "5x240"}),
    "MltrailBotTokenInvalid": ({"mltrail_bot_token_valid": "0x240"}, {"mltrail_bot_token_valid": "1x240"}),
    "MltrailBotTokenExpires": (
        {"mltrail_bot_token_expires_timestamp_seconds": f"{10 * DAYS}x240"},
        {"mltrail_bot_token_expires_timestamp_seconds": f"{30 * DAYS}x240"},
    ),
    "MltrailCertificateExpires": (
        {'mltrail_certificate_expires_timestamp_seconds{url="external_url"}': f"{10 * DAYS}x240"},
        {'mltrail_certificate_expires_timestamp_seconds{url="external_url"}': f"{60 * DAYS}x240"},
    ),
    "MltrailKeysNotFetched": (
        {"mltrail_jwks_fetch_failures_total": "0+1x240"},
        {"mltrail_jwks_fetch_failures_total": "0x239 1x1"},
    ),
    "MltrailFileStoreFailing": (
        {f'{S3}{{status="503"}}': "0+1x240", f'{S3}{{status="200"}}': "0+9x240"},
        {f'{S3}{{status="404"}}': "0+1x240", f'{S3}{{status="200"}}': "0+9x240"},
    ),
    "MltrailDiskFull": (
        {'mltrail_disk_free_bytes{folder="data"}': "5x240", 'mltrail_disk_size_bytes{folder="data"}': "100x240"},
        {'mltrail_disk_free_bytes{folder="data"}': "15x240", 'mltrail_disk_size_bytes{folder="data"}': "100x240"},
    ),
    "MltrailConnectionsUsedUp": (
        {"mltrail_database_connection_waits_total": "0+2x240"},
        {"mltrail_database_connection_waits_total": "0+0.1x240"},
    ),
    "MltrailSlowStatements": (
        {'mltrail_slow_statements_total{statement="x.y"}': "0+1x240"},
        {'mltrail_slow_statements_total{statement="x.y"}': "0+0.1x240"},
    ),
    "MltrailSearchesStopped": (
        {f'{ERRORS}{{error="search_too_slow"}}': "0+1x240"},
        {f'{ERRORS}{{error="search_too_slow"}}': "0+0.1x240"},
    ),
    "MltrailQuotaUsedUp": ({f'{ERRORS}{{error="quota"}}': "0+1x240"}, {f'{ERRORS}{{error="quota"}}': "1x240"}),
    "MltrailCallersLimited": ({f'{ERRORS}{{error="limit"}}': "0+30x240"}, {f'{ERRORS}{{error="limit"}}': "0+1x240"}),
    "MltrailBackupOld": ({LAST_BACKUP: f"-{2 * DAYS}x240"}, {LAST_BACKUP: "0x240"}),
    "MltrailVersionsDiffer": (
        {'mltrail_info{version="1.0.0"}': "1x240", 'mltrail_info{version="1.1.0"}': "1x240"},
        {'mltrail_info{version="1.0.0",instance="a"}': "1x240", 'mltrail_info{version="1.0.0",instance="b"}': "1x240"},
    ),
}


def rules() -> list[dict[str, Any]]:
    return [one for group in yaml.safe_load(ALERTS.read_text())["groups"] for one in group["rules"]]


def promtool(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    assert promtool("check", "rules", str(ALERTS)) == ""


def test_the_scrape_is_valid(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(ALERTS.read_text())
    (tmp_path / "token").write_text("x")
    text = (FOLDER / "prometheus.yaml").read_text().replace("/etc/prometheus/mltrail-token", str(tmp_path / "token"))
    (tmp_path / "prometheus.yaml").write_text(text)
    assert promtool("check", "config", str(tmp_path / "prometheus.yaml")) == ""


def test_every_alert_has_a_case_and_a_runbook() -> None:
    names = [one["alert"] for one in rules()]
    assert sorted(names) == sorted(CASES)
    headings = re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE)
    assert headings == names, "in the order of the rules"
    for one in rules():
        assert one["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert one["labels"]["severity"] in {"critical", "warning", "info"}
        assert one["annotations"]["runbook_url"].endswith(f"/how-to/watch.html#{one['alert'].lower()}")


def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    checks = [
        {
            "name": f"{name} {'fires' if fires else 'does not fire'}",
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in measured.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)',
                    "eval_time": "4h",
                    "exp_samples": [{"labels": "{}", "value": int(fires)}],
                }
            ],
        }
        for name, case in CASES.items()
        for fires, measured in zip((True, False), case, strict=True)
    ]
    file = tmp_path / "cases.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": checks}))
    assert promtool("test", "rules", str(file)) == ""


def asked_for() -> Iterator[tuple[str, str]]:
    """Each alert and panel, with its query."""
    for one in rules():
        yield one["alert"], one["expr"]
    for panel in grafana_dashboard.dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def test_every_metric_that_is_asked_for_exists() -> None:
    known = metrics()
    for name, query in asked_for():
        for metric in re.findall(r"\bmltrail_\w+", query):
            base = re.sub(r"_(bucket|count|sum)$", "", metric)
            assert metric in known or known[base][0] == "histogram", f"{name}: {metric}"
            for label in re.findall(r"(\w+)=~?\"", query):
                assert label == "job" or label in known[base][1], f"{name}: {label} of {metric}"


def test_every_metric_is_in_the_dashboard_or_an_alert() -> None:
    text = " ".join(query for _, query in asked_for())
    missing = {name for name in metrics() if name not in text}
    assert missing <= {"mltrail_schema_info", "mltrail_jwks_fetched_timestamp_seconds"}


def test_the_dashboard_is_that_of_the_script() -> None:
    assert grafana_dashboard.FILE.read_text() == grafana_dashboard.text(), "run: python -m scripts.grafana_dashboard"
    made = json.loads(grafana_dashboard.FILE.read_text())
    numbers = [panel["id"] for panel in made["panels"]]
    assert len(numbers) == len(set(numbers))


def test_metrics_keep_to_prometheus_conventions(client: FlaskClient, mlflow: Mlflow) -> None:
    mlflow.post("experiments/create", name="churn")
    mlflow.error("POST", "runs/log-metric", run_id="unknown", key="loss", value=0.5, timestamp=1)
    assert promtool("check", "metrics", given=client.get("/metrics").get_data(as_text=True)) == ""


def test_the_queries_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    queries = [query.replace("$__rate_interval", "5m") for _, query in asked_for()]
    rows = [{"record": f"query:number:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rows}]}))
    assert promtool("check", "rules", str(file)) == ""

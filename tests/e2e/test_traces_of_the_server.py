"""OpenTelemetry traces of the server itself, as a collector gets them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from mltrail_server.domain.clock import system_clock
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store.ci import due
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.project import Project
from mltrail_server.telemetry import tracing
from tests.e2e.collector import Collector
from tests.environment import without_settings
from tests.team_server import TeamServer

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ROUTE = "/api/v4/projects/<project:project>/ml/mlflow/api/2.0/mlflow/runs/create"


def have_it_looked_at(server: TeamServer) -> None:
    """Have the worker look at the job's pipeline now, and not in a few minutes."""
    database = Database(f"sqlite:///{server.folder}/data/mltrail.db")
    with Project(database, ProjectId(server.project_id), system_clock).write() as tx:
        due.mark(tx, kind=due.PIPELINE, key=server.job.pipeline.id, at=tx.now)
    database.dispose()


@pytest.mark.e2e
def test_a_request_continues_its_callers_trace_down_to_the_statements(tmp_path: Path) -> None:
    with Collector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=ours",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_SERVICE_NAME": "tracking",
            "MLTRAIL_LOG_FORMAT": "json",
            "MLTRAIL_LOG_REQUESTS": "on",
        }
        with TeamServer(tmp_path, **variables) as server:
            url = f"{server.tracking_uri}/api/2.0/mlflow/runs/create"
            headers = {"Authorization": f"Bearer {server.token()}", "traceparent": f"00-{TRACE}-{PARENT}-01"}
            made = urllib3.request("POST", url, headers=headers, json={"experiment_id": "0", "run_name": "secret-plan"})
            assert made.status == 200, made.data
            request = collector.wait_for(lambda span: span.name == f"POST {ROUTE}")
            assert (request.trace_id, request.parent, request.service) == (TRACE, PARENT, "tracking")
            assert request.attributes["http.route"] == ROUTE
            assert request.attributes["http.response.status_code"] == 200
            assert request.attributes["mltrail.project_id"] == 42
            written = collector.wait_for(lambda span: span.name == "database write" and span.parent == request.id)
            assert written.attributes["db.system.name"] == "sqlite"
            collector.wait_for(lambda span: span.parent == written.id and span.name.startswith("upsert."))
            have_it_looked_at(server)
            look = collector.wait_for(lambda span: span.name == "worker pipeline")
            collector.wait_for(lambda span: span.name == "GitLab GET" and span.trace_id == look.trace_id)
            assert collector.headers["x-tenant"] == "ours"
            server.stop()
            lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
        assert any(line.get("trace_id") == TRACE and line.get("route") == ROUTE for line in lines)
        # The worker's check, every second, whether anything is due is not traced.
        assert not [span for span in collector.spans if span.name.startswith("database") and not span.parent]
        texts = [f"{span.name} {span.attributes}" for span in collector.spans]
        assert not [text for text in texts if "secret-plan" in text]


def test_it_costs_no_import_when_off() -> None:
    program = "import sys, mltrail_server.app; print([one for one in sys.modules if one.startswith('opentelemetry')])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
    ids=["nothing", "endpoint", "traces-endpoint", "disabled", "no-exporter"],
)
def test_what_switches_it_on(variables: dict[str, str], *, on: bool) -> None:
    assert tracing.wanted(variables) is on


def test_a_protocol_that_it_does_not_speak_is_refused() -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(MltrailError, match="unset OTEL_EXPORTER_OTLP_PROTOCOL"):
        tracing.wanted(asked)


def test_asked_for_but_not_installed_is_refused_with_what_to_do(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['opentelemetry'] = None; from mltrail_server.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "serve", "--data-dir", str(tmp_path), "--port", "0"],
        env=without_settings() | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "install mltrail[server,otel]" in done.stderr

"""What Prometheus scrapes: true numbers, of routes and never of projects, for who may have them."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import expiry
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store.admin import overview
from mltrail_server.store.ci import due
from mltrail_server.store.ci.due import KINDS
from mltrail_server.store.db import revisions
from tests.clock import FrozenClock
from tests.mlflow_client import Mlflow
from tests.team import Team

TOKEN = "token-of-prometheus"
PREFIX = "/api/v4/projects/<project:project>/ml/mlflow"


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(client: FlaskClient, name: str, **labels: str) -> float:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return samples(answer.get_data(as_text=True)).get((name, frozenset(labels.items())), 0.0)


def test_calls_are_counted_by_route_and_status(client: FlaskClient, mlflow: Mlflow, run_id: str) -> None:
    for step in range(3):
        mlflow.post("runs/log-metric", run_id=run_id, key="loss", value=0.5, timestamp=1, step=step)
    mlflow.error("POST", "runs/log-metric", run_id="unknown", key="loss", value=0.5, timestamp=1)
    client.get("/no/such/page")
    route = {"method": "POST", "route": f"{PREFIX}/api/2.0/mlflow/runs/log-metric"}
    assert value(client, "mltrail_http_request_seconds_count", **route, status="200") == 3
    assert value(client, "mltrail_http_request_seconds_count", **route, status="404") == 1
    assert value(client, "mltrail_http_request_seconds_count", method="", route="unknown", status="404") == 1
    assert value(client, "mltrail_http_requests_in_flight") == 1, "the one that asks"
    assert value(client, "mltrail_database_transaction_seconds_count", kind="write") >= 4


def test_what_the_worker_has_not_come_to(gitlab_client: FlaskClient, gitlab_deps: Deps, clock: FrozenClock) -> None:
    with gitlab_deps.project(ProjectId(42)).write() as tx:
        due.mark(tx, kind=due.PIPELINE, key=7, at=tx.now)
    assert value(gitlab_client, "mltrail_worker_lag_seconds", kind="pipeline") == 0
    clock.advance(90_000)
    assert value(gitlab_client, "mltrail_worker_lag_seconds", kind="pipeline") == 90
    assert value(gitlab_client, "mltrail_worker_due", kind="pipeline") == 1


def test_bytes_of_all_files(client: FlaskClient, mlflow: Mlflow, run_id: str, clock: FrozenClock) -> None:
    path = f"api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/a.bin"
    assert mlflow.call("PUT", path, data=b"x" * 1000).status_code == 200
    assert value(client, "mltrail_stored_bytes") == 1000


def test_calls_to_gitlab(gitlab_client: FlaskClient, team: Team) -> None:
    Mlflow(gitlab_client, project="42", token=team.tokens["developer"]).post("experiments/create", name="churn")
    measured = samples(gitlab_client.get("/metrics").get_data(as_text=True))
    counted = [number for (name, _), number in measured.items() if name == "mltrail_gitlab_call_seconds_count"]
    assert sum(counted) > 0


def test_no_name_that_users_chose_and_no_secret_is_a_label(gitlab_client: FlaskClient, team: Team) -> None:
    client = Mlflow(gitlab_client, project="team%2Fchurn", token=team.tokens["developer"])
    experiment = client.post("experiments/create", name="secret-plan")["experiment_id"]
    client.post("runs/create", experiment_id=experiment, run_name="secret-run")
    client.call("GET", "api/2.0/mlflow/secret-page")
    text = gitlab_client.get("/metrics").get_data(as_text=True)
    for word in ("secret", "churn", "team", "developer", team.tokens["developer"]):
        assert word not in text


@pytest.mark.parametrize(
    "asked",
    [
        {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}},
        {"headers": {"X-Forwarded-For": "192.0.2.7"}},
    ],
)
def test_only_this_machine_may_ask_without_a_token(client: FlaskClient, asked: dict[str, Any]) -> None:
    assert client.get("/metrics", **asked).status_code == 403


@pytest.mark.parametrize(("sent", "status"), [("", 401), ("Bearer other", 401), (f"Bearer {TOKEN}", 200)])
def test_a_token_lets_others_ask(settings: Settings, clock: FrozenClock, sent: str, status: int) -> None:
    deps = create_deps(replace(settings, metrics_token=TOKEN), clock=clock)
    answer = (
        create_app(deps)
        .test_client()
        .get("/metrics", headers={"Authorization": sent}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    )
    deps.db.dispose()
    assert answer.status_code == status


def counted(client: FlaskClient, name: str) -> dict[str, float]:
    """The samples of a metric with one label."""
    answer = client.get("/metrics").get_data(as_text=True)
    return {next(iter(labels))[1]: number for (sample, labels), number in samples(answer).items() if sample == name}


def test_errors_are_counted_by_kind(client: FlaskClient, mlflow: Mlflow) -> None:
    mlflow.error("POST", "runs/log-metric", run_id="unknown", key="loss", value=0.5, timestamp=1)
    client.get("/no/such/page")
    errors = counted(client, "mltrail_http_errors_total")
    assert (errors["not_found"], errors["no_endpoint"]) == (1, 1)


def test_every_kind_of_work_has_a_value_before_there_is_any(client: FlaskClient) -> None:
    assert counted(client, "mltrail_worker_due") == dict.fromkeys(KINDS, 0)
    assert value(client, "mltrail_worker_passes_total", outcome="failed") == 0
    assert "mltrail_last_backup_timestamp_seconds" not in client.get("/metrics").get_data(as_text=True)


def test_the_age_of_the_last_backup(client: FlaskClient, deps: Deps) -> None:
    for ended_ms in (1_000, 1_700_000_000_000):
        with deps.db.write() as connection:
            overview.keep_backup(connection, ended_ms=ended_ms)
    assert value(client, "mltrail_last_backup_timestamp_seconds") == 1_700_000_000


def test_the_disk_and_the_schema(client: FlaskClient) -> None:
    assert value(client, "mltrail_disk_free_bytes", folder="data") > 0
    assert value(client, "mltrail_disk_free_bytes", folder="data") <= value(
        client, "mltrail_disk_size_bytes", folder="data"
    )
    assert value(client, "mltrail_schema_info", revision=revisions.newest() or "") == 1


def test_connections_in_use(client: FlaskClient, deps: Deps) -> None:
    with deps.db.read():
        used = value(client, "mltrail_database_connections_in_use")
    most = value(client, "mltrail_database_connections_limit")
    assert (used, most) == ((0, 0) if deps.db.is_sqlite else (1, 26))


def test_when_the_bots_token_expires(gitlab_deps: Deps, team: Team) -> None:
    token = team.gitlab.tokens[gitlab_deps.settings.gitlab_token]
    token.expires_at = "2026-12-24"
    known = expiry.read(gitlab_deps.settings)
    assert (known.bots_valid, known.first_bot_ends) == (1, 1_798_070_400)
    del team.gitlab.tokens[gitlab_deps.settings.gitlab_token]
    assert expiry.read(gitlab_deps.settings).bots_valid == 0
    team.gitlab.stop()
    assert expiry.read(gitlab_deps.settings).bots_valid is None, "not known, which is no alarm about the token"

"""What a page asks for while a run is running: small, and nothing if nothing has changed."""

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from mltrail_server.services.pages import live
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import statements_of
from tests.ui.browsing import ML, page, sign_in


@pytest.fixture(autouse=True)
def signed_in(client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)


@pytest.fixture
def running(mlflow: Mlflow) -> str:
    made: str = mlflow.post("runs/create", experiment_id="0", run_name="net", start_time=1000)["run"]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=made, key="loss", value=0.123456789, timestamp=2000, step=7)
    return made


def test_a_running_run_says_what_is_new_until_it_ends(client: FlaskClient, mlflow: Mlflow, running: str) -> None:
    first = client.get(f"{ML}/candidates/live?run=1")
    (run,) = first.get_json()["runs"]
    assert run["running"] is True
    assert run["metrics"] == {"loss": ["0.12346", 7]}
    mark = {"If-None-Match": first.headers["ETag"]}
    unchanged = client.get(f"{ML}/candidates/live?run=1", headers=mark)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    mlflow.post("runs/log-metric", run_id=running, key="loss", value=0.1, timestamp=3000, step=8)
    changed = client.get(f"{ML}/candidates/live?run=1", headers=mark)
    assert changed.get_json()["runs"][0]["metrics"] == {"loss": ["0.1", 8]}
    mlflow.post("runs/update", run_id=running, status="FINISHED", end_time=91_000)
    (ended,) = client.get(f"{ML}/candidates/live?run=1", headers=mark).get_json()["runs"]
    assert (ended["running"], ended["status"], ended["duration"]) == (False, "Finished", "2 min")
    assert "Finished" in ended["badge"]


def test_it_costs_few_statements_for_any_number_of_runs(
    client: FlaskClient, mlflow: Mlflow, running: str, deps: Deps
) -> None:
    for _ in range(5):
        mlflow.post("runs/create", experiment_id="0")
    assert running
    client.get(f"{ML}/candidates/live?run=1")
    with statements_of(deps) as one:
        client.get(f"{ML}/candidates/live?run=1")
    with statements_of(deps) as six:
        client.get(f"{ML}/candidates/live?run=1,2,3,4,5,6")
    assert len(one) == len(six) <= 3


def test_only_the_metrics_that_a_page_shows_are_sent(
    client: FlaskClient, mlflow: Mlflow, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("accuracy", "val loss/mean"):
        mlflow.post("runs/log-metric", run_id=running, key=key, value=1, timestamp=2000)

    def metrics(**query: object) -> list[str]:
        (run,) = client.get(f"{ML}/candidates/live", query_string={"run": 1, **query}).get_json()["runs"]
        return sorted(run["metrics"])

    assert metrics(key=["loss", "val loss/mean", "unknown"]) == ["loss", "val loss/mean"]
    assert metrics(key="") == []
    assert metrics() == ["accuracy", "loss", "val loss/mean"]
    monkeypatch.setattr(live, "MOST_VALUES", 2)
    assert metrics() == ["accuracy", "loss"]
    monkeypatch.setattr(live, "MOST_KEYS", 1)
    assert client.get(f"{ML}/candidates/live?run=1&key=a&key=b").status_code == 400


def test_odd_questions_are_refused(client: FlaskClient, running: str) -> None:
    assert running
    assert client.get(f"{ML}/candidates/live").status_code == 400
    assert client.get(f"{ML}/candidates/live?run=x").status_code == 400
    assert client.get(f"{ML}/candidates/live?run={','.join(map(str, range(101)))}").status_code == 400
    assert client.get(f"{ML}/candidates/live?run=99").get_json() == {"runs": []}


def test_only_a_running_run_is_waited_for(client: FlaskClient, mlflow: Mlflow, running: str) -> None:
    assert "data-live-status" in page(client, f"{ML}/candidates/1/charts")
    mlflow.post("runs/update", run_id=running, status="FINISHED", end_time=91_000)
    assert "data-live-status" not in page(client, f"{ML}/candidates/1/charts")


def test_who_has_signed_out_is_sent_to_the_form(client: FlaskClient, running: str) -> None:
    assert running
    stranger = client.application.test_client()
    assert stranger.get(f"{ML}/candidates/live?run=1").status_code == 302

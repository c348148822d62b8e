"""Runs: https://mlflow.org/docs/latest/api_reference/rest-api.html#create-run."""

import re

import pytest

from tests.api.tracking.runs import tags_of
from tests.clock import START
from tests.mlflow_client import Mlflow, failure


def test_a_new_run_is_running_in_its_experiment(mlflow: Mlflow) -> None:
    run = mlflow.post("runs/create", experiment_id="0", start_time="123", tags=[{"key": "a", "value": "b"}])["run"]
    info = run["info"]
    assert re.fullmatch(r"[0-9a-f]{32}", info["run_id"])
    assert info["run_uuid"] == info["run_id"]
    assert (info["status"], info["lifecycle_stage"], info["experiment_id"]) == ("RUNNING", "active", "0")
    assert info["start_time"] == 123
    assert info["artifact_uri"] == f"mlflow-artifacts:/0/{info['run_id']}/artifacts"
    assert "end_time" not in info
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d+", info["run_name"])
    assert tags_of(run) == {"a": "b", "mlflow.runName": info["run_name"]}
    assert mlflow.get("runs/get", run_id=info["run_id"])["run"] == run
    assert mlflow.get("runs/get", run_uuid=info["run_id"])["run"] == run


def test_name_and_name_tag_are_one(mlflow: Mlflow, run_id: str) -> None:
    by_tag = mlflow.post("runs/create", experiment_id="0", tags=[{"key": "mlflow.runName", "value": "tagged"}])["run"]
    assert by_tag["info"]["run_name"] == "tagged"
    mlflow.post("runs/set-tag", run_id=run_id, key="mlflow.runName", value="second")
    assert mlflow.get("runs/get", run_id=run_id)["run"]["info"]["run_name"] == "second"
    mlflow.post("runs/update", run_id=run_id, run_name="third")
    assert tags_of(mlflow.get("runs/get", run_id=run_id)["run"])["mlflow.runName"] == "third"
    mlflow.post("runs/update", run_id=run_id, run_name="")
    assert mlflow.get("runs/get", run_id=run_id)["run"]["info"]["run_name"] == "third"
    both = {"run_name": "x", "tags": [{"key": "mlflow.runName", "value": "y"}]}
    assert mlflow.error("POST", "runs/create", experiment_id="0", **both)[:2] == (400, "INVALID_PARAMETER_VALUE")


def test_an_ended_run_has_status_and_end_and_still_takes_data(mlflow: Mlflow, run_id: str) -> None:
    info = mlflow.post("runs/update", run_id=run_id, status="FINISHED", end_time=START + 9)["run_info"]
    assert (info["status"], info["end_time"]) == ("FINISHED", START + 9)
    mlflow.post("runs/log-metric", run_id=run_id, key="late", value=1.0, timestamp=START)
    # Resuming a run keeps its end, as in MLflow.
    info = mlflow.post("runs/update", run_id=run_id, status=1)["run_info"]
    assert (info["status"], info["end_time"]) == ("RUNNING", START + 9)


def test_an_unknown_status_is_refused(mlflow: Mlflow, run_id: str) -> None:
    for status in ("YOLO", 99):
        assert "RUNNING, SCHEDULED" in mlflow.error("POST", "runs/update", run_id=run_id, status=status)[2]


def test_a_deleted_run_is_readable_but_not_writable(mlflow: Mlflow, run_id: str) -> None:
    for _ in range(2):
        mlflow.post("runs/delete", run_id=run_id)
    assert mlflow.get("runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "deleted"
    for path, fields in (
        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 1}),
        ("runs/log-parameter", {"key": "p", "value": "1"}),
        ("runs/set-tag", {"key": "t", "value": "1"}),
        ("runs/log-batch", {}),
        ("runs/update", {"status": "FINISHED"}),
    ):
        status, code, message = mlflow.error("POST", path, run_id=run_id, **fields)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert "Restore it first" in message
    mlflow.post("runs/restore", run_id=run_id)
    mlflow.post("runs/set-tag", run_id=run_id, key="t", value="1")


def test_runs_go_and_come_with_their_experiment(mlflow: Mlflow) -> None:
    experiment_id = mlflow.post("experiments/create", name="churn")["experiment_id"]
    run_id = mlflow.post("runs/create", experiment_id=experiment_id)["run"]["info"]["run_id"]
    mlflow.post("experiments/delete", experiment_id=experiment_id)
    assert mlflow.get("runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "deleted"
    assert mlflow.error("POST", "runs/create", experiment_id=experiment_id)[:2] == (400, "INVALID_PARAMETER_VALUE")
    mlflow.post("experiments/restore", experiment_id=experiment_id)
    assert mlflow.get("runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "active"


def test_another_projects_run_is_not_found(mlflow: Mlflow, run_id: str) -> None:
    other = Mlflow(mlflow.client, project="2")
    assert other.error("GET", "runs/get", run_id=run_id)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    logged = other.error("POST", "runs/log-metric", run_id=run_id, key="m", value=1, timestamp=1)
    assert logged[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "expected `object`"),
        (b'{"experiment_id": [5]}', "'experiment_id'"),
        (b'{"experiment_id": "0", "start_time": "soon"}', "'start_time'"),
        (b'{"experiment_id": "0", "tags": [{"value": "x"}]}', "'tags[0].key'"),
        (b'{"experiment_id": "0", "tags": {"a": "b"}}', "'tags'"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_body_that_is_wrong_says_where(mlflow: Mlflow, body: bytes, says: str) -> None:
    answer = mlflow.call("POST", "api/2.0/mlflow/runs/create", data=body, content_type="application/json")
    status, code, message = failure(answer)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert says in message


def test_a_body_must_say_that_it_is_json(mlflow: Mlflow) -> None:
    answer = mlflow.call("POST", "api/2.0/mlflow/runs/create", data=b"experiment_id=0", content_type="text/plain")
    assert "Content-Type: application/json" in failure(answer)[2]


def test_unknown_fields_of_newer_clients_are_passed_over(mlflow: Mlflow) -> None:
    mlflow.post("runs/create", experiment_id="0", invented_in_mlflow_9=True)


def test_an_unknown_endpoint_is_an_mlflow_error(mlflow: Mlflow) -> None:
    for method, path in (("POST", "webhooks"), ("GET", "nothing")):
        status, code, _ = mlflow.error(method, path)
        assert (status, code) == (404, "ENDPOINT_NOT_FOUND")

"""Experiments: https://mlflow.org/docs/latest/api_reference/rest-api.html#create-experiment."""

import pytest

from tests.clock import START, FrozenClock
from tests.mlflow_client import Mlflow


def test_a_project_has_the_default_experiment(mlflow: Mlflow) -> None:
    answer = mlflow.get("experiments/get", experiment_id="0")
    assert answer["experiment"]["name"] == "Default"
    assert mlflow.get("experiments/get-by-name", experiment_name="Default") == answer


def test_create_and_get(mlflow: Mlflow) -> None:
    made = mlflow.post("experiments/create", name="churn", tags=[{"key": "team", "value": "growth"}])
    assert made == {"experiment_id": "1"}
    assert mlflow.get("experiments/get", experiment_id="1")["experiment"] == {
        "experiment_id": "1",
        "name": "churn",
        "artifact_location": "mlflow-artifacts:/1",
        "lifecycle_stage": "active",
        "creation_time": START,
        "last_update_time": START,
        "tags": [{"key": "team", "value": "growth"}],
    }


def test_names_are_unique_in_a_project_only(mlflow: Mlflow) -> None:
    mlflow.post("experiments/create", name="churn")
    status, code, _ = mlflow.error("POST", "experiments/create", name="churn")
    assert (status, code) == (400, "RESOURCE_ALREADY_EXISTS")
    other = Mlflow(mlflow.client, project="2")
    assert other.post("experiments/create", name="churn") == {"experiment_id": "1"}


def test_delete_restore_rename(mlflow: Mlflow, clock: FrozenClock) -> None:
    mlflow.post("experiments/create", name="churn")
    mlflow.post("experiments/delete", experiment_id="1")
    assert mlflow.get("experiments/get", experiment_id="1")["experiment"]["lifecycle_stage"] == "deleted"
    assert mlflow.error("POST", "experiments/delete", experiment_id="1")[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    # A deleted experiment keeps its name, and the error says so.
    assert "restore it" in mlflow.error("POST", "experiments/create", name="churn")[2]
    mlflow.post("experiments/restore", experiment_id="1")
    clock.advance(5)
    mlflow.post("experiments/update", experiment_id="1", new_name="churn-2")
    renamed = mlflow.get("experiments/get-by-name", experiment_name="churn-2")["experiment"]
    assert (renamed["experiment_id"], renamed["last_update_time"]) == ("1", START + 5)


def test_tags_are_overwritten_and_deleted(mlflow: Mlflow) -> None:
    mlflow.post("experiments/create", name="churn")
    mlflow.post("experiments/set-experiment-tag", experiment_id="1", key="k", value="a")
    mlflow.post("experiments/set-experiment-tag", experiment_id="1", key="k", value="b")
    assert mlflow.get("experiments/get", experiment_id="1")["experiment"]["tags"] == [{"key": "k", "value": "b"}]
    mlflow.post("experiments/delete-experiment-tag", experiment_id="1", key="k")
    assert mlflow.get("experiments/get", experiment_id="1")["experiment"]["tags"] == []


@pytest.mark.parametrize("experiment_id", ["7", "9" * 30])
def test_what_is_no_experiment_is_not_found(mlflow: Mlflow, experiment_id: str) -> None:
    assert mlflow.error("GET", "experiments/get", experiment_id=experiment_id)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("experiment_id", ["seven", "-1", "1e3", "²", ""])
def test_what_can_be_no_experiment_is_refused(mlflow: Mlflow, experiment_id: str) -> None:
    assert mlflow.error("GET", "experiments/get", experiment_id=experiment_id)[:2] == (400, "INVALID_PARAMETER_VALUE")


def test_every_prefix_reaches_the_same_experiment(mlflow: Mlflow) -> None:
    mlflow.post("experiments/create", name="churn")
    for prefix in ("api/2.0/mlflow", "ajax-api/2.0/mlflow", "api/2.0/preview/mlflow"):
        answer = mlflow.call("GET", f"{prefix}/experiments/get", query_string={"experiment_id": "1"})
        assert answer.get_json()["experiment"]["name"] == "churn"

"""Every model has an experiment, and every version is a candidate, as in GitLab's registry.

https://docs.gitlab.com/user/project/ml/model_registry/
"""

from typing import Any

import pytest

from tests.mlflow_client import INVALID, Make, Mlflow, good


def experiment(mlflow: Mlflow, name: str = "[model]churn") -> Any:
    return mlflow.get("experiments/get-by-name", experiment_name=name)["experiment"]


def remove(mlflow: Mlflow, name: str = "churn") -> None:
    good(mlflow.call("DELETE", "api/2.0/mlflow/registered-models/delete", json={"name": name}))


def test_a_model_comes_with_its_experiment(mlflow: Mlflow) -> None:
    mlflow.post("registered-models/create", name="churn")
    found = experiment(mlflow)
    assert found["lifecycle_stage"] == "active"
    run = mlflow.post("runs/create", experiment_id=found["experiment_id"])["run"]
    assert run["info"]["experiment_id"] == found["experiment_id"]


def test_an_experiment_that_has_the_name_is_taken_over(mlflow: Mlflow) -> None:
    iid = mlflow.post("experiments/create", name="[model]churn")["experiment_id"]
    mlflow.post("experiments/delete", experiment_id=iid)
    mlflow.post("registered-models/create", name="churn")
    assert experiment(mlflow) | {"last_update_time": 0} == {
        **experiment(mlflow),
        "experiment_id": iid,
        "lifecycle_stage": "active",
        "last_update_time": 0,
    }


@pytest.mark.parametrize(("path", "more"), [("experiments/delete", {}), ("experiments/update", {"new_name": "other"})])
def test_it_stays_as_long_as_its_model(mlflow: Mlflow, path: str, more: dict[str, str]) -> None:
    mlflow.post("registered-models/create", name="churn")
    iid = experiment(mlflow)["experiment_id"]
    error = mlflow.error("POST", path, experiment_id=iid, **more)
    assert error[:2] == INVALID
    assert "an experiment associated to a model" in error[2]


def test_it_follows_its_model(mlflow: Mlflow) -> None:
    mlflow.post("registered-models/create", name="churn")
    iid = experiment(mlflow)["experiment_id"]
    mlflow.post("registered-models/rename", name="churn", new_name="loyalty")
    assert experiment(mlflow, "[model]loyalty")["experiment_id"] == iid
    mlflow.post("registered-models/rename", name="loyalty", new_name="loyalty")
    mlflow.post("experiments/create", name="[model]taken")
    error = mlflow.error("POST", "registered-models/rename", name="loyalty", new_name="taken")
    assert error[:2] == (400, "RESOURCE_ALREADY_EXISTS")
    assert mlflow.get("registered-models/get", name="loyalty")


def test_it_goes_with_its_model_and_the_name_is_free_again(mlflow: Mlflow, make: Make) -> None:
    run_id = make()["run_id"]
    first = experiment(mlflow)["experiment_id"]
    remove(mlflow)
    assert mlflow.get("experiments/get", experiment_id=first)["experiment"]["lifecycle_stage"] == "deleted"
    assert mlflow.get("runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "deleted"
    mlflow.post("registered-models/create", name="churn")
    assert experiment(mlflow)["experiment_id"] != first


def test_a_prompt_has_no_experiment(mlflow: Mlflow) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    mlflow.post("registered-models/create", name="greeting", tags=tags)
    error = mlflow.error("GET", "experiments/get-by-name", experiment_name="[model]greeting")
    assert error[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_version_without_a_run_is_one_that_takes_data_and_files(mlflow: Mlflow, make: Make) -> None:
    version = make()
    run_id = version["run_id"]
    mlflow.post("runs/log-metric", run_id=run_id, key="accuracy", value=0.9, timestamp=1, step=0)
    mlflow.post("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    mlflow.post("runs/set-tag", run_id=run_id, key="stage", value="eval")
    run = mlflow.get("runs/get", run_id=run_id)["run"]
    assert run["info"]["experiment_id"] == experiment(mlflow)["experiment_id"]
    assert run["info"]["status"] == "FINISHED"
    assert run["data"]["metrics"][0]["value"] == 0.9
    folder = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{folder}/MLmodel", data=b"flavors: {}"))
    uri = mlflow.get("model-versions/get-download-uri", name="churn", version=version["version"])["artifact_uri"]
    listed = good(
        mlflow.call(
            "GET",
            "api/2.0/mlflow-artifacts/artifacts",
            query_string={"path": uri.removeprefix("mlflow-artifacts:/")},
        )
    )
    assert [file["path"] for file in listed["files"]] == ["MLmodel"]


def test_a_version_of_a_run_is_that_run(mlflow: Mlflow, make: Make, run_id: str) -> None:
    assert make(run_id=run_id)["run_id"] == run_id
    assert make(run_id=run_id, source=f"runs:/{run_id}/model")["run_id"] == run_id
    assert mlflow.post("runs/search", experiment_ids=[experiment(mlflow)["experiment_id"]])["runs"] == []

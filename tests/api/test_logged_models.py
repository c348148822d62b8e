"""Logged models of MLflow 3."""

from typing import Any

import pytest

from tests.api.conftest import Mlflow, failure, good
from tests.api.test_artifacts import FILES, fetch, put
from tests.api.test_runs import run_id  # noqa: F401 - a fixture


@pytest.fixture
def model(mlflow: Mlflow, run_id: str) -> Any:
    pairs = [{"key": "k", "value": "v"}]
    made = mlflow.post("logged-models", experiment_id="0", name="model", source_run_id=run_id, params=pairs, tags=pairs)
    return made["model"]


def test_a_model_is_begun_filled_and_finished(mlflow: Mlflow, model: Any, run_id: str) -> None:
    info = model["info"]
    assert info["model_id"].startswith("m-")
    assert (info["status"], info["source_run_id"]) == ("LOGGED_MODEL_PENDING", run_id)
    assert info["artifact_uri"] == f"mlflow-artifacts:/0/models/{info['model_id']}/artifacts"
    path = f"0/models/{info['model_id']}/artifacts"
    good(put(mlflow, f"{path}/MLmodel", b"flavors: {}"))
    assert fetch(mlflow, f"{path}/MLmodel").get_data() == b"flavors: {}"
    ready = good(
        mlflow.call("PATCH", f"api/2.0/mlflow/logged-models/{info['model_id']}", json={"status": "LOGGED_MODEL_READY"})
    )
    assert ready["model"]["info"]["status"] == "LOGGED_MODEL_READY"
    listed = mlflow.get(f"logged-models/{info['model_id']}/artifacts/directories")
    assert [one["path"] for one in listed["files"]] == ["MLmodel"]


def test_metrics_of_a_model_belong_to_run_and_model(mlflow: Mlflow, model: Any, run_id: str) -> None:
    model_id = model["info"]["model_id"]
    mlflow.post("runs/log-metric", run_id=run_id, key="acc", value=0.9, timestamp=5, model_id=model_id)
    mlflow.post("runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 3}])
    shown = mlflow.get(f"logged-models/{model_id}")["model"]
    assert shown["data"]["metrics"] == [
        {"key": "acc", "value": 0.9, "timestamp": 5, "step": 0, "model_id": model_id, "run_id": run_id}
    ]
    run = mlflow.get("runs/get", run_id=run_id)["run"]
    assert run["data"]["metrics"][0]["value"] == 0.9
    assert run["outputs"] == {"model_outputs": [{"model_id": model_id, "step": 3}]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name = 'model'", True),
        ("name LIKE 'x%'", False),
        ("tags.k = 'v' AND params.k = 'v'", True),
        ("metrics.acc > 0.5", True),
        ("metrics.acc > 0.95", False),
    ],
)
def test_search(mlflow: Mlflow, model: Any, run_id: str, text: str, found: bool) -> None:
    model_id = model["info"]["model_id"]
    mlflow.post("runs/log-metric", run_id=run_id, key="acc", value=0.9, timestamp=5, model_id=model_id)
    order = [{"field_name": "metrics.acc", "ascending": False}]
    answer = mlflow.post("logged-models/search", experiment_ids=["0"], filter=text, order_by=order)
    assert [one["info"]["model_id"] for one in answer.get("models", ())] == ([model_id] if found else [])


def test_tags_and_params(mlflow: Mlflow, model: Any) -> None:
    path = f"api/2.0/mlflow/logged-models/{model['info']['model_id']}"
    good(
        mlflow.call("PATCH", f"{path}/tags", json={"tags": [{"key": "k", "value": "2"}, {"key": "x/y", "value": "3"}]})
    )
    good(mlflow.call("DELETE", f"{path}/tags/x/y"))
    good(mlflow.call("POST", f"{path}/params", json={"params": [{"key": "p", "value": "1"}]}))
    shown = good(mlflow.call("GET", path))["model"]
    assert shown["info"]["tags"] == [{"key": "k", "value": "2"}]
    assert shown["data"]["params"] == [{"key": "k", "value": "v"}, {"key": "p", "value": "1"}]


def test_a_deleted_model_is_gone_unless_asked_for(mlflow: Mlflow, model: Any) -> None:
    path = f"logged-models/{model['info']['model_id']}"
    good(mlflow.call("DELETE", f"api/2.0/mlflow/{path}"))
    assert mlflow.error("GET", path)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    assert mlflow.get(path, allow_deleted="true")["model"]["info"]["name"] == "model"
    assert "models" not in mlflow.post("logged-models/search", experiment_ids=["0"])


def test_what_is_wrong_is_told(mlflow: Mlflow, model: Any) -> None:
    path = f"api/2.0/mlflow/logged-models/{model['info']['model_id']}"
    assert "LOGGED_MODEL_READY" in failure(mlflow.call("PATCH", path, json={"status": "DONE"}))[2]
    assert mlflow.error("POST", "logged-models", experiment_id="0", name="a/b")[0] == 400
    assert mlflow.error("POST", "logged-models", experiment_id="77")[0] == 404
    assert mlflow.error("POST", "logged-models/search")[0] == 400
    assert mlflow.error("GET", "logged-models/m-unknown")[0] == 404
    assert Mlflow(mlflow.client, project="2").error("GET", f"logged-models/{model['info']['model_id']}")[0] == 404
    assert failure(mlflow.call("PUT", f"{FILES}/0/models/m-unknown/artifacts/f", data=b"x"))[0] == 404


def test_older_clients_tell_of_their_models_in_a_tag(mlflow: Mlflow, run_id: str) -> None:
    told = '{"artifact_path": "model", "flavors": {}, "utc_time_created": "now", "run_id": "x"}'
    for _ in range(2):
        mlflow.post("runs/log-model", run_id=run_id, model_json=told)
    tags = {tag["key"]: tag["value"] for tag in mlflow.get("runs/get", run_id=run_id)["run"]["data"]["tags"]}
    assert tags["mlflow.log-model.history"].count("artifact_path") == 2
    assert "not valid JSON" in mlflow.error("POST", "runs/log-model", run_id=run_id, model_json="{")[2]
    assert "missing mandatory" in mlflow.error("POST", "runs/log-model", run_id=run_id, model_json="{}")[2]

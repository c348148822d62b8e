"""Logged models of MLflow 3."""

from typing import Any

import pytest

from tests.api.files.transfers import fetch, put
from tests.mlflow_client import FILES, Mlflow, failure, good


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


def test_an_output_of_a_run_can_be_sent_again_but_not_at_another_step(mlflow: Mlflow, model: Any, run_id: str) -> None:
    model_id = model["info"]["model_id"]
    for _ in range(2):
        mlflow.post("runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 3}])
    moved = {"run_id": run_id, "models": [{"model_id": model_id, "step": 4}]}
    response = mlflow.call("POST", "api/2.0/mlflow/runs/outputs", json=moved)
    assert (response.status_code, "at step 3 already" in response.get_json()["message"]) == (400, True)
    assert mlflow.get("runs/get", run_id=run_id)["run"]["outputs"] == {
        "model_outputs": [{"model_id": model_id, "step": 3}]
    }


@pytest.mark.every_case
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


def test_search_by_what_was_measured_on_a_dataset(mlflow: Mlflow, run_id: str) -> None:
    def make(name: str, *measured: tuple[str, float]) -> None:
        made = mlflow.post("logged-models", experiment_id="0", name=name)["model"]["info"]
        for timestamp, (dataset, value) in enumerate(measured):
            mlflow.post(
                "runs/log-metric",
                run_id=run_id,
                key="acc",
                value=value,
                timestamp=timestamp,
                model_id=made["model_id"],
                dataset_name=dataset,
                dataset_digest=f"digest of {dataset}",
            )

    def found(**query: Any) -> list[str]:
        answer = mlflow.post("logged-models/search", experiment_ids=["0"], **query)
        return [one["info"]["name"] for one in answer.get("models", ())]

    make("a", ("test", 0.6), ("train", 0.99))
    make("b", ("test", 0.8))
    make("c", ("train", 0.9))
    make("d", ("test", 0.9), ("test", 0.5))
    by_name = {"field_name": "name"}
    test = {"dataset_name": "test"}
    assert found(datasets=[test], order_by=[by_name]) == ["a", "b", "d"]
    assert found(datasets=[{**test, "dataset_digest": "other"}]) == []
    # The newest value of each counts; a model without one comes last, either way.
    assert found(filter="metrics.acc > 0.7", datasets=[test], order_by=[by_name]) == ["b"]
    assert found(order_by=[{"field_name": "metrics.acc", "ascending": True, **test}]) == ["d", "a", "b", "c"]
    assert found(order_by=[{"field_name": "metrics.acc", "ascending": False, **test}]) == ["b", "a", "d", "c"]
    assert found(filter="experiment_id = '0' AND creation_timestamp_ms > 0", order_by=[by_name]) == list("abcd")


def test_pages_of_a_search_hold_each_model_once(mlflow: Mlflow) -> None:
    for number in range(5):
        mlflow.post("logged-models", experiment_id="0", name=f"m{number}")
    order = [{"field_name": "metrics.acc"}, {"field_name": "name"}]
    names, token = [], ""
    while True:
        page = mlflow.post(
            "logged-models/search", experiment_ids=["0"], max_results=2, order_by=order, page_token=token
        )
        names += [one["info"]["name"] for one in page["models"]]
        if not (token := page.get("next_page_token", "")):
            break
    assert names == ["m0", "m1", "m2", "m3", "m4"]


def test_a_model_says_what_it_was_registered_as(mlflow: Mlflow, model: Any) -> None:
    model_id = model["info"]["model_id"]
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("model-versions/create", name="churn", source=f"models:/{model_id}", model_id=model_id)
    info = mlflow.get(f"logged-models/{model_id}")["model"]["info"]
    assert info["registrations"] == [{"name": "churn", "version": "1"}]


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


@pytest.mark.parametrize("given", ["LOGGED_MODEL_UPLOAD_FAILED", 3, "3", 3.0])
def test_a_status_goes_by_its_number_too(mlflow: Mlflow, model: Any, given: object) -> None:
    """https://protobuf.dev/programming-guides/json/: readers take both names and numbers of enumerations."""
    path = f"api/2.0/mlflow/logged-models/{model['info']['model_id']}"
    changed = good(mlflow.call("PATCH", path, json={"status": given}))
    assert changed["model"]["info"]["status"] == "LOGGED_MODEL_UPLOAD_FAILED"


def test_a_search_is_bounded(mlflow: Mlflow, model: Any) -> None:
    """Each of these is a join or a condition: hundreds of them would hold the database for seconds."""
    datasets = [{"dataset_name": f"d{number}", "dataset_digest": "x"} for number in range(21)]
    orders = [{"field_name": f"metrics.m{number}"} for number in range(21)]
    asked: tuple[dict[str, Any], ...] = (
        {"experiment_ids": ["0"], "datasets": datasets},
        {"experiment_ids": ["0"], "order_by": orders},
        {"experiment_ids": [str(number) for number in range(10_001)]},
    )
    for search in asked:
        status, _, message = mlflow.error("POST", "logged-models/search", **search)
        assert (status, "at most" in message) == (400, True), message
    largest = " AND ".join(f"metrics.m{number} > 1" for number in range(50))
    found = mlflow.post(
        "logged-models/search", experiment_ids=["0"], filter=largest, datasets=datasets[1:], order_by=orders[1:]
    )
    assert "models" not in found


def test_a_wrong_value_is_refused(mlflow: Mlflow, model: Any) -> None:
    path = f"api/2.0/mlflow/logged-models/{model['info']['model_id']}"
    assert "LOGGED_MODEL_READY" in failure(mlflow.call("PATCH", path, json={"status": "DONE"}))[2]
    for name in ("a/b", "a\nb", "a\r", "a\u2028b", "a\u0085b", "\x1b[31m"):
        assert mlflow.error("POST", "logged-models", experiment_id="0", name=name)[0] == 400, name
    assert mlflow.error("POST", "logged-models", experiment_id="77")[0] == 404
    assert mlflow.error("POST", "logged-models/search")[0] == 400
    assert mlflow.error("GET", "logged-models/m-unknown")[0] == 404
    assert Mlflow(mlflow.client, project="2").error("GET", f"logged-models/{model['info']['model_id']}")[0] == 404
    assert failure(mlflow.call("PUT", f"{FILES}/0/models/m-unknown/artifacts/f", data=b"x"))[0] == 404


def test_older_clients_describe_their_models_in_a_tag(mlflow: Mlflow, run_id: str) -> None:
    entry = '{"artifact_path": "model", "flavors": {}, "utc_time_created": "now", "run_id": "x"}'
    for _ in range(2):
        mlflow.post("runs/log-model", run_id=run_id, model_json=entry)
    tags = {tag["key"]: tag["value"] for tag in mlflow.get("runs/get", run_id=run_id)["run"]["data"]["tags"]}
    assert tags["mlflow.log-model.history"].count("artifact_path") == 2
    assert "not valid JSON" in mlflow.error("POST", "runs/log-model", run_id=run_id, model_json="{")[2]
    assert "missing mandatory" in mlflow.error("POST", "runs/log-model", run_id=run_id, model_json="{}")[2]


def test_a_history_that_cannot_be_read_begins_anew(mlflow: Mlflow, run_id: str) -> None:
    entry = '{"artifact_path": "model", "flavors": {}, "utc_time_created": "now", "run_id": "x"}'
    for odd in ("{", '"text"', "[" * 2000):
        mlflow.post("runs/set-tag", run_id=run_id, key="mlflow.log-model.history", value=odd)
        mlflow.post("runs/log-model", run_id=run_id, model_json=entry)
    tags = {tag["key"]: tag["value"] for tag in mlflow.get("runs/get", run_id=run_id)["run"]["data"]["tags"]}
    assert tags["mlflow.log-model.history"] == f"[{entry}]"
    assert "not valid JSON" in mlflow.error("POST", "runs/log-model", run_id=run_id, model_json="[" * 100_000)[2]


def test_parameters_of_a_model_are_held_to_the_limits_of_a_run(mlflow: Mlflow, model: Any) -> None:
    path = f"api/2.0/mlflow/logged-models/{model['info']['model_id']}"
    for key in ("", "a" * 251, "a//b"):
        answer = mlflow.call("POST", f"{path}/params", json={"params": [{"key": key, "value": "1"}]})
        assert failure(answer)[:2] == (400, "INVALID_PARAMETER_VALUE")
    good(mlflow.call("POST", f"{path}/params", json={"params": [{"key": "long", "value": "x" * 7000}]}))
    params = {one["key"]: one["value"] for one in good(mlflow.call("GET", path))["model"]["data"]["params"]}
    assert len(params["long"]) == 6000


def test_a_search_looks_at_the_value_of_the_last_step(mlflow: Mlflow) -> None:
    run_id = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    # Step, time and value of two points each: the last step counts, whenever it came.
    for name, points in {
        "a": [(0, 5, 1), (1, 3, 2)],
        "b": [(0, 3, 1), (1, 5, 2)],
        "c": [(1, 5, 1), (0, 3, 2)],
        "nan": [(0, 5, 1), (1, 5, "NaN")],
    }.items():
        model_id = mlflow.post("logged-models", experiment_id="0", name=name)["model"]["info"]["model_id"]
        metrics = [
            {"key": "loss", "step": step, "timestamp": time, "value": value, "model_id": model_id}
            for step, time, value in points
        ]
        mlflow.post("runs/log-batch", run_id=run_id, metrics=metrics)

    def names(**search: Any) -> list[str]:
        found = mlflow.post("logged-models/search", experiment_ids=["0"], **search)
        return [one["info"]["name"] for one in found.get("models", ())]

    assert sorted(names(filter="metrics.loss = 2")) == ["a", "b"]
    assert names(filter="metrics.loss < 2") == ["c"]
    by_name = {"field_name": "name"}
    assert names(order_by=[{"field_name": "metrics.loss"}, by_name]) == ["c", "a", "b", "nan"]
    assert names(order_by=[{"field_name": "metrics.loss", "ascending": False}, by_name]) == ["a", "b", "c", "nan"]

"""What MLflow's own pages and MLflow 1.x ask for, beside what clients of today do.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import re
from typing import Any

import pytest
from scripts import endpoints

from tests.mlflow_client import INVALID, Make, Mlflow, failure, good

AJAX = "ajax-api/2.0/mlflow"


def logged(mlflow: Mlflow, points: list[tuple[int, float | str]], key: str = "loss") -> str:
    run_id: str = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    metrics = [{"key": key, "value": value, "timestamp": 10 + step, "step": step} for step, value in points]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=metrics)
    return run_id


def ajax(mlflow: Mlflow, path: str, **query: Any) -> Any:
    return good(mlflow.call("GET", f"{AJAX}/{path}", query_string=query))


def test_histories_of_several_runs(mlflow: Mlflow) -> None:
    first, second = logged(mlflow, [(1, 0.5), (0, 1.0)]), logged(mlflow, [(0, "NaN")])
    found = ajax(mlflow, "metrics/get-history-bulk", run_id=[first, second, "unknown"], metric_key="loss")
    wanted = [(first, 0, 1.0), (first, 1, 0.5), (second, 0, "NaN")]
    in_order = sorted(wanted, key=lambda one: one[0])  # of the runs' ids, as MLflow has it
    assert [(one["run_id"], one["step"], one["value"]) for one in found["metrics"]] == in_order
    assert ajax(mlflow, "metrics/get-history-bulk", run_id=first, metric_key="x") == {"metrics": []}
    limited = ajax(mlflow, "metrics/get-history-bulk", run_id=[first, second], metric_key="loss", max_results=1)
    assert len(limited["metrics"]) == 1


def test_a_thinned_history_keeps_every_runs_ends(mlflow: Mlflow) -> None:
    long = logged(mlflow, [(step, step / 10) for step in range(500)])
    short = logged(mlflow, [(7, 1.0), (333, 2.0)])
    query = {"run_ids": [long, short], "metric_key": "loss", "max_results": 10}
    found = mlflow.get("metrics/get-history-bulk-interval", **query)["metrics"]
    steps = [one["step"] for one in found if one["run_id"] == long]
    assert steps == sorted(steps)
    assert {0, 7, 333, 499} <= set(steps)
    assert 10 <= len(steps) <= 14
    assert [one["step"] for one in found if one["run_id"] == short] == [7, 333]
    part = mlflow.get("metrics/get-history-bulk-interval", **query, start_step=100, end_step=110)["metrics"]
    assert [one["step"] for one in part] == [*range(100, 110), 110][:11]


@pytest.mark.parametrize(
    "query",
    [
        {"run_ids": []},
        {"run_ids": ["r"] * 101},
        {"run_ids": ["r"], "start_step": 1},
        {"run_ids": ["r"], "start_step": 2, "end_step": 1},
        {"run_ids": ["r"], "max_results": 0},
        {"run_ids": ["r"], "max_results": 2501},
    ],
)
def test_intervals_that_make_no_sense(mlflow: Mlflow, query: dict[str, Any]) -> None:
    error = mlflow.error("GET", "metrics/get-history-bulk-interval", metric_key="loss", **query)
    assert error[:2] == INVALID


@pytest.mark.parametrize("path", [f"{AJAX}/experiments/search-datasets", "api/2.0mlflow/experiments/search-datasets"])
def test_datasets_of_experiments(mlflow: Mlflow, path: str) -> None:
    for context in ("training", "eval", "eval"):
        run_id = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
        dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "s"}
        tags = [{"key": "mlflow.data.context", "value": context}]
        mlflow.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}])
    found = good(mlflow.call("POST", path, json={"experiment_ids": ["0"]}))["dataset_summaries"]
    assert found == [
        {"experiment_id": "0", "name": "d", "digest": "1", "context": "eval"},
        {"experiment_id": "0", "name": "d", "digest": "1", "context": "training"},
    ]
    assert good(mlflow.call("POST", path, json={"experiment_ids": ["7"]})) == {}
    for ids in ([], [str(number) for number in range(21)]):
        assert failure(mlflow.call("POST", path, json={"experiment_ids": ids}))[:2] == INVALID


def test_single_files(mlflow: Mlflow, make: Make, run_id: str) -> None:
    sent = mlflow.call(
        "POST", f"{AJAX}/upload-artifact", query_string={"run_uuid": run_id, "path": "a/b.txt"}, data=b"b"
    )
    assert good(sent) == {}
    for path in ("get-artifact", f"{AJAX}/get-artifact", "api/2.0/mlflow/get-artifact"):
        got = mlflow.call("GET", path, query_string={"run_id": run_id, "path": "a/b.txt"}, buffered=True)
        assert (got.status_code, got.data) == (200, b"b")
        assert got.headers["Content-Disposition"].startswith("attachment")
    version = make(run_id=run_id, source=f"runs:/{run_id}/a")["version"]
    named = {"name": "churn", "version": version, "path": "b.txt"}
    for path in ("model-versions/get-artifact", f"{AJAX}/model-versions/get-artifact"):
        assert mlflow.call("GET", path, query_string=named, buffered=True).data == b"b"


@pytest.mark.parametrize("path", ["", "/", "..", "../../x", "a/../../b"])
def test_single_files_stay_in_their_run(mlflow: Mlflow, run_id: str, path: str) -> None:
    query = {"run_id": run_id, "path": path}
    sent = mlflow.call("POST", f"{AJAX}/upload-artifact", query_string=query, data=b"b")
    assert failure(sent)[:2] == INVALID


def test_a_page_may_upload_ten_megabytes(mlflow: Mlflow, run_id: str) -> None:
    query = {"run_id": run_id, "path": "a.bin"}
    large = mlflow.call("POST", f"{AJAX}/upload-artifact", query_string=query, data=b"x" * (10 * 1024 * 1024 + 1))
    assert failure(large)[:2] == (413, "INVALID_PARAMETER_VALUE")
    assert (
        "files" not in mlflow.get("artifacts/list", run_id=run_id)
        or not mlflow.get("artifacts/list", run_id=run_id)["files"]
    )


def test_a_file_of_a_logged_model(mlflow: Mlflow, run_id: str) -> None:
    model = mlflow.post("logged-models", experiment_id="0", name="m", source_run_id=run_id)["model"]["info"]
    folder = model["artifact_uri"].removeprefix("mlflow-artifacts:/")
    good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{folder}/MLmodel", data=b"flavors"))
    path = f"{AJAX}/logged-models/{model['model_id']}/artifacts/files"
    got = mlflow.call("GET", path, query_string={"artifact_file_path": "MLmodel"}, buffered=True)
    assert got.data == b"flavors"
    missing = mlflow.call("GET", path, query_string={"artifact_file_path": "nothing"})
    assert failure(missing)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_lists_of_old_clients(mlflow: Mlflow) -> None:
    first = mlflow.post("experiments/create", name="first")["experiment_id"]
    mlflow.post("experiments/delete", experiment_id=first)
    assert [one["name"] for one in mlflow.get("experiments/list")["experiments"]] == ["Default"]
    everything = mlflow.get("experiments/list", view_type="ALL")["experiments"]
    assert [one["name"] for one in everything] == ["first", "Default"]
    for name in "ab":
        mlflow.post("registered-models/create", name=name)
    page = mlflow.get("registered-models/list", max_results=1)
    rest = mlflow.get("registered-models/list", max_results=1, page_token=page["next_page_token"])
    assert [one["name"] for one in page["registered_models"] + rest["registered_models"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "api/2.0/mlflow/unified-traces"),
        ("POST", "api/2.0/mlflow/webhooks"),
        ("GET", "api/3.0/mlflow/workspaces"),
        ("POST", "graphql"),
        ("GET", "api/2.0/mlflow/experiments/nonsense"),
        ("GET", "api/2.0/mlflow//experiments/get"),
    ],
)
def test_what_we_lack_is_said_in_mlflows_words(mlflow: Mlflow, method: str, path: str) -> None:
    assert failure(mlflow.call(method, path, json={}))[:2] == (404, "ENDPOINT_NOT_FOUND")


def test_every_endpoint_that_is_absent_says_why(mlflow: Mlflow) -> None:
    absent = endpoints.absent_ones()
    assert len(absent) > 100
    for method, path in absent:
        filled = re.sub(r"\{[^}]+\}", "some", path)
        status, code, message = failure(mlflow.call(method, filled.lstrip("/"), json={}))
        assert (status, code) in ((404, "ENDPOINT_NOT_FOUND"), (405, "ENDPOINT_NOT_FOUND")), (method, path)
        assert message.startswith(("mltrail ", "Only MLflow's own pages")), (method, path, message)


def test_a_wrong_method_names_the_right_one(mlflow: Mlflow) -> None:
    answer = mlflow.call("GET", "api/2.0/mlflow/runs/search")
    assert failure(answer)[:2] == (405, "ENDPOINT_NOT_FOUND")
    assert answer.headers["Allow"] == "POST"


def test_what_the_server_says_of_itself(mlflow: Mlflow) -> None:
    for path, text in (("health", "OK"), ("version", "3.18.0")):
        answer = mlflow.call("GET", path)
        assert (answer.status_code, answer.get_data(as_text=True)) == (200, text)
    info = good(mlflow.call("GET", "api/3.0/mlflow/server-info"))
    # A wrong promise would send clients to calls that are not there.
    assert not any(info[name] for name in info if name != "store_type")

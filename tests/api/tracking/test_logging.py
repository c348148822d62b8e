"""Metrics, parameters and tags: https://mlflow.org/docs/latest/api_reference/rest-api.html#log-metric."""

import operator
import sys
from typing import Any

import pytest

from tests.api.tracking.runs import tags_of
from tests.mlflow_client import Mlflow


def data_of(mlflow: Mlflow, run_id: str) -> Any:
    return mlflow.get("runs/get", run_id=run_id)["run"]["data"]


def metrics_of(mlflow: Mlflow, run_id: str) -> dict[str, Any]:
    return {metric["key"]: metric for metric in data_of(mlflow, run_id).get("metrics", ())}


def log(mlflow: Mlflow, run_id: str, key: str, value: object, *, step: int = 0, timestamp: int = 1) -> None:
    mlflow.post("runs/log-metric", run_id=run_id, key=key, value=value, step=step, timestamp=timestamp)


def history(mlflow: Mlflow, run_id: str, key: str, **query: object) -> list[Any]:
    found: list[Any] = mlflow.get("metrics/get-history", run_id=run_id, metric_key=key, **query).get("metrics", [])
    return found


def test_the_latest_value_is_of_the_highest_step_then_time_then_value(mlflow: Mlflow, run_id: str) -> None:
    for step, timestamp, value in ((1, 9, 0.1), (3, 2, 0.3), (3, 2, 0.2), (2, 99, 0.9), (3, 1, 0.8)):
        log(mlflow, run_id, "loss", value, step=step, timestamp=timestamp)
    assert metrics_of(mlflow, run_id)["loss"] == {"key": "loss", "value": 0.3, "timestamp": 2, "step": 3}


def test_a_batch_finds_its_own_latest(mlflow: Mlflow, run_id: str) -> None:
    points = [
        {"key": "loss", "value": value, "timestamp": 5, "step": step} for step, value in ((2, 0.2), (7, 0.7), (1, 9))
    ]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    assert metrics_of(mlflow, run_id)["loss"]["value"] == 0.7
    assert [point["step"] for point in history(mlflow, run_id, "loss")] == [1, 2, 7]


def test_nan_and_infinity(mlflow: Mlflow, run_id: str) -> None:
    for step, value in enumerate(("NaN", "Infinity", "-Infinity", 1e400)):
        log(mlflow, run_id, "m", value if value != float("inf") else "Infinity", step=step)
    largest = 1.7976931348623157e308
    assert [point["value"] for point in history(mlflow, run_id, "m")] == ["NaN", largest, -largest, largest]
    log(mlflow, run_id, "m", "NaN", step=9)
    assert metrics_of(mlflow, run_id)["m"]["value"] == "NaN"


HARD = [
    5e-324,
    2.2250738585072014e-308,
    1e308,
    sys.float_info.max,
    -sys.float_info.max,
    0.1 + 0.2,
    1 / 3,
    2.0**53 + 2,
    1e15,
    1e16,
    123456789012345680.0,
    1e22,
    0.0,
    -1.5,
    4.35,
]


def test_numbers_come_back_as_they_were_logged(mlflow: Mlflow, run_id: str) -> None:
    times = [0, 1, 2**53 + 1, 2**63 - 1]
    points = [
        {"key": f"m{number}", "value": value, "timestamp": times[number % 4], "step": (-1) ** number * (2**53 + number)}
        for number, value in enumerate(HARD)
    ]
    points.append({"key": "Ünï/a b", "value": "NaN", "timestamp": 1, "step": -(2**63)})
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    expected = [repr(one) for one in sorted(points, key=operator.itemgetter("key"))]
    experiment = mlflow.get("runs/get", run_id=run_id)["run"]["info"]["experiment_id"]
    for _ in range(2):  # names that are looked up, and names that are known
        found = mlflow.get("runs/get", run_id=run_id)["run"]["data"]["metrics"]
        assert [repr(one) for one in found] == expected
        (run,) = mlflow.post("runs/search", experiment_ids=[experiment])["runs"]
        assert [repr(one) for one in run["data"]["metrics"]] == expected


def test_a_repeated_write_is_stored_once(mlflow: Mlflow, run_id: str) -> None:
    for _ in range(2):
        log(mlflow, run_id, "loss", 0.5, step=1)
        log(mlflow, run_id, "bad", "NaN", step=1)
        mlflow.post("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    assert len(history(mlflow, run_id, "loss")) == 1
    assert len(history(mlflow, run_id, "bad")) == 1


def test_history_comes_in_pages(mlflow: Mlflow, run_id: str) -> None:
    points = [{"key": "m", "value": float(step % 3), "timestamp": step // 4, "step": step} for step in range(20)]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    seen, token = [], None
    while token is not None or not seen:
        query = {"page_token": token} if token else {}
        answer = mlflow.get("metrics/get-history", run_id=run_id, metric_key="m", max_results=3, **query)
        seen += answer["metrics"]
        token = answer.get("next_page_token")
    assert [point["step"] for point in seen] == list(range(20))
    assert history(mlflow, run_id, "unknown") == []
    assert mlflow.error("GET", "metrics/get-history", run_id="nobody", metric_key="m")[0] == 404


def test_a_parameter_is_written_once(mlflow: Mlflow, run_id: str) -> None:
    mlflow.post("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    status, code, message = mlflow.error("POST", "runs/log-parameter", run_id=run_id, key="lr", value="0.10")
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "already logged with value='0.1'" in message
    assert data_of(mlflow, run_id)["params"] == [{"key": "lr", "value": "0.1"}]


def test_long_values_are_cut_as_mlflow_cuts_them(mlflow: Mlflow, run_id: str) -> None:
    mlflow.post("runs/log-parameter", run_id=run_id, key="long", value="x" * 7000)
    mlflow.post("runs/set-tag", run_id=run_id, key="long", value="y" * 9000)
    data = data_of(mlflow, run_id)
    assert len(data["params"][0]["value"]) == 6000
    assert len(tags_of({"data": data})["long"]) == 8000


def test_tags_are_overwritten_and_deleted(mlflow: Mlflow, run_id: str) -> None:
    for value in ("a", "b"):
        mlflow.post("runs/set-tag", run_id=run_id, key="stage", value=value)
    assert tags_of({"data": data_of(mlflow, run_id)})["stage"] == "b"
    mlflow.post("runs/delete-tag", run_id=run_id, key="stage")
    assert mlflow.error("POST", "runs/delete-tag", run_id=run_id, key="stage")[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_null_means_absent(mlflow: Mlflow, run_id: str) -> None:
    mlflow.post("runs/log-metric", run_id=run_id, run_uuid=None, key="m", value=1, timestamp=1, step=None)
    mlflow.post("runs/log-parameter", run_id=run_id, key="p", value=None)
    params = [{"key": "q", "value": None}]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=None, params=params, tags=[{"key": "t", "value": None}])
    data = data_of(mlflow, run_id)
    assert data["metrics"] == [{"key": "m", "value": 1.0, "timestamp": 1, "step": 0}]
    assert data["params"] == [{"key": "p", "value": ""}, {"key": "q", "value": ""}]
    missing = mlflow.error("POST", "runs/log-metric", run_id=run_id, key=None, value=1, timestamp=1)
    assert "Missing value for required parameter 'key'" in missing[2]


def metric(key: str) -> dict[str, object]:
    return {"key": key, "value": 1, "timestamp": 1}


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        ({"metrics": [metric(f"m{n}") for n in range(1001)]}, "at most 1000 metrics"),
        ({"params": [{"key": f"p{n}", "value": "1"} for n in range(101)]}, "at most 100 params"),
        ({"tags": [{"key": f"t{n}", "value": "1"} for n in range(101)]}, "at most 100 tags"),
        (
            {"metrics": [metric(f"m{n}") for n in range(990)], "tags": [{"key": f"t{n}"} for n in range(11)]},
            "at most 1000 metrics, params and tags together",
        ),
        ({"metrics": [metric("good"), metric("../bad")]}, "metrics[1].key"),
        ({"metrics": [metric("good")], "params": [{"key": "p", "value": "1"}] * 2}, "Duplicate parameter keys"),
        ({"metrics": [metric("good")], "params": [{"key": "fixed", "value": "other"}]}, "Changing param values"),
        ({"metrics": [metric("good"), {"key": "m", "value": "much", "timestamp": 1}]}, "metrics[1].value"),
        ({"metrics": [metric("good"), {"key": "m", "value": 1, "timestamp": -1}]}, "metrics[1].timestamp"),
        ({"metrics": [metric("good"), {"key": "m", "value": 1}]}, "metrics[1].timestamp"),
    ],
)
def test_a_batch_is_stored_whole_or_not_at_all(mlflow: Mlflow, run_id: str, batch: dict[str, Any], says: str) -> None:
    mlflow.post("runs/log-parameter", run_id=run_id, key="fixed", value="one")
    status, code, message = mlflow.error("POST", "runs/log-batch", run_id=run_id, **batch)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert says in message
    assert metrics_of(mlflow, run_id) == {}
    assert data_of(mlflow, run_id)["params"] == [{"key": "fixed", "value": "one"}]


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "a/../b", ".", "a*b", "x" * 251, "a\nb"])
def test_a_key_that_is_no_key_is_refused(mlflow: Mlflow, run_id: str, key: str) -> None:
    for path, fields in (("log-metric", {"value": 1, "timestamp": 1}), ("log-parameter", {}), ("set-tag", {})):
        assert mlflow.error("POST", f"runs/{path}", run_id=run_id, key=key, **fields)[0] == 400


@pytest.mark.parametrize("key", ["val/loss", "mérite", "a b:c-d.e_f", "損失"])
def test_keys_may_be_paths_and_unicode(mlflow: Mlflow, run_id: str, key: str) -> None:
    log(mlflow, run_id, key, 1)
    assert key in metrics_of(mlflow, run_id)


def test_inputs_are_kept(mlflow: Mlflow, run_id: str) -> None:
    dataset = {"name": "d", "digest": "abc", "source_type": "local", "source": "{}", "schema": "s"}
    logged = [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "train"}]}]
    for _ in range(2):
        mlflow.post("runs/log-inputs", run_id=run_id, datasets=logged, models=[{"model_id": "m-1"}])
    inputs = mlflow.get("runs/get", run_id=run_id)["run"]["inputs"]
    assert inputs == {"dataset_inputs": logged, "model_inputs": [{"model_id": "m-1"}]}

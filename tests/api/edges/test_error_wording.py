"""Errors begin with the words of MLflow's own, since programs and their tests look for those."""

from typing import Any

import pytest

from tests.mlflow_client import INVALID, Mlflow, failure


@pytest.mark.parametrize(
    ("path", "odd", "words"),
    [
        ("experiments/create", {"name": ["a"]}, "Invalid value [\"a\"] for parameter 'name' supplied"),
        (
            "experiments/create",
            {"name": "a", "artifact_location": {"a": 9.0}},
            'Invalid value {"a":9.0} for parameter \'artifact_loc',
        ),
        ("experiments/create", {"name": "a", "tags": "5"}, "Invalid value \"5\" for parameter 'tags' supplied"),
        ("experiments/create", {}, "Missing value for required parameter 'name'"),
        ("runs/log-metric", {"step": "x"}, "Invalid value \"x\" for parameter 'step' supplied"),
        ("runs/log-metric", {"run_id": [31]}, "Invalid value [31] for parameter 'run_id' supplied"),
        ("runs/log-metric", {"key": None}, "Missing value for required parameter 'key'"),
        ("runs/log-parameter", {"value": [41]}, "Invalid value [41] for parameter 'value' supplied"),
        ("runs/log-batch", {"metrics": "foo"}, "Invalid value \"foo\" for parameter 'metrics' supplied"),
        ("runs/log-batch", {"metrics": {"a": [1]}}, "Invalid value {\"a\":[1]} for parameter 'metrics' supplied"),
        (
            "runs/search",
            {"experiment_ids": ["0"], "max_results": 10**8},
            "Invalid value 100000000 for parameter 'max_res",
        ),
        ("experiments/search-datasets", {}, "SearchDatasets request must specify at least one experiment_id."),
        (
            "experiments/search-datasets",
            {"experiment_ids": ["1"] * 30},
            "SearchDatasets request cannot specify more",
        ),
    ],
)
def test_what_is_wrong_with_a_field(mlflow: Mlflow, run_id: str, path: str, odd: dict[str, Any], words: str) -> None:
    known = {"run_id": run_id, "key": "k", "value": 1.0, "timestamp": 1} if path.startswith("runs/log-") else {}
    error = mlflow.error("POST", path, **known | odd)
    assert error[:2] == INVALID
    assert words in error[2]


def test_a_long_value_is_cut_off(mlflow: Mlflow) -> None:
    assert len(mlflow.error("POST", "experiments/create", name=["x" * 10_000])[2]) < 400


def test_a_wrong_field_before_a_broken_end_is_refused(mlflow: Mlflow) -> None:
    answer = mlflow.call(
        "POST", "api/2.0/mlflow/experiments/create", data=b'{"name": 1, ', content_type="application/json"
    )
    assert failure(answer)[:2] == INVALID


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"run_id": ["a"]}, "GetMetricHistoryBulk request must specify a metric_key"),
        ({"metric_key": "k"}, "GetMetricHistoryBulk request must specify at least one run_id"),
        ({"metric_key": "k", "run_id": ["a"] * 101}, "GetMetricHistoryBulk request cannot specify more than 100"),
    ],
)
def test_histories_of_several_runs(mlflow: Mlflow, query: dict[str, Any], words: str) -> None:
    error = mlflow.error("GET", "metrics/get-history-bulk", **query)
    assert error[:2] == INVALID
    assert words in error[2]


def test_paths_that_leave_are_refused_before_anything_is_looked_up(mlflow: Mlflow, run_id: str) -> None:
    for call, query in (
        ("api/2.0/mlflow/artifacts/list", {"run_id": run_id}),
        ("get-artifact", {"run_id": run_id}),
        ("model-versions/get-artifact", {"name": "nobody", "version": "1"}),
    ):
        answer = mlflow.call("GET", call, query_string=query | {"path": "../path"})
        assert failure(answer) == (*INVALID, "Invalid path")


@pytest.mark.parametrize(
    ("query", "data", "words"),
    [
        ({}, b"x", "Request must specify run_uuid."),
        ({"run_uuid": "RUN"}, b"x", "Request must specify path."),
        ({"run_uuid": "RUN", "path": "a.txt"}, b"", "Request must specify data."),
    ],
)
def test_uploads_of_pages(mlflow: Mlflow, run_id: str, query: dict[str, str], data: bytes, words: str) -> None:
    query = {name: value.replace("RUN", run_id) for name, value in query.items()}
    error = failure(mlflow.call("POST", "ajax-api/2.0/mlflow/upload-artifact", query_string=query, data=data))
    assert error[:2] == INVALID
    assert words in error[2]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/tmp/model", "To use a local path as a model version source"),
        ("file:///tmp/model", "To use a local path as a model version source"),
        ("s3://bucket/../model", "If supplying a source as an http, https,"),
        ("mlflow-artifacts:/models", "If supplying a source as an http, https,"),
        ("mlflow-artifacts:/1/a/artifacts/..%2f..", "If supplying a source as an http, https,"),
    ],
)
def test_sources_of_versions(mlflow: Mlflow, source: str, words: str) -> None:
    mlflow.post("registered-models/create", name="churn")
    error = mlflow.error("POST", "model-versions/create", name="churn", source=source)
    assert error[:2] == INVALID
    assert f"Invalid model version source: '{source}'. {words}" in error[2]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("api/2.0/mlflow/unified-traces", "`mlflow.search_traces`"),
        ("api/3.0/mlflow/traces/tr-1/archive", "has no endpoint of that name for traces"),
        ("graphql", "Use the REST API"),
        ("api/2.0/mlflow/runs/frobnicate", "Check the tracking URI"),
    ],
)
def test_what_is_not_here_says_what_to_do_and_lets_clients_try_another_way(
    mlflow: Mlflow, path: str, words: str
) -> None:
    status, code, message = failure(mlflow.call("POST", path, json={}))
    assert (status, code) == (404, "ENDPOINT_NOT_FOUND")
    assert words in message


def test_a_version_that_is_none(mlflow: Mlflow) -> None:
    mlflow.post("registered-models/create", name="churn")
    error = mlflow.error("GET", "model-versions/get", name="churn", version="the best")
    assert error[:2] == INVALID
    assert error[2].startswith("Parameter 'version' must be an integer, got 'the best'.")


def test_empty_lists_are_shown_as_gitlab_shows_them(mlflow: Mlflow, run_id: str) -> None:
    data = mlflow.get("runs/get", run_id=run_id)["run"]["data"]
    assert (data["metrics"], data["params"]) == ([], [])
    assert mlflow.post("runs/search", experiment_ids=[])["runs"] == []
    assert mlflow.post("experiments/search", filter="name = 'none'") == {"experiments": [], "next_page_token": None}
    assert mlflow.get("registered-models/search") == {"registered_models": [], "next_page_token": None}
    assert mlflow.get("metrics/get-history", run_id=run_id, metric_key="none") == {
        "metrics": [],
        "next_page_token": None,
    }
    mlflow.post("registered-models/create", name="churn")
    assert mlflow.get("registered-models/get", name="churn")["registered_model"]["tags"] == []
    assert mlflow.post("registered-models/get-latest-versions", name="churn") == {"model_versions": []}

"""What MLflow's R client sends: httr's JSON of a list whose numbers and truth values `as.character` has made texts.

https://mlflow.org/docs/latest/api_reference/R-api.html, by its sources `tracking-rest.R`, `tracking-runs.R` and
`model-registry.R`. Large numbers come as `1e+05`, a data frame as a list of rows, and all goes below `/preview/`.
"""

import json
from typing import Any

import pytest
import urllib3

from tests.contract.conftest import TOKEN
from tests.e2e.processes import Server

BASE = "/api/v4/projects/1/ml/mlflow"
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Accept": "application/json, text/xml, application/xml, */*",
    "Content-Type": "application/json",
    "User-Agent": "mlflow-r-client/3.1.0",
}


def rest(server: Server, verb: str, path: str, data: Any = None, **query: str) -> Any:
    """Call as `mlflow_rest()` does."""
    answer = urllib3.request(
        verb,
        f"{server.url}{BASE}/api/2.0/preview/mlflow/{path}",
        body=None if data is None else json.dumps(texts(data), separators=(",", ":")),
        fields=query or None,
        headers=HEADERS,
    )
    assert answer.status == 200, answer.data
    return answer.json()


def texts(value: Any) -> Any:
    """Do what `rapply(data, as.character, how = "replace")` does; what is NULL httr leaves out."""
    if isinstance(value, dict):
        return {key: texts(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [texts(inner) for inner in value]
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        fixed, powers = f"{value:.15g}", f"{value:.14e}"
        digits, _, power = powers.partition("e")
        powers = f"{digits.rstrip('0').rstrip('.')}e{int(power):+03d}"
        return powers if len(powers) < len(fixed) else fixed
    return value


def test_r_writes_numbers_so() -> None:
    numbers = [1000, 100_000, 1_700_000_000_000, 1_700_000_000_001, 0, 0.5, 1e-9, True]
    assert texts(numbers) == ["1000", "1e+05", "1.7e+12", "1700000000001", "0", "0.5", "1e-09", "TRUE"]


def test_runs(server: Server) -> None:
    made = rest(server, "POST", "experiments/create", {"name": "r", "artifact_location": None})["experiment_id"]
    assert rest(server, "GET", "experiments/get", experiment_id=made)["experiment"]["name"] == "r"
    listed = rest(server, "POST", "experiments/search", {"max_results": 1000, "view_type": "ACTIVE_ONLY"})
    assert made in [one["experiment_id"] for one in listed["experiments"]]
    begin = {"experiment_id": made, "user_id": "me", "start_time": 1_700_000_000_000}
    run = rest(server, "POST", "runs/create", begin | {"tags": [{"key": "a", "value": "b"}]})["run"]["info"]["run_uuid"]
    both = {"run_uuid": run, "run_id": run}
    for step, value in enumerate([0.5, "NaN", "Infinity", "-Infinity", 7]):
        metric = {"key": "loss", "value": value, "timestamp": 1_700_000_000_000 + step, "step": step * 100_000}
        rest(server, "POST", "runs/log-metric", both | metric)
    rest(server, "POST", "runs/log-parameter", both | {"key": "lr", "value": "0.1"})
    rest(server, "POST", "runs/set-tag", both | {"key": "c", "value": "d"})
    frame = [{"key": "acc", "value": 0.25, "step": 200_000, "timestamp": 1_700_000_000_000}]
    batch = {"metrics": frame, "params": [{"key": "depth", "value": 3}], "tags": [{"key": "e", "value": "f"}]}
    rest(server, "POST", "runs/log-batch", {"run_id": run} | batch)
    rest(server, "POST", "runs/update", both | {"status": "FINISHED", "end_time": 1_700_000_900_000})
    got = rest(server, "GET", "runs/get", run_uuid=run, run_id=run)["run"]
    assert (got["info"]["status"], got["info"]["start_time"], got["info"]["end_time"]) == (
        "FINISHED",
        1_700_000_000_000,
        1_700_000_900_000,
    )
    assert [(one["key"], one["value"], one["step"]) for one in got["data"]["metrics"]] == [
        ("acc", 0.25, 200_000),
        ("loss", 7, 400_000),
    ]
    assert {"key": "depth", "value": "3"} in got["data"]["params"]
    history = rest(server, "GET", "metrics/get-history", run_uuid=run, run_id=run, metric_key="loss")["metrics"]
    largest = 1.7976931348623157e308
    assert [one["value"] for one in history] == [0.5, "NaN", largest, -largest, 7]
    search = {"experiment_ids": [made], "filter": None, "run_view_type": "ALL", "order_by": []}
    assert len(rest(server, "POST", "runs/search", search)["runs"]) == 1
    assert rest(server, "GET", "artifacts/list", run_uuid=run, run_id=run)["root_uri"].endswith("/artifacts")
    rest(server, "POST", "runs/delete", {"run_id": run})
    rest(server, "POST", "runs/restore", {"run_id": run})


def test_registry(server: Server) -> None:
    create = {"name": "r model", "tags": None, "description": None}
    model = rest(server, "POST", "registered-models/create", create)["registered_model"]
    assert rest(server, "GET", "registered-models/get", name="r model")["registered_model"] == model
    run = rest(server, "POST", "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    wanted = {"name": "r model", "source": f"runs:/{run}/m", "run_id": run, "tags": [{"key": "a", "value": "b"}]}
    version = rest(server, "POST", "model-versions/create", wanted)["model_version"]["version"]
    which = {"name": "r model", "version": version}
    stage = {"stage": "Production", "archive_existing_versions": True}
    moved = rest(server, "POST", "model-versions/transition-stage", which | stage)["model_version"]
    assert moved["current_stage"] == "Production"
    rest(server, "PATCH", "model-versions/update", which | {"description": "text"})
    assert rest(server, "GET", "model-versions/get", **which)["model_version"]["description"] == "text"
    latest = rest(server, "GET", "registered-models/get-latest-versions", name="r model", stages="Production")
    assert [one["version"] for one in latest["model_versions"]] == [version]
    found = rest(server, "POST", "registered-models/search", {"max_results": 100, "order_by": [], "page_token": None})
    assert [one["name"] for one in found["registered_models"]] == ["r model"]
    rest(server, "POST", "registered-models/alias", which | {"alias": "best"})
    assert rest(server, "GET", "registered-models/alias", name="r model", alias="best")["model_version"] is not None
    rest(server, "DELETE", "model-versions/delete", which)
    rest(server, "DELETE", "registered-models/delete", {"name": "r model"})


@pytest.mark.parametrize("path", ["ajax-api/2.0/preview/mlflow", "api/2.0/preview/mlflow"])
def test_the_first_r_clients_send_json_within_a_text(server: Server, path: str) -> None:
    name = f"first {path[:4]}"
    answer = urllib3.request(
        "POST",
        f"{server.url}{BASE}/{path}/experiments/create",
        body=json.dumps(json.dumps({"name": name})),
        headers=HEADERS,
    )
    assert answer.status == 200, answer.data
    found = rest(server, "GET", "experiments/get-by-name", experiment_name=name)["experiment"]
    assert found["experiment_id"] == answer.json()["experiment_id"]

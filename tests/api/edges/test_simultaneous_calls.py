"""Calls at the same time: as many threads as a pipeline has jobs, each with a connection of its own."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from tests.mlflow_client import Mlflow

THREADS = 12


def at_once(app: Flask, path: str, bodies: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    """Send a POST for each body, all at the same time, and answer their statuses and JSON."""

    def one(body: dict[str, Any]) -> tuple[int, Any]:
        answer = Mlflow(app.test_client()).call("POST", f"api/2.0/mlflow/{path}", json=body)
        return answer.status_code, answer.get_json()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, bodies))


@pytest.mark.parametrize("path", ["experiments/create", "registered-models/create"])
def test_one_creates_it_and_the_others_fail(app: Flask, path: str) -> None:
    answers = at_once(app, path, [{"name": "churn"}] * THREADS)
    assert sorted(status for status, _ in answers) == [200] + [400] * (THREADS - 1)
    assert {body["error_code"] for status, body in answers if status == 400} == {"RESOURCE_ALREADY_EXISTS"}


def test_runs_of_all_jobs_are_there(app: Flask, mlflow: Mlflow) -> None:
    answers = at_once(app, "runs/create", [{"experiment_id": "0", "run_name": f"job {n}"} for n in range(THREADS)])
    assert [status for status, _ in answers] == [200] * THREADS
    found = mlflow.post("runs/search", experiment_ids=["0"])["runs"]
    assert {run["info"]["run_name"] for run in found} == {f"job {n}" for n in range(THREADS)}


def test_batches_with_the_same_keys_in_any_order(app: Flask, mlflow: Mlflow, run_id: str) -> None:
    """Two writers that wait for each other's rows would be ended by PostgreSQL: rows are taken in one order."""
    keys = [f"m{n}" for n in range(50)]
    bodies = [
        {
            "run_id": run_id,
            "metrics": [
                {"key": key, "value": step, "timestamp": step, "step": step}
                for key in (keys if step % 2 else reversed(keys))
            ],
            "tags": [{"key": key, "value": str(step)} for key in (keys if step % 2 else reversed(keys))],
        }
        for step in range(THREADS * 3)
    ]
    assert {status for status, _ in at_once(app, "runs/log-batch", bodies)} == {200}
    latest = mlflow.get("runs/get", run_id=run_id)["run"]["data"]["metrics"]
    assert {one["key"]: one["step"] for one in latest} == dict.fromkeys(keys, THREADS * 3 - 1)
    points = mlflow.get("metrics/get-history", run_id=run_id, metric_key="m7")["metrics"]
    assert [one["step"] for one in points] == list(range(THREADS * 3))


def test_versions_are_numbered_without_gaps(app: Flask, mlflow: Mlflow) -> None:
    mlflow.post("registered-models/create", name="churn")
    answers = at_once(app, "model-versions/create", [{"name": "churn", "source": ""}] * THREADS)
    assert [status for status, _ in answers] == [200] * THREADS
    numbers = sorted(int(body["model_version"]["version"]) for _, body in answers)
    assert numbers == list(range(1, THREADS + 1))

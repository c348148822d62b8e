"""Runs that log a table of cases."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.api.trail import Trail
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL

HEAD = ["id", "target", "prediction"]
Table = Mapping[str, bytes]


def split(rows: Sequence[Sequence[Any]], head: Sequence[str] = HEAD) -> bytes:
    return json.dumps({"columns": list(head), "data": [list(row) for row in rows]}).encode()


def answers(n: int = 100, *, wrong: Sequence[int] = ()) -> list[list[Any]]:
    """Rows of a model that has all cases right except some."""
    return [[f"case-{number}", number % 2, 1 - number % 2 if number in wrong else number % 2] for number in range(n)]


def train(trail: Trail, pipeline: Pipeline, runs: Sequence[Table], *, accuracy: float = 0.8) -> None:
    """Log one run for each mapping of file names to contents, with a seed of its own; all are equally good."""
    gitlab = trail.team.gitlab
    job = gitlab.add_job(pipeline, "train", "train", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    named = mlflow.call("GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": "churn"})
    experiment = (named.get_json().get("experiment") or mlflow.post("experiments/create", name="churn"))[
        "experiment_id"
    ]
    for seed, files in enumerate(runs):
        run_id = mlflow.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
        metrics = [{"key": "val_accuracy", "value": accuracy + seed / 1000, "timestamp": 1}]
        mlflow.post("runs/log-batch", run_id=run_id, params=[{"key": "seed", "value": str(seed)}], metrics=metrics)
        for name, content in files.items():
            path = f"api/2.0/mlflow-artifacts/artifacts/{experiment}/{run_id}/artifacts/{name}"
            good(mlflow.call("PUT", path, data=content))
        mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    gitlab.set_job(job, "success")

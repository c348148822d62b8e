"""Log the same data to any MLflow server: `python data.py URI`, with a client's own Python.

A deep-learning run (40 metrics of 5,000 steps, 300 parameters, a picture every 50 steps), four runs with loss curves,
and a sweep of 500 runs over the last 30 days in which the learning rate decides. `--churn FILE` logs the runs and
versions of a model that another server has, and `--read FILE` reads them there. MLFLOW_TRACKING_TOKEN is the token.
"""

import argparse
import json
import math
import os
import random
import time
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

STEPS, METRICS, PARAMETERS, PICTURES, TRIALS = 5_000, 40, 300, 100, 500
DAY_MS = 86_400_000
_BATCH = 1_000


class Filling:
    """Logs to one server, always the same values, on dates that end at `now`."""

    def __init__(self, uri: str, now: int, files: str | None) -> None:
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        self.client = MlflowClient(uri)
        self.now = now
        self.files = files
        self.chance = random.Random(7)  # noqa: S311 - data, no secrets

    def experiment(self, name: str) -> str:
        where = f"{self.files}/{name}" if self.files else None
        return str(self.client.create_experiment(name, artifact_location=where))

    def fill(self) -> None:
        vision = self.experiment("vision")
        for name, rate in (("adam", 0.004), ("adamw", 0.006), ("lion", 0.009), ("sgd", 0.002)):
            self._curves(vision, name, rate)
        self._deep(vision)
        self._sweep(self.experiment("sweep"))

    def _curves(self, experiment: str, name: str, rate: float) -> None:
        begun = self.now - 2 * DAY_MS
        run = self.client.create_run(experiment, run_name=name, start_time=begun).info.run_id
        points = [
            Metric("val_loss", 2 * math.exp(-rate * step) + 0.05 + 0.05 * self.chance.random(), begun + step, step)
            for step in range(1_000)
        ]
        self.client.log_batch(run, metrics=points, params=[Param("optimizer", name), Param("rate", str(rate))])
        self.client.set_terminated(run, end_time=begun + 600_000)

    def _deep(self, experiment: str) -> None:
        begun = self.now - DAY_MS
        run = self.client.create_run(experiment, run_name="resnet50", start_time=begun).info.run_id
        names = [
            f"{part}/{kind}_{place}" for part in ("train", "val") for kind in ("loss", "acc") for place in range(9)
        ]
        names += ["train/loss", "val/loss", "train/acc", "val/acc"]
        points = [
            Metric(name, math.exp(-step / 900) * (1 + place / 40) + 0.1 * self.chance.random(), begun + step, step)
            for place, name in enumerate(names[:METRICS])
            for step in range(STEPS)
        ]
        parameters = [Param(f"model.layer{number}.width", str(64 + number)) for number in range(PARAMETERS)]
        for start in range(0, len(parameters), 100):
            self.client.log_batch(run, params=parameters[start : start + 100])
        for start in range(0, len(points), _BATCH):
            self.client.log_batch(run, metrics=points[start : start + _BATCH])
        for number in range(PICTURES):
            self.client.log_image(run, _picture(number), key="samples", step=number * 50, synchronous=True)
        self.client.set_terminated(run, end_time=begun + 5_400_000)

    def _sweep(self, experiment: str) -> None:
        chance = self.chance
        for number in range(TRIALS):
            rate, depth = 10 ** chance.uniform(-5, -1), chance.randint(2, 12)
            dropout, optimizer = chance.uniform(0, 0.5), chance.choice(["adam", "sgd", "lion"])
            auc = 0.9 - 0.05 * (math.log10(rate) + 3) ** 2 / 4 + 0.004 * depth / 12 + chance.gauss(0, 0.004)
            begun = self.now - 30 * DAY_MS + number * 30 * DAY_MS // TRIALS
            run = self.client.create_run(experiment, run_name=f"trial-{number:03}", start_time=begun).info.run_id
            given = {"lr": f"{rate:.6f}", "depth": str(depth), "dropout": f"{dropout:.3f}", "optimizer": optimizer}
            self.client.log_batch(
                run,
                metrics=[Metric("val_auc", auc, begun, 0), Metric("val_loss", 1 - auc, begun, 0)],
                params=[Param(key, value) for key, value in given.items()],
            )
            self.client.set_terminated(run, end_time=begun + 600_000)

    def churn(self, found: dict[str, Any]) -> None:
        """Log runs and versions that another server has."""
        experiment, made = self.experiment("churn"), {}
        for run in found["runs"]:
            new = self.client.create_run(experiment, start_time=run["begun"], run_name=run["name"]).info.run_id
            points = [Metric(key, value, at, step) for key, value, at, step in run["metrics"]]
            params = [Param(key, value) for key, value in run["params"].items()]
            tags = [RunTag(key, value) for key, value in run["tags"].items()]
            self.client.log_batch(new, metrics=points, params=params, tags=tags)
            self.client.log_text(new, "flavors: {}\n", "model/MLmodel")
            self.client.set_terminated(new, run["status"], end_time=run["ended"])
            made[run["id"]] = new
        self.client.create_registered_model("churn")
        for version in found["versions"]:
            run = made[version["run"]]
            self.client.create_model_version("churn", f"runs:/{run}/model", run)
        self.client.set_registered_model_alias("churn", "champion", str(len(found["versions"])))


def read(uri: str) -> dict[str, Any]:
    """Return the runs of the experiment `churn` and the versions of the model."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("churn")
    runs = []
    for run in reversed(client.search_runs([experiment.experiment_id])):
        history = [point for key in run.data.metrics for point in client.get_metric_history(run.info.run_id, key)]
        runs.append(
            {
                "id": run.info.run_id,
                "name": run.info.run_name,
                "begun": run.info.start_time,
                "ended": run.info.end_time,
                "status": run.info.status if run.info.status != "RUNNING" else "FAILED",
                "params": dict(run.data.params),
                "metrics": [(point.key, point.value, point.timestamp, point.step) for point in history],
                "tags": {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")},
            }
        )
    versions = client.search_model_versions("name = 'churn'")
    versions = sorted(versions, key=lambda version: version.creation_timestamp)
    return {"runs": runs, "versions": [{"version": version.version, "run": version.run_id} for version in versions]}


def _picture(number: int) -> Any:  # noqa: ANN401 - NumPy comes with the client
    import numpy  # noqa: ICN001, PLC0415

    square = numpy.zeros((64, 64, 3), dtype=numpy.uint8)
    square[: number * 64 // PICTURES + 1, :, 1] = 200
    return square


def main() -> None:
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri")
    parser.add_argument("--now", type=int, default=int(time.time() * 1000), help="in milliseconds")
    parser.add_argument("--files", help="where a server that is not running keeps files, as a URL")
    parser.add_argument("--churn", type=Path, help="log these runs and versions instead")
    parser.add_argument("--read", type=Path, help="write runs and versions to this file, and log nothing")
    given = parser.parse_args()
    if given.read:
        given.read.write_text(json.dumps(read(given.uri)))
        return
    filling = Filling(given.uri, given.now, given.files)
    if given.churn:
        filling.churn(json.loads(given.churn.read_text()))
    else:
        filling.fill()


if __name__ == "__main__":
    main()

"""Trainings with curves."""

import math

from tests.browser.server import Site
from tests.mlflow_client import Mlflow

STEPS = 1200


class Trainings:
    """Logs to an experiment of its own, so that no other test sees these runs."""

    def __init__(self, site: Site) -> None:
        self.clock = site.clock
        self.mlflow = Mlflow(site.client, project="42", token=site.team.tokens["developer"])
        found = self.mlflow.call(
            "GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": "curves"}
        ).get_json()
        experiment = found.get("experiment") or self.mlflow.post("experiments/create", name="curves")
        self.experiment: str = experiment["experiment_id"]

    def begin(self, name: str) -> str:
        """Start a run, and return its MLflow run id."""
        started = self.clock()
        made = self.mlflow.post("runs/create", experiment_id=self.experiment, run_name=name, start_time=started)
        run: str = made["run"]["info"]["run_id"]
        return run

    def log(self, run: str, key: str, values: list[float], *, start: int = 0) -> None:
        points = [
            {"key": key, "value": value, "timestamp": self.clock() + step * 1000, "step": step}
            for step, value in enumerate(values, start)
        ]
        for first in range(0, len(points), 1000):
            self.mlflow.post("runs/log-batch", run_id=run, metrics=points[first : first + 1000])

    def finish(self, run: str) -> None:
        self.mlflow.post("runs/update", run_id=run, status="FINISHED", end_time=self.clock() + 90_000)

    def make(self) -> None:
        """Four finished trainings, whose losses fall at different rates."""
        for number in range(4):
            run = self.begin(f"curve {number}")
            self.log(run, "val_loss", [0.2 + math.exp(-step / (100 + 80 * number)) for step in range(STEPS)])
            self.log(run, "train_loss", [0.1 + math.exp(-step / (90 + 80 * number)) for step in range(0, STEPS, 20)])
            self.finish(run)

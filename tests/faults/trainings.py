"""Trainings with real MLflow clients, in processes of their own, and what must be stored of them in the end."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import yaml

from tests.clients.environments import ENVIRONMENTS
from tests.faults.load import Connection
from tests.processes import PATIENCE_SECONDS, wait_until

STEPS = 20
_TEMPLATE = Path(__file__).parents[2] / "templates/track.yml"


def retry_variables() -> dict[str, str]:
    """What the component sets for MLflow's retries, with the defaults of its inputs."""
    header, job = yaml.safe_load_all(_TEMPLATE.read_text().replace("$[[", "<").replace("]]", ">"))
    inputs = header["spec"]["inputs"]
    (template,) = job.values()
    return {
        name: str(inputs[value.strip("< >").removeprefix("inputs.")]["default"]) if value.startswith("<") else value
        for name, value in template["variables"].items()
        if name.startswith("MLFLOW_HTTP_REQUEST_")
    }


class Trainings:
    """One training for each client. `before` is a command that runs it; `variables` are added to its environment."""

    def __init__(
        self,
        tracking_uri: str,
        token: str,
        folder: Path,
        clients: Iterable[str],
        *,
        before: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folders = {client: folder / client for client in clients}
        self.processes = {}
        for client, own in self.folders.items():
            own.mkdir(parents=True)
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": str(own),
                "MLFLOW_TRACKING_URI": tracking_uri,
                "MLFLOW_TRACKING_TOKEN": token,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "GIT_PYTHON_REFRESH": "quiet",
                **retry_variables(),
                **(variables or {}),
            }
            program = [ENVIRONMENTS / client / "bin/python", Path(__file__).with_name("training.py"), own, str(STEPS)]
            with (own / "log").open("w") as log:
                self.processes[client] = subprocess.Popen(
                    [*before, *program], env=environment, cwd=own, stdout=log, stderr=log
                )

    def runs(self, client: str) -> list[str]:
        path = self.folders[client] / "runs"
        return json.loads(path.read_text()) if path.exists() else []

    def _has_logged(self, client: str, runs: int) -> bool:
        return len(self.runs(client)) >= runs

    def wait_for_a_run_more(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        wanted = {client: len(self.runs(client)) + 1 for client in self.folders}
        for client, number in wanted.items():
            wait_until(
                partial(self._has_logged, client, number),
                f"{client} has logged {number} runs",
                process=self.processes[client],
                log=self.folders[client] / "log",
                seconds=seconds,
                every=0.1,
            )

    def end(self) -> None:
        for own in self.folders.values():
            (own / "stop").touch()
        for client, process in self.processes.items():
            assert process.wait(timeout=PATIENCE_SECONDS) == 0, (self.folders[client] / "log").read_text()[-3000:]

    def check(self, connection: Connection) -> int:
        """Check that every run is there once and complete; return how many there are."""
        experiments = set()
        for client in self.folders:
            for run_id in self.runs(client):
                run = connection.insist("GET", f"mlflow/runs/get?run_id={run_id}").json()["run"]
                assert run["info"]["status"] == "FINISHED"
                assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]}["done"] == "yes"
                for key in ("loss", "accuracy", "rate"):
                    path = f"mlflow/metrics/get-history?run_id={run_id}&metric_key={key}"
                    steps = [point["step"] for point in connection.insist("GET", path).json()["metrics"]]
                    assert steps == list(range(STEPS)), (client, run_id, key, steps)
                experiments.add(run["info"]["experiment_id"])
        body = {"experiment_ids": sorted(experiments), "max_results": 50_000}
        found = connection.insist("POST", "mlflow/runs/search", json=body).json()["runs"]
        made = sorted(run_id for client in self.folders for run_id in self.runs(client))
        assert sorted(one["info"]["run_id"] for one in found) == made, "no run twice"
        return len(made)

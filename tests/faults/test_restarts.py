"""Trainings go on while mltrail is away, with the variables that `templates/track.yml` sets, for each MLflow client.

In `make test-long` it is away for two minutes, in `make test` for a few seconds.
"""

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clients.environments import CLIENTS, ENVIRONMENTS
from tests.faults.load import Connection
from tests.length import length
from tests.processes import PATIENCE_SECONDS
from tests.team_server import TeamServer

AWAY_SECONDS = length(short=6.0, long=120.0)
STEPS = 20
TEMPLATE = Path(__file__).parents[2] / "templates/track.yml"


def retry_variables() -> dict[str, str]:
    """What the component sets for MLflow's retries, with the defaults of its inputs."""
    header, job = yaml.safe_load_all(TEMPLATE.read_text().replace("$[[", "<").replace("]]", ">"))
    inputs = header["spec"]["inputs"]
    (template,) = job.values()
    return {
        name: str(inputs[value.strip("< >").removeprefix("inputs.")]["default"]) if value.startswith("<") else value
        for name, value in template["variables"].items()
        if name.startswith("MLFLOW_HTTP_REQUEST_")
    }


class Trainings:
    """One for each client, in processes of their own."""

    def __init__(self, server: TeamServer, folder: Path) -> None:
        self.folders = {client: folder / client for client in CLIENTS}
        self.processes = {}
        for client, own in self.folders.items():
            own.mkdir(parents=True)
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": str(own),
                "MLFLOW_TRACKING_URI": server.tracking_uri,
                "MLFLOW_TRACKING_TOKEN": server.token(),
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "GIT_PYTHON_REFRESH": "quiet",
                **retry_variables(),
            }
            command = [ENVIRONMENTS / client / "bin/python", Path(__file__).with_name("training.py"), own, str(STEPS)]
            with (own / "log").open("w") as log:
                self.processes[client] = subprocess.Popen(command, env=environment, cwd=own, stdout=log, stderr=log)

    def runs(self, client: str) -> list[str]:
        path = self.folders[client] / "runs"
        return json.loads(path.read_text()) if path.exists() else []

    def wait_for_a_run_more(self) -> None:
        wanted = {client: len(self.runs(client)) + 1 for client in CLIENTS}
        until, tick = time.monotonic() + 4 * AWAY_SECONDS + PATIENCE_SECONDS, threading.Event()
        while any(len(self.runs(client)) < number for client, number in wanted.items()):
            for client, process in self.processes.items():
                assert process.poll() is None, (client, (self.folders[client] / "log").read_text()[-3000:])
            assert time.monotonic() < until, {client: len(self.runs(client)) for client in CLIENTS}
            tick.wait(0.1)

    def end(self) -> None:
        for client, process in self.processes.items():
            (self.folders[client] / "stop").touch()
            assert process.wait(timeout=PATIENCE_SECONDS) == 0, (self.folders[client] / "log").read_text()[-3000:]


def found(connection: Connection, run_id: str) -> Any:
    run = connection.insist("GET", f"mlflow/runs/get?run_id={run_id}").json()["run"]
    histories = {}
    for key in ("loss", "accuracy", "rate"):
        history = connection.insist("GET", f"mlflow/metrics/get-history?run_id={run_id}&metric_key={key}").json()
        histories[key] = [point["step"] for point in history["metrics"]]
    return run, histories


@pytest.mark.clients
@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(900 + 8 * AWAY_SECONDS)
def test_trainings_go_on_with_every_client(tmp_path: Path) -> None:
    with TeamServer(tmp_path / "server") as server:
        trainings = Trainings(server, tmp_path / "trainings")
        trainings.wait_for_a_run_more()
        server.stop()
        threading.Event().wait(AWAY_SECONDS)
        server.start()
        trainings.wait_for_a_run_more()
        trainings.end()
        connection = Connection(server.tracking_uri, server.token())
        for client in CLIENTS:
            for run_id in trainings.runs(client):
                run, histories = found(connection, run_id)
                assert run["info"]["status"] == "FINISHED"
                assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]}["done"] == "yes"
                assert histories == {key: list(range(STEPS)) for key in histories}, (client, run_id)
        body = {"experiment_ids": [run["info"]["experiment_id"]], "max_results": 1000}
        all_runs = connection.insist("POST", "mlflow/runs/search", json=body).json()["runs"]
        made = sorted(run_id for client in CLIENTS for run_id in trainings.runs(client))
        assert sorted(one["info"]["run_id"] for one in all_runs) == made, "no run twice"

"""`models:/churn@champion`, `/1` and `@1.0.0` load the right bytes before, during and after promotions, never a mix.

https://mlflow.org/docs/latest/ml/model-registry/
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.clients.environments import ENVIRONMENTS
from tests.fakes.gitlab import Job, Pipeline
from tests.processes import PATIENCE_SECONDS
from tests.team_server import TeamServer

SCRIPT = Path(__file__).with_name("loading.py")
URIS = ("models:/churn@champion", "models:/churn/1", "models:/churn/1.0.0")
READERS = {
    "mlflow-2.7": URIS,
    "mlflow-2": URIS,
    # Clients before 3 refuse a semver as an alias, before they ask anybody.
    "mlflow-3": (*URIS, "models:/churn@1.0.0"),
}
ROUNDS = 3


@dataclass
class Reader:
    """A service that loads the model again and again, in a process of its own."""

    process: "subprocess.Popen[str]"

    def ask(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def answer(self) -> list[str]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        found: list[str] = json.loads(line)
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamServer]:
    with TeamServer(tmp_path_factory.mktemp("team") / "server") as running:
        yield running


def call(server: TeamServer, job: Job, method: str, path: str, body: Any) -> Any:
    headers = {"Authorization": f"Bearer {server.gitlab.mint(job, server.url)}"}
    if isinstance(body, bytes):
        answer = urllib3.request(method, f"{server.tracking_uri}/{path}", body=body, headers=headers)
    else:
        answer = urllib3.request(method, f"{server.url}{path}", json=body, headers=headers)
    assert answer.status == 200, answer.data
    return answer.json() if answer.data.startswith(b"{") else None


def promote(server: TeamServer, number: int) -> Pipeline:
    """Train a model whose files all hold a number, and promote it."""
    gitlab, project = server.gitlab, server.gitlab.projects[server.project_id]
    developer = server.job.user
    pipeline = gitlab.add_pipeline(project, project.branches["main"], "main", "push")
    job = gitlab.add_job(pipeline, "train", "train", developer, "running")
    base = f"/api/v4/projects/{server.project_id}/ml"
    tracking = f"{base}/mlflow/api/2.0/mlflow"
    if number == 0:
        call(server, job, "POST", f"{tracking}/experiments/create", {"name": "churn"})
    run = call(server, job, "POST", f"{tracking}/runs/create", {"experiment_id": "1"})["run"]["info"]["run_id"]
    files = {"MLmodel": f"artifact_path: {number}\n", "data/weights.txt": "weights" + f" {number}" * 200_000}
    for name, text in files.items():
        path = f"api/2.0/mlflow-artifacts/artifacts/1/{run}/artifacts/model/{name}"
        call(server, job, "PUT", path, text.encode())
    metric = {"run_id": run, "key": "val_accuracy", "value": 0.9, "timestamp": 1}
    call(server, job, "POST", f"{tracking}/runs/log-metric", metric)
    call(server, job, "POST", f"{tracking}/runs/update", {"run_id": run, "status": "FINISHED"})
    gitlab.set_job(job, "success")
    promoting = gitlab.add_job(pipeline, "promote", "deploy", developer, "running")
    (done,) = call(server, promoting, "POST", f"{base}/promotions", {"pipeline_id": pipeline.id})["promotions"]
    assert (done["state"], done["number"]) == ("promoted", number + 1), done
    return pipeline


@pytest.fixture(scope="module")
def readers(server: TeamServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Reader]]:
    promote(server, 0)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        "MLFLOW_TRACKING_URI": server.tracking_uri,
        "MLFLOW_TRACKING_TOKEN": server.bot_token,
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # nobody reads it, and a full pipe would stop the reader
    }
    started = [
        Reader(
            subprocess.Popen(
                [str(ENVIRONMENTS / client / "bin/python"), "-W", "ignore", str(SCRIPT), *uris],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        for client, uris in READERS.items()
    ]
    yield started
    for reader in started:
        reader.process.communicate("", timeout=PATIENCE_SECONDS)


def test_every_reader_gets_whole_and_right_versions(server: TeamServer, readers: list[Reader]) -> None:
    first = [reader.answer() for reader in readers]
    assert {one for answer in first for one in answer} == {"0"}  # before
    for number in range(1, ROUNDS + 1):
        for reader in readers:
            reader.ask()
        promote(server, number)  # while they load
        during = [reader.answer() for reader in readers]
        for reader in readers:
            reader.ask()
        after = [reader.answer() for reader in readers]
        # The champion comes first; the others name the first version.
        assert {one for answer in (*during, *after) for one in answer[1:]} == {"0"}
        assert {answer[0] for answer in during} <= {str(number - 1), str(number)}
        assert {answer[0] for answer in after} == {str(number)}
    delete = f"/api/v4/projects/{server.project_id}/ml/mlflow/api/2.0/mlflow/experiments/delete"
    call(server, server.job, "POST", delete, {"experiment_id": "1"})
    for reader in readers:
        reader.ask()
    assert [reader.answer() for reader in readers] == after

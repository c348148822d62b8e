"""A small world: the stand-in for GitLab, an mltrail server, one project, and a runner that runs its jobs."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.gitlab import FakeGitLab, Job, MergeRequest, Pipeline
from tests.processes import free_port

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/churn"
SCRIPTS = Path(sys.executable).parent
START_SECONDS = 120

PROJECT_ID = 42
PROJECT_PATH = "team/churn"


class DemoError(Exception):
    """What went wrong, in one sentence for the user of the demo."""


@dataclass(frozen=True)
class Ran:
    job: Job
    exit_code: int
    output: str


class World:
    """Everything that runs, as a context manager. `folder` is emptied first."""

    def __init__(self, folder: Path, *, train_python: Path, port: int = 0) -> None:
        self.folder = folder
        self.train_python = train_python
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.gitlab = FakeGitLab()
        self.server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        _check_free(self.port)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        shutil.copytree(EXAMPLE, self.checkout, ignore=shutil.ignore_patterns("__pycache__"))
        self.gitlab.start()
        try:
            self._populate()
            self._serve()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait(timeout=START_SECONDS)
            self.server = None
        self.gitlab.stop()

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    @property
    def tracking_uri(self) -> str:
        return f"{self.url}/api/v4/projects/{PROJECT_ID}/ml/mlflow"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def set_param(self, name: str, value: str) -> None:
        """Change one value in the checkout's params.yaml, as a developer would."""
        path = self.checkout / "params.yaml"
        lines = path.read_text().splitlines()
        changed = [f"{name}: {value}" if line.startswith(f"{name}:") else line for line in lines]
        if changed == lines:
            raise DemoError(f"params.yaml has no {name} with a value other than {value}")
        path.write_text("\n".join(changed) + "\n")

    def commit(self, sha: str, *, branch: str, parents: tuple[str, ...] = ()) -> str:
        """Commit the files that mltrail reads, and those that a change touches."""
        files = {name: (self.checkout / name).read_text() for name in (".mltrail.yml", "params.yaml", "train.py")}
        return self.gitlab.add_commit(self.project, sha, parents=parents, branch=branch, files=files)

    def branch_pipeline(self, sha: str, branch: str = "main") -> Pipeline:
        return self.gitlab.add_pipeline(self.project, sha, branch, "push")

    def merge_request_pipeline(self, merge_request: MergeRequest, sha: str) -> Pipeline:
        ref = f"refs/merge-requests/{merge_request.iid}/head"
        return self.gitlab.add_pipeline(self.project, sha, ref, "merge_request_event")

    def train(self, pipeline: Pipeline, *arguments: str, name: str = "train") -> Ran:
        return self.run(pipeline, name, [str(self.train_python), "train.py", *arguments])

    def report(self, pipeline: Pipeline) -> Ran:
        return self.run(pipeline, "model report", [str(SCRIPTS / "mltrail"), "report"])

    def promote(self, pipeline: Pipeline) -> Ran:
        return self.run(pipeline, "promote models", [str(SCRIPTS / "mltrail"), "promote"])

    def run(self, pipeline: Pipeline, name: str, command: list[str]) -> Ran:
        """Run a command as a job, with exactly the variables and the token that GitLab would give it."""
        job = self.gitlab.add_job(pipeline, name, "train", self.developer)
        self.gitlab.set_job(job, "running")
        environment = self._job_environment(pipeline, job)
        ran = subprocess.run(  # noqa: PLW1510 - the exit code is what we want to see
            command, cwd=self.checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.gitlab.set_job(job, "success" if ran.returncode == 0 else "failed")
        return Ran(job, ran.returncode, ran.stdout)

    def person(self, script: str) -> str:
        """Run Python with an MLflow client, as the developer would on a laptop, and return what it prints."""
        environment = _plain_environment() | {
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_TRACKING_TOKEN": self.developer_token,
        }
        command = [str(self.train_python), "-W", "ignore", "-c", script]
        return subprocess.run(
            command, cwd=self.checkout, env=environment, check=True, capture_output=True, text=True
        ).stdout

    def _populate(self) -> None:
        gitlab = self.gitlab
        self.developer = gitlab.add_user("dana")
        bot = gitlab.add_user("mltrail-bot")
        self.project = gitlab.add_project(PROJECT_PATH, id=PROJECT_ID)
        gitlab.add_member(self.project, self.developer, 30)
        gitlab.add_member(self.project, bot, 20)
        self.developer_token = gitlab.add_token(self.developer, ["api"])
        self.bot_token = gitlab.add_token(bot, ["api"])

    def _serve(self) -> None:
        environment = _plain_environment() | {
            "MLTRAIL_DATA_DIR": str(self.folder / "data"),
            "MLTRAIL_EXTERNAL_URL": self.url,
            "MLTRAIL_GITLAB_URL": self.gitlab.url,
            "MLTRAIL_GITLAB_TOKEN": self.bot_token,
        }
        with (self.folder / "server.log").open("wb") as log:
            self.server = subprocess.Popen(
                [SCRIPTS / "mltrail-server", "serve", "--port", str(self.port)],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        _wait_for(f"{self.url}/readyz", self.server, self.folder / "server.log")

    def _job_environment(self, pipeline: Pipeline, job: Job) -> dict[str, str]:
        return _plain_environment() | {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{self.gitlab.url}/api/v4",
            "CI_COMMIT_SHA": pipeline.sha,
            "CI_JOB_ID": str(job.id),
            "CI_PIPELINE_ID": str(pipeline.id),
            "CI_PIPELINE_SOURCE": pipeline.source,
            "CI_PROJECT_ID": str(PROJECT_ID),
            "CI_PROJECT_PATH": PROJECT_PATH,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_TRACKING_TOKEN": self.gitlab.mint(job, self.url),
        }


def _plain_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONUNBUFFERED": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(
                f"Port {port} is in use, perhaps by another demo; choose another one: make demo PORT=5050"
            ) from error


def _wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(START_SECONDS * 20):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise DemoError(f"The server did not start; its log says:\n{log.read_text()}")

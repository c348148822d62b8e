"""A job with a server to talk to; and gitlab-ci-local, which npm installs below `.cache`."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mltrail_ci.cli import main
from tests.component.runner import SCRIPTS, Runner, runner_in
from tests.component.server import Server
from tests.places import ROOT
from tests.processes import one_at_a_time

PACKAGES = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def gitlab_ci_local() -> Path:
    folder = ROOT / ".cache/node"
    lock = (PACKAGES / "package-lock.json").read_bytes()
    installed = folder / "installed.json"
    with one_at_a_time(folder):
        if not installed.exists() or installed.read_bytes() != lock:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(PACKAGES, folder)
            path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(
                [SCRIPTS / "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
                cwd=folder,
                env=os.environ | {"PATH": path},
                check=True,
            )
            installed.write_bytes(lock)
    return folder / "node_modules/gitlab-ci-local/dist/index.js"


@pytest.fixture
def runner(gitlab_ci_local: Path, tmp_path: Path) -> Runner:
    return runner_in(tmp_path, gitlab_ci_local)


@dataclass
class Job:
    """A job's environment, and a server for it to talk to."""

    server: Server
    environment: pytest.MonkeyPatch
    output: pytest.CaptureFixture[str]
    base: str = "/api/v4/projects/42/ml"

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Answer exit code, standard output and standard error of `mltrail …`."""
        code = main(arguments)
        captured = self.output.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Job]:
    server = Server()
    http = server.start()
    for name in ("MLTRAIL_SERVER", "MLTRAIL_TOKEN", "MLFLOW_RUN_ID", "CI_JOB_ID", "http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{server.url}/api/v4/projects/42/ml/mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token-of-the-job")
    monkeypatch.setenv("CI_PROJECT_ID", "42")
    monkeypatch.setenv("CI_PIPELINE_ID", "1001")
    monkeypatch.setattr("mltrail_ci.transport._BACKOFF_SECONDS", 0)
    yield Job(server, monkeypatch, capsys)
    http.shutdown()
    http.server_close()


@pytest.fixture
def in_an_empty_folder(job: Job, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    job.environment.chdir(tmp_path / "job")
    job.environment.setenv("HOME", str(tmp_path))
    job.environment.setenv("PATH", "/nowhere")

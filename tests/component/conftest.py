"""A job with a server to talk to; and gitlab-ci-local, which expands a `.gitlab-ci.yml` without a GitLab.

npm installs the latter below `.cache`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mltrail_ci.cli import main
from tests.component.server import Server

ROOT = Path(__file__).parents[2]
PACKAGES = Path(__file__).parent / "node"
SCRIPTS = Path(sys.executable).parent
HOST = "gitlab.example.com"

# What GitLab sets in pipelines of other kinds than a branch's; the runner here has to be told.
MERGE_REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_PROJECT_ID": "42",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "faster",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
}
TAG = {"CI_COMMIT_TAG": "1.0.0", "CI_COMMIT_REF_NAME": "1.0.0", "CI_COMMIT_REF_SLUG": "1-0-0"}
SCHEDULE = {"CI_PIPELINE_SOURCE": "schedule"}


@dataclass
class Runner:
    """gitlab-ci-local in one checkout; the components come from a repository of their own, by a tag."""

    script: Path
    checkout: Path
    environment: dict[str, str]

    def preview(self) -> Any:
        """The whole configuration, expanded."""
        return yaml.safe_load(self._run("--preview"))

    def jobs(self, variables: dict[str, str] | None = None) -> dict[str, Any]:
        """The jobs that a pipeline would have, by name."""
        arguments = [part for name, value in (variables or {}).items() for part in ("--variable", f"{name}={value}")]
        if variables:
            arguments += ["--ignore-predefined-vars", ",".join(variables)]
        if variables and not variables.keys().isdisjoint({"CI_COMMIT_TAG", "CI_MERGE_REQUEST_IID"}):
            arguments += ["--unset-variable", "CI_COMMIT_BRANCH"]
        jobs = json.loads(self._run("--list-json", *arguments))
        return {job["name"]: job for job in jobs if job["when"] != "never"}

    def _run(self, *arguments: str) -> str:
        command = [SCRIPTS / "node", self.script, "--color=false", "--force-shell-executor", *arguments]
        ran = subprocess.run(
            command, cwd=self.checkout, env=self.environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture(scope="session")
def gitlab_ci_local() -> Path:
    folder = ROOT / ".cache/node"
    lock = (PACKAGES / "package-lock.json").read_bytes()
    installed = folder / "installed.json"
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
    """A runner in an empty repository `team/churn`, for which the components are at `mlops/mltrail`, tag 0.1.0."""
    group = tmp_path / "mlops"
    components = group / "mltrail.git"
    shutil.copytree(ROOT / "templates", components / "templates")
    environment = {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GIT_AUTHOR_NAME": "Dana",
        "GIT_AUTHOR_EMAIL": "dana@example.com",
        "GIT_COMMITTER_NAME": "Dana",
        "GIT_COMMITTER_EMAIL": "dana@example.com",
        # Git finds GitLab's group of components in a folder; by SSH and with a port in the name, too.
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": f"url.file://{group}/.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://{HOST}/mlops/",
        "GIT_CONFIG_KEY_1": f"url.file://{group}/.insteadOf",
        "GIT_CONFIG_VALUE_1": f"https://{HOST}:443/mlops/",
        "GIT_CONFIG_KEY_2": f"url.file://{group}/.insteadOf",
        "GIT_CONFIG_VALUE_2": f"git@{HOST}:mlops/",
    }
    commit(components, environment)
    subprocess.run(["git", "tag", "0.1.0"], cwd=components, env=environment, check=True)
    subprocess.run(["git", "config", "uploadpack.allowFilter", "true"], cwd=components, env=environment, check=True)
    checkout = tmp_path / "churn"
    # The runner fetches our three components at the same time, and each fetch wants to make this folder.
    (checkout / f".gitlab-ci-local/includes/{HOST}/mlops/mltrail/0.1.0/templates").mkdir(parents=True)
    return Runner(gitlab_ci_local, checkout, environment)


def commit(folder: Path, environment: dict[str, str], path: str = "team/churn") -> None:
    """Make a folder a repository with one commit on `main`, whose origin is `path` on our GitLab."""
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", f"https://{HOST}/{path}.git"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=First"],
        # The runner asks it for the default branch.
        ["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"],
    ):
        subprocess.run(["git", *command], cwd=folder, env=environment, check=True)


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
        told = self.output.readouterr()
        return code, told.out, told.err


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
    monkeypatch.setattr("mltrail_ci.api._BACKOFF_SECONDS", 0)
    yield Job(server, monkeypatch, capsys)
    http.shutdown()
    http.server_close()

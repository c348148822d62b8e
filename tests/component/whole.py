"""GitLab, a runner and an mltrail server, all on this machine: pipelines of a real project, run for real.

The stand-in is GitLab, gitlab-ci-local the runner (its shell executor), `Coordinator` is what they say to one another.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from scripts.demo.project import DemoProject
from scripts.demo.world import World

from tests.component.coordinator import Coordinator
from tests.component.runner import Runner, commit, runner_in
from tests.fakes.gitlab import Job, MergeRequest, Pipeline, Project

SHELL = Path(__file__).parent / "shell"


@dataclass
class Ran:
    """A pipeline that has ended: its jobs by name, what the runner printed, and its jobs' artifacts by path."""

    pipeline: Pipeline
    exit_code: int
    output: str
    jobs: dict[str, Job]
    artifacts: dict[str, str]


@dataclass
class Whole:
    world: World
    churn: DemoProject
    runner: Runner
    coordinator: Coordinator

    @property
    def project(self) -> Project:
        return self.churn.project

    def branch_pipeline(self, branch: str = "main", source: str = "push") -> Ran:
        pipeline = self.world.gitlab.add_pipeline(self.project, self._head(), branch, source)
        return self._run(pipeline, {"CI_PIPELINE_SOURCE": source})

    def tag_pipeline(self, tag: str) -> Ran:
        self.project.protected.add(tag)
        pipeline = self.world.gitlab.add_pipeline(self.project, self._head(), tag, "push", tag=True)
        return self._run(pipeline, {"CI_COMMIT_TAG": tag, "CI_COMMIT_REF_NAME": tag, "CI_COMMIT_REF_SLUG": tag})

    def merge_request_pipeline(self, request: MergeRequest, kind: str = "detached") -> Ran:
        last = "head" if kind == "detached" else "merge"
        ref = f"refs/merge-requests/{request.iid}/{last}"
        pipeline = self.world.gitlab.add_pipeline(self.project, self._head(), ref, "merge_request_event")
        return self._run(
            pipeline,
            {
                "CI_PIPELINE_SOURCE": "merge_request_event",
                "CI_MERGE_REQUEST_IID": str(request.iid),
                "CI_MERGE_REQUEST_PROJECT_ID": str(self.project.id),
                "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": str(request.source_project_id),
                "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": request.source_branch,
                "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": request.target_branch,
                "CI_MERGE_REQUEST_EVENT_TYPE": kind,
            },
        )

    def begin_with(self, config: str, **files: str) -> None:
        """Make the checkout from a `.gitlab-ci.yml` and some Python files."""
        for name, text in {".gitlab-ci.yml": config, **{f"{name}.py": text for name, text in files.items()}}.items():
            (self.runner.checkout / name).write_text(text.replace("https://mltrail.example.com", self.world.url))
        (self.runner.checkout / ".gitignore").write_text(".gitlab-ci-local/\n")
        commit(self.runner.checkout, self.runner.environment)
        self._tell("main")

    def begin(self, project: Path) -> None:
        """Make the checkout from a project's files, with the server's address in its `.gitlab-ci.yml`."""
        shutil.copytree(project, self.runner.checkout, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        config = self.runner.checkout / ".gitlab-ci.yml"
        config.write_text(config.read_text().replace("https://mltrail.example.com", self.world.url))
        (self.runner.checkout / ".gitignore").write_text(".gitlab-ci-local/\n")
        commit(self.runner.checkout, self.runner.environment)
        self._tell("main")

    def change(self, path: str, old: str, new: str, *, branch: str = "main") -> None:
        """Change a file on a branch, which is made where it does not exist."""
        self.switch(branch)
        file = self.runner.checkout / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def commit(self, message: str, *, branch: str = "main") -> str:
        """Commit what has changed in the checkout, let GitLab know, and answer the commit's id."""
        self.switch(branch)
        self.git("commit", "--quiet", "--all", "--allow-empty", f"--message={message}")
        return self._tell(branch)

    def merge(self, request: MergeRequest) -> str:
        """Merge as GitLab does, with a commit of its own."""
        self.switch(request.target_branch)
        self.git("merge", "--quiet", "--no-ff", "--no-edit", request.source_branch)
        request.state, request.merge_commit_sha = "merged", self._tell(request.target_branch)
        return request.merge_commit_sha

    def switch(self, branch: str) -> None:
        known = self.git("branch", "--list", branch)
        self.git("switch", "--quiet", *([] if known else ["--create"]), branch)

    def get(self, path: str) -> Any:
        """Ask the server's MLflow API as the developer would."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, body)

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.runner.checkout,
            env=self.runner.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def _ask(self, method: str, path: str, body: Any) -> Any:
        response = urllib3.request(
            method,
            f"{self.churn.tracking_uri}/api/2.0/mlflow/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.churn.developer_token}"},
        )
        assert response.status == 200, response.data
        return response.json()

    def _tell(self, branch: str) -> str:
        sha, *parents = self.git("rev-list", "--parents", "--max-count=1", "HEAD").split()
        self.world.gitlab.add_commit(self.project, sha, parents=tuple(parents), branch=branch)
        return sha

    def _head(self) -> str:
        return self.git("rev-parse", "HEAD").strip()

    def _run(self, pipeline: Pipeline, variables: dict[str, str]) -> Ran:
        predefined = {
            "CI_PROJECT_ID": str(self.project.id),
            "CI_self.project.path": self.project.path,
            "CI_PIPELINE_ID": str(pipeline.id),
            "CI_PIPELINE_URL": f"{self.world.gitlab.url}/{self.project.path}/-/pipelines/{pipeline.id}",
            "CI_API_V4_URL": f"{self.world.gitlab.url}/api/v4",
            **variables,
        }
        self.coordinator.pipeline, self.coordinator.began = pipeline, []
        artifacts = self.runner.checkout / ".gitlab-ci-local/artifacts"
        shutil.rmtree(artifacts, ignore_errors=True)
        ran = self.runner.execute(predefined, self._environment())
        self.coordinator.pipeline = None
        return Ran(
            pipeline,
            ran.returncode,
            ran.stdout + ran.stderr,
            {job.name: job for job in self.coordinator.began},
            {
                str(file.relative_to(artifacts).relative_to(job.name)): file.read_text()
                for job in artifacts.glob("mltrail-*")
                for file in job.rglob("mltrail-*/*")
            },
        )

    def _environment(self) -> dict[str, str]:
        return {
            "BASH_ENV": str(SHELL / "bash_env"),
            "STAND_IN_RUNNER": self.coordinator.url,
            "STAND_IN_PYTHON": sys.executable,
            "STAND_IN_ASK": str(SHELL / "ask.py"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONUNBUFFERED": "1",
            "MPLCONFIGDIR": str(self.world.folder / "matplotlib"),
        }


@contextmanager
def whole_in(folder: Path, gitlab_ci_local: Path, train_python: Path) -> Iterator[Whole]:
    """All of it, in an empty folder."""
    with World(folder / "world", train_python=train_python) as world:
        runner = runner_in(folder, gitlab_ci_local, path=tools(folder / "tools", train_python))
        coordinator = Coordinator(world.gitlab, world.developer, runner.checkout)
        http = coordinator.start()
        try:
            yield Whole(world, world.open("churn"), runner, coordinator)
        finally:
            http.shutdown()
            http.server_close()


def tools(folder: Path, train_python: Path) -> str:
    """What a job's image has, as a PATH: the training's Python, the command, and rsync for the runner here."""
    scripts = Path(sys.executable).parent
    folder.mkdir()
    commands = {
        "python": f'exec "{train_python}" "$@"',  # a link would lose the environment's packages
        "pip": "exit 0",  # what it would install is there
        "mltrail": f'exec "{scripts / "mltrail"}" "$@"',
        "node": f'exec "{scripts / "node"}" "$@"',
        "rsync": f'exec "{sys.executable}" -S "{SHELL / "rsync"}" "$@"',
    }
    for name, line in commands.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"

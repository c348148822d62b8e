"""One of the examples as a project in the stand-in for GitLab: its checkout, commits, pipelines and jobs."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.gitlab import FakeGitLab, Job, MergeRequest, Pipeline, Project, User

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = Path(sys.executable).parent


class DemoError(Exception):
    """What went wrong, in one sentence for the user of the demo."""


@dataclass(frozen=True)
class Ran:
    job: Job
    exit_code: int
    output: str


@dataclass(frozen=True)
class DemoProject:
    gitlab: FakeGitLab
    project: Project
    checkout: Path
    server: str
    developer: User
    developer_token: str
    train_python: Path

    @property
    def pages(self) -> str:
        return f"{self.server}/{self.project.path}/-/ml"

    @property
    def api(self) -> str:
        return f"{self.server}/api/v4/projects/{self.project.id}/ml"

    @property
    def tracking_uri(self) -> str:
        return f"{self.api}/mlflow"

    def copy(self, example: str) -> None:
        """Fill the checkout with the files of an example."""
        shutil.copytree(EXAMPLES / example, self.checkout, ignore=shutil.ignore_patterns("__pycache__"))

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a file of the checkout, as a developer would."""
        path = self.checkout / file
        text = path.read_text()
        if old not in text:
            raise DemoError(f"{file} has no {old!r}")
        path.write_text(text.replace(old, new))

    def commit(self, sha: str, *, branch: str, parents: tuple[str, ...] = ()) -> str:
        """Commit the checkout."""
        paths = (path for path in self.checkout.rglob("*") if path.is_file() and path.suffix != ".pyc")
        files = {str(path.relative_to(self.checkout)): path.read_bytes() for path in paths}
        return self.gitlab.add_commit(self.project, sha, parents=parents, branch=branch, files=files)

    def branch_pipeline(self, sha: str, branch: str = "main") -> Pipeline:
        return self.gitlab.add_pipeline(self.project, sha, branch, "push")

    def merge_request_pipeline(self, merge_request: MergeRequest, sha: str) -> Pipeline:
        ref = f"refs/merge-requests/{merge_request.iid}/head"
        return self.gitlab.add_pipeline(self.project, sha, ref, "merge_request_event")

    def python(self, pipeline: Pipeline, *arguments: str, name: str) -> Ran:
        return self.run(pipeline, name, [str(self.train_python), *arguments])

    def report(self, pipeline: Pipeline, *options: str) -> Ran:
        return self.run(pipeline, "model report", [str(SCRIPTS / "mltrail"), "report", *options])

    def promote(self, pipeline: Pipeline) -> Ran:
        return self.run(pipeline, "promote models", [str(SCRIPTS / "mltrail"), "promote"])

    def run(self, pipeline: Pipeline, name: str, command: list[str]) -> Ran:
        """Run a command as a job, with exactly the variables and the token that GitLab would give it."""
        job = self.gitlab.add_job(pipeline, name, "train", self.developer)
        self.gitlab.set_job(job, "running")
        environment = self.job_environment(pipeline, job)
        ran = subprocess.run(  # noqa: PLW1510 - the exit code is what we want to see
            command, cwd=self.checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.gitlab.set_job(job, "success" if ran.returncode == 0 else "failed")
        return Ran(job, ran.returncode, ran.stdout)

    def person(self, script: str) -> str:
        """Run Python with an MLflow client, as the developer would on a laptop, and return what it prints."""
        environment = plain_environment() | {
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_TRACKING_TOKEN": self.developer_token,
        }
        command = [str(self.train_python), "-W", "ignore", "-c", script]
        ran = subprocess.run(  # noqa: PLW1510 - the message says more than the exit code
            command, cwd=self.checkout, env=environment, capture_output=True, text=True
        )
        if ran.returncode != 0:
            raise DemoError(f"A person's script failed. It said:\n{ran.stderr}")
        return ran.stdout

    def job_environment(self, pipeline: Pipeline, job: Job) -> dict[str, str]:
        return plain_environment() | {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{self.gitlab.url}/api/v4",
            "CI_COMMIT_SHA": pipeline.sha,
            "CI_JOB_ID": str(job.id),
            "CI_PIPELINE_ID": str(pipeline.id),
            "CI_PIPELINE_SOURCE": pipeline.source,
            "CI_PROJECT_ID": str(self.project.id),
            "CI_PROJECT_PATH": self.project.path,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_TRACKING_TOKEN": self.gitlab.mint(job, self.server),
        }


def plain_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONUNBUFFERED": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}

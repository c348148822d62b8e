"""gitlab-ci-local, which expands and runs a `.gitlab-ci.yml` without a GitLab."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.places import ROOT

SCRIPTS = Path(sys.executable).parent
HOST = "gitlab.example.com"

# What GitLab sets in pipelines of other kinds than a branch's; the runner here can't find them out.
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
# Each kind of pipeline, by its variables. https://docs.gitlab.com/ci/pipelines/pipeline_types/
KINDS: dict[str, dict[str, str] | None] = {
    "default branch": None,
    "branch": {"CI_COMMIT_BRANCH": "faster", "CI_COMMIT_REF_NAME": "faster"},
    "branch of a merge request": {
        "CI_COMMIT_BRANCH": "faster",
        "CI_COMMIT_REF_NAME": "faster",
        "CI_OPEN_MERGE_REQUESTS": "team/churn!7",
    },
    "merge request": MERGE_REQUEST,
    "merged results": MERGE_REQUEST | {"CI_MERGE_REQUEST_EVENT_TYPE": "merged_result"},
    "merge train": MERGE_REQUEST | {"CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"},
    "fork, in the fork": MERGE_REQUEST | {"CI_PROJECT_ID": "99", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "99"},
    "fork, run by a member": MERGE_REQUEST | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "99"},
    "child of a merge request": MERGE_REQUEST | {"CI_PIPELINE_SOURCE": "parent_pipeline"},
    "child of the default branch": {"CI_PIPELINE_SOURCE": "parent_pipeline"},
    "tag": TAG,
    "schedule": SCHEDULE,
    "by hand": {"CI_PIPELINE_SOURCE": "web"},
    "by the API": {"CI_PIPELINE_SOURCE": "api"},
    "by a trigger": {"CI_PIPELINE_SOURCE": "trigger"},
    "of another project": {"CI_PIPELINE_SOURCE": "pipeline"},
    "schedule of another branch": SCHEDULE | {"CI_COMMIT_BRANCH": "faster", "CI_COMMIT_REF_NAME": "faster"},
}


def variables_of(kind: str) -> dict[str, str]:
    """All variables that `rules` may ask for in a pipeline of this kind, as GitLab sets them."""
    variables = {
        "CI_DEFAULT_BRANCH": "main",
        "CI_PROJECT_ID": "42",
        "CI_PIPELINE_SOURCE": "push",
        "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_REF_NAME": "main",
        **(KINDS[kind] or {}),
    }
    if not variables.keys().isdisjoint({"CI_COMMIT_TAG", "CI_MERGE_REQUEST_IID"}):
        del variables["CI_COMMIT_BRANCH"]
    return variables


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
        jobs = json.loads(self._run("--list-json", *_variable_options(variables or {})))
        return {job["name"]: job for job in jobs if job["when"] != "never"}

    def execute(
        self, variables: dict[str, str], environment: dict[str, str], *jobs: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the pipeline that these variables make, or only the named jobs of it, each in a copy of the checkout."""
        arguments = [*_variable_options(variables), *jobs]
        return self._call("--shell-isolation", "--no-artifacts-to-source", *arguments, environment=environment)

    def _run(self, *arguments: str) -> str:
        ran = self._call(*arguments)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def _call(self, *arguments: str, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        command = [SCRIPTS / "node", self.script, "--color=false", "--force-shell-executor", *arguments]
        return subprocess.run(
            command,
            cwd=self.checkout,
            env=self.environment | (environment or {}),
            capture_output=True,
            text=True,
            check=False,
        )


def _variable_options(variables: dict[str, str]) -> list[str]:
    arguments = [part for name, value in variables.items() for part in ("--variable", f"{name}={value}")]
    if variables:
        arguments += ["--ignore-predefined-vars", ",".join(variables)]
    if not variables.keys().isdisjoint({"CI_COMMIT_TAG", "CI_MERGE_REQUEST_IID"}):
        arguments += ["--unset-variable", "CI_COMMIT_BRANCH"]
    return arguments


def runner_in(folder: Path, script: Path, *, path: str | None = None, mirror: str = "mlops/mltrail") -> Runner:
    """A runner in an empty folder `churn` of `folder`, for which the components are at the path `mirror`, tag 0.1.0.

    `path` is the PATH of its jobs.
    """
    components = folder / f"{mirror}.git"
    group, namespace = components.parent, mirror.rpartition("/")[0]
    shutil.copytree(ROOT / "templates", components / "templates")
    environment = {
        "PATH": path or f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "GIT_AUTHOR_NAME": "Dana",
        "GIT_AUTHOR_EMAIL": "dana@example.com",
        "GIT_COMMITTER_NAME": "Dana",
        "GIT_COMMITTER_EMAIL": "dana@example.com",
        # Git finds GitLab's group of components in a folder; by SSH and with a port in the name, too.
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": f"url.file://{group}/.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://{HOST}/{namespace}/",
        "GIT_CONFIG_KEY_1": f"url.file://{group}/.insteadOf",
        "GIT_CONFIG_VALUE_1": f"https://{HOST}:443/{namespace}/",
        "GIT_CONFIG_KEY_2": f"url.file://{group}/.insteadOf",
        "GIT_CONFIG_VALUE_2": f"git@{HOST}:{namespace}/",
    }
    commit(components, environment)
    subprocess.run(["git", "tag", "0.1.0"], cwd=components, env=environment, check=True)
    subprocess.run(["git", "config", "uploadpack.allowFilter", "true"], cwd=components, env=environment, check=True)
    checkout = folder / "churn"
    # The runner fetches our components at the same time, and each fetch wants to make this folder.
    (checkout / f".gitlab-ci-local/includes/{HOST}/{mirror}/0.1.0/templates").mkdir(parents=True)
    return Runner(script, checkout, environment)


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

"""Pipelines of the playground: what GitLab and the components do after a push and after a merge.

The stand-in reads no `.gitlab-ci.yml`. Its pipelines have the jobs that the one of the example makes: `train`, then
`mltrail-report` in a merge request or `mltrail-promote` on the default branch.
"""

import io
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.gitlab import Job, MergeRequest, Pipeline

from scripts.demo.project import SCRIPTS, DemoProject

from .repository import Repository

CREATE = "merge_request.create"
TITLE = "merge_request.title="
KNOWN = "Known options: -o merge_request.create, -o merge_request.title=TEXT"


@dataclass
class Pipelines:
    churn: DemoProject
    repository: Repository
    builds: Path
    logs: dict[int, list[str]] = field(default_factory=dict)
    """What each job has printed, by its id."""
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def pushed(self, ref: str, sha: str, options: list[str]) -> Iterator[str]:
        """Do what follows a push, and yield what the reader sees."""
        if unknown := [one for one in options if one != CREATE and not one.startswith(TITLE)]:
            yield f"This playground does not know the push option {unknown[0]!r}. {KNOWN}"
        if not ref.startswith("refs/heads/") or not sha.strip("0"):
            return
        branch = ref.removeprefix("refs/heads/")
        self.learn(branch, sha)
        request = self._request_of(branch, create=options)
        if request is None:
            pipeline = self.churn.branch_pipeline(sha, branch)
        else:
            target = self.churn.project.branches[request.target_branch]
            request.base_sha = self.churn.project.merge_base(sha, target)
            pipeline = self.churn.merge_request_pipeline(request, sha)
            yield f"Merge request !{request.iid}: {self._page(f'merge_requests/{request.iid}')}"
        yield from self.run(pipeline)
        if request is None and branch != self.churn.project.default_branch:
            yield "This branch has no merge request. To open one: git commit, then git push -o merge_request.create"

    def learn(self, branch: str, sha: str) -> None:
        """Tell the stand-in about the commits of a branch."""
        project = self.churn.project
        for one, parents in self.repository.new_commits(sha, {*project.commits}):
            files = self.repository.files(one)
            gone = dict.fromkeys(project.commits[parents[0]].files) if parents else {}
            message = self.repository.message(one)
            self.churn.gitlab.add_commit(project, one, parents=parents, files={**gone, **files}, message=message)
        with self.churn.gitlab.lock:
            project.branches[branch] = sha

    def merge(self, request: MergeRequest) -> Pipeline | None:
        """Merge, and return the pipeline that has yet to run. None: there are conflicts."""
        sha = self.repository.merge(request.source_branch, request.target_branch)
        if sha is None:
            return None
        self.learn(request.target_branch, sha)
        with self.churn.gitlab.lock:
            request.state, request.merge_commit_sha = "merged", sha
            request.merged = self.churn.gitlab.clock()
        return self.churn.branch_pipeline(sha, request.target_branch)

    def run(self, pipeline: Pipeline) -> Iterator[str]:
        """Run the jobs of a pipeline, one pipeline at a time."""
        with self._one_at_a_time:
            yield ""
            yield f"Pipeline {pipeline.id} on {_ref(pipeline)}: {self._page(f'pipelines/{pipeline.id}')}"
            commands = self._commands(pipeline)
            jobs = {name: self.churn.gitlab.add_job(pipeline, name, "train", self.churn.developer) for name in commands}
            checkout = self._checkout(pipeline)
            for name, job in jobs.items():
                if self.churn.gitlab.status_of(pipeline) == "failed":
                    self.churn.gitlab.set_job(job, "skipped")
                else:
                    yield f"{name}:"
                    yield from (f"  {line}".rstrip() for line in self._execute(job, commands[name], checkout))
                yield f"{name}: {job.status}"
            shutil.rmtree(checkout)
            yield f"Pipeline {pipeline.id}: {self.churn.gitlab.status_of(pipeline)}"

    def pipelines(self, request: MergeRequest | None = None) -> list[Pipeline]:
        """The pipelines of a merge request, or all of them, newest first."""
        with self.churn.gitlab.lock:
            found = list(self.churn.gitlab.pipelines.values())
        return [one for one in reversed(found) if request is None or one.merge_request is request]

    def _commands(self, pipeline: Pipeline) -> dict[str, list[str]]:
        commands = {"train": [str(self.churn.train_python), "train.py"]}
        if pipeline.merge_request is not None:
            commands["mltrail-report"] = [str(SCRIPTS / "mltrail"), "report"]
        elif pipeline.ref == self.churn.project.default_branch:
            commands["mltrail-promote"] = [str(SCRIPTS / "mltrail"), "promote"]
        return commands

    def _execute(self, job: Job, command: list[str], checkout: Path) -> Iterator[str]:
        log = self.logs.setdefault(job.id, [])
        self.churn.gitlab.set_job(job, "running")
        environment = self.churn.job_environment(job.pipeline, job) | {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
        with subprocess.Popen(
            command, cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        ) as process:
            for line in process.stdout or ():
                log.append(line.rstrip("\n"))
                yield log[-1]
        self.churn.gitlab.set_job(job, "success" if process.returncode == 0 else "failed")

    def _checkout(self, pipeline: Pipeline) -> Path:
        """A job works on the pushed commit, not in the reader's folder."""
        folder = self.builds / str(pipeline.id)
        folder.mkdir(parents=True)
        archive = subprocess.run(
            ["git", "archive", pipeline.sha], cwd=self.repository.bare, check=True, capture_output=True
        )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(folder, filter="data")
        return folder

    def _request_of(self, branch: str, *, create: list[str]) -> MergeRequest | None:
        """The open merge request of a branch, which a push option may open."""
        project = self.churn.project
        for one in project.merge_requests.values():
            if (one.source_branch, one.state) == (branch, "opened"):
                return one
        if CREATE not in create or branch == project.default_branch:
            return None
        title = next((one.removeprefix(TITLE) for one in create if one.startswith(TITLE)), "")
        title = title or project.commits[project.branches[branch]].message
        return self.churn.gitlab.add_merge_request(project, branch, project.default_branch, title)

    def _page(self, path: str) -> str:
        return f"{self.churn.gitlab.url}/{self.churn.project.path}/-/{path}"


def _ref(pipeline: Pipeline) -> str:
    return pipeline.ref if pipeline.merge_request is None else f"!{pipeline.merge_request.iid}"

"""Pipelines of the team's project that train, for tests of reports, notes and promotions."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from mltrail_server import worker
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from tests.clock import FrozenClock
from tests.fakes.gitlab import Job, MergeRequest, Pipeline
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL, Team

SHAS = {name: name * 40 for name in "abcdef"}


@dataclass
class Trail:
    """Trains pipelines of the team's project, without a client or a clock."""

    team: Team
    client: FlaskClient
    deps: Deps
    clock: FrozenClock

    def main(self, sha: str, contract: str | None = None) -> Pipeline:
        files = {} if contract is None else {".mltrail.yml": contract}
        self.team.gitlab.add_commit(self.team.project, sha, parents=("a1" * 20,), branch="main", files=files)
        return self.team.gitlab.add_pipeline(self.team.project, sha, "main", "push")

    def request(self, sha: str) -> MergeRequest:
        base = self.team.project.branches["main"]
        self.team.gitlab.add_commit(self.team.project, sha, parents=(base,), branch="faster")
        return self.team.gitlab.add_merge_request(self.team.project, "faster", "main", "Learn faster")

    def of_request(self, request: MergeRequest, sha: str) -> Pipeline:
        ref = f"refs/merge-requests/{request.iid}/head"
        return self.team.gitlab.add_pipeline(self.team.project, sha, ref, "merge_request_event")

    def train(
        self,
        pipeline: Pipeline,
        values: list[float],
        *,
        lr: str = "0.1",
        status: str | None = "success",
        job_name: str = "train",
        experiment: str = "churn",
        run_name: str = "run",
        model: bool = True,
        metric: str = "val_accuracy",
        beside: dict[str, float] | None = None,
        data: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        first_seed: int = 0,
    ) -> Job:
        """Log one run a value, each with a seed of its own; then the job ends with `status`. `beside` are more metrics,
        `data` the digests of datasets by their use.
        """
        gitlab = self.team.gitlab
        job = gitlab.add_job(pipeline, job_name, "train", self.team.users["developer"], "running")
        mlflow = Mlflow(self.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
        named = mlflow.call(
            "GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": experiment}
        )
        found = named.get_json().get("experiment") or mlflow.post("experiments/create", name=experiment)
        for seed, value in enumerate(values, start=first_seed):
            run_id = mlflow.post("runs/create", experiment_id=found["experiment_id"], run_name=f"{run_name}-{seed}")
            run_id = run_id["run"]["info"]["run_id"]
            params = [{"key": "lr", "value": lr}, {"key": "seed", "value": str(seed)}]
            logged = {metric: value, **(beside or {})}
            metrics = [{"key": key, "value": each, "timestamp": 1} for key, each in logged.items()]
            mlflow.post("runs/log-batch", run_id=run_id, params=params, metrics=metrics)
            for key, each_tag in (tags or {}).items():
                mlflow.post("runs/set-tag", run_id=run_id, key=key, value=each_tag)
            for use, digest in (data or {}).items():
                dataset = {"name": "customers", "digest": digest, "source_type": "local", "source": "{}"}
                used_as = [{"key": "mlflow.data.context", "value": use}]
                mlflow.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": used_as}])
            if model:
                path = f"api/2.0/mlflow-artifacts/artifacts/{found['experiment_id']}/{run_id}/artifacts/model/MLmodel"
                good(mlflow.call("PUT", path, data=b"flavors: {}"))
            if status is not None:
                mlflow.post("runs/update", run_id=run_id, status="FINISHED")
        if status is not None:
            gitlab.set_job(job, status, "script_failure" if status == "failed" else None)
        return job

    def keep_of_note(self, request: MergeRequest, **values: Any) -> None:
        """Change what the database knows of a merge request's note: columns that begin with `note_`."""
        kept = schema.merge_request
        where = (kept.c.project_id == self.team.project.id, kept.c.iid == request.iid)
        with self.deps.db.write() as connection:
            connection.execute(sa.update(kept).where(*where).values(**values))

    def report(self, pipeline: Pipeline, method: str = "POST") -> Any:
        gitlab = self.team.gitlab
        job = gitlab.add_job(pipeline, "report", "test", self.team.users["developer"], "running")
        return good(
            self.client.open(
                f"/api/v4/projects/42/ml/pipelines/{pipeline.id}/report",
                method=method,
                headers={"Authorization": f"Bearer {gitlab.mint(job, EXTERNAL_URL)}"},
            )
        )

    def work(self, *, seconds: int = 15) -> int:
        """Let the worker look, after some time."""
        self.clock.advance(1000 * seconds)
        return worker.run_once(self.deps)

    def notes(self, request: MergeRequest) -> list[str]:
        return [note.body for note in self.team.gitlab.notes(self.team.project, request.iid)]

    def person(self, role: str) -> Mlflow:
        """MLflow's client at somebody's desk."""
        return Mlflow(self.client, project="42", token=self.team.tokens[role])

    def runs(self) -> list[Any]:
        return self.person("guest").post("runs/search", experiment_ids=["1"])["runs"]

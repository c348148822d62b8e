"""A model with three versions, the last of which came by a merge request: what tests of models' pages look at."""

from mltrail_server import worker
from tests.browser.server import Site
from tests.browser.world import MINUTE, Past, sha
from tests.clock import DAY
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import good

_MLMODEL = b"""\
flavors: {python_function: {}, sklearn: {}}
mlflow_version: 3.1.0
signature:
  inputs: '[{"name": "tenure", "type": "double"}, {"name": "contract", "type": "string", "required": false}]'
  outputs: '[{"name": "leaves", "type": "double"}]'
"""


class Registry:
    """Makes the model `churn` of a site of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.past = Past(site)

    def train(self, pipeline: Pipeline, lr: str, quality: float) -> None:
        job = self.past.job(pipeline, f"train lr={lr}")
        mlflow = self.past.client(job)
        found = mlflow.call("GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": "churn"})
        experiment = found.get_json().get("experiment") or mlflow.post("experiments/create", name="churn")
        folder = experiment["experiment_id"]
        made = mlflow.post("runs/create", experiment_id=folder, run_name=f"gbt-lr{lr}", start_time=self.site.clock())
        run = made["run"]["info"]["run_id"]
        point = {"key": "val_accuracy", "value": quality, "timestamp": self.site.clock()}
        mlflow.post("runs/log-batch", run_id=run, params=[{"key": "lr", "value": lr}], metrics=[point])
        path = f"api/2.0/mlflow-artifacts/artifacts/{folder}/{run}/artifacts/model/MLmodel"
        good(mlflow.call("PUT", path, data=_MLMODEL))
        mlflow.post("runs/update", run_id=run, status="FINISHED", end_time=self.site.clock())
        self.past.gitlab.set_job(job, "success")
        self.site.clock.advance(MINUTE)
        worker.run_once(self.site.deps)

    def make(self) -> None:
        for week, (lr, quality) in enumerate((("0.3", 0.8), ("0.1", 0.85))):
            pipeline = self.past.pipeline(f"main {week}")
            self.train(pipeline, lr, quality)
            self.past.promote(pipeline)
            self.site.clock.advance(7 * DAY)
        gitlab, project = self.past.gitlab, self.past.project
        gitlab.add_commit(project, sha("faster"), parents=(project.branches["main"],), branch="faster")
        request = gitlab.add_merge_request(project, "faster", "main", "Learn faster")
        ref = f"refs/merge-requests/{request.iid}/head"
        self.train(gitlab.add_pipeline(project, sha("faster"), ref, "merge_request_event"), "0.05", 0.9)
        merged = gitlab.add_pipeline(project, gitlab.merge(project, request.iid), "main", "push")
        self.past.promote(merged)
        self.site.clock.advance(DAY)
        self.train(self.past.pipeline("main 3"), "0.02", 0.92)

"""Other projects beside the team's: one with a failing gate, one where the developer is a Guest, one that is closed."""

from mltrail_server import worker
from tests.browser.server import Site
from tests.browser.world import MINUTE, sha
from tests.clock import DAY
from tests.fakes.gitlab import Project
from tests.mlflow_client import Mlflow, good

CONTRACT = """version: 1
models:
  fraud:
    rules:
      - {metric: auc, better: higher, at_least: 0.9, then: fail}
    promote: {from: [default], alias: champion, bump: auto}
"""
OLD = '{"mlflow_colspec": [{"type": "long", "name": "amount", "required": true}, {"type": "string", "name": "card"}]}'
NEW = (
    '{"mlflow_colspec": [{"type": "double", "name": "amount", "required": true}, {"type": "string", "name": "card"}, '
    '{"type": "string", "name": "country", "required": true}]}'
)


class Others:
    """Makes them. Nothing is added to the team's own project, whose runs other tests count."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.gitlab = site.team.gitlab

    def project(self, path: str, number: int, **levels: int) -> Project:
        project = self.gitlab.add_project(path, id=number)
        for name, level in levels.items():
            self.gitlab.add_member(project, self.site.team.users[name], level)
        return project

    def train(self, project: Project, commit: str, ref: str, *, auc: float, digest: str, schema: str) -> int:
        """Train one pipeline with two runs, and return its number."""
        kind = "push" if ref == "main" else "merge_request_event"
        pipeline = self.gitlab.add_pipeline(project, commit, ref, kind)
        job = self.gitlab.add_job(pipeline, "train", "train", self.site.team.users["developer"], "running")
        mlflow = Mlflow(self.site.client, project=str(project.id), token=self.gitlab.mint(job, self.site.url))
        found = mlflow.call("GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": "fraud"})
        experiment = found.get_json().get("experiment") or mlflow.post("experiments/create", name="fraud")
        for seed in range(2):
            begun = self.site.clock()
            run = mlflow.post(
                "runs/create",
                experiment_id=experiment["experiment_id"],
                run_name=f"forest-{commit[:4]}-{seed}",
                start_time=begun,
            )["run"]["info"]["run_id"]
            params = [{"key": "seed", "value": str(seed)}, {"key": "trees", "value": "300"}]
            metrics = [{"key": "auc", "value": auc + seed / 1000, "timestamp": begun}]
            mlflow.post("runs/log-batch", run_id=run, params=params, metrics=metrics)
            dataset = {
                "name": "payments",
                "digest": digest,
                "source_type": "s3",
                "source": '{"uri": "s3://bank/payments.parquet"}',
                "schema": schema,
                "profile": '{"num_rows": 284807, "num_elements": 854421}',
            }
            tags = [{"key": "mlflow.data.context", "value": "training" if seed else "test"}]
            mlflow.post("runs/log-inputs", run_id=run, datasets=[{"dataset": dataset, "tags": tags}])
            path = f"{experiment['experiment_id']}/{run}/artifacts/model/MLmodel"
            good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{path}", data=b"flavors: {}"))
            self.site.clock.advance(4 * MINUTE)
            mlflow.post("runs/update", run_id=run, status="FINISHED", end_time=self.site.clock())
        self.gitlab.set_job(job, "success")
        worker.run_once(self.site.deps)
        return pipeline.id

    def promote(self, project: Project, pipeline_id: int) -> None:
        pipeline = self.gitlab.pipelines[pipeline_id]
        job = self.gitlab.add_job(pipeline, "promote", "deploy", self.site.team.users["maintainer"], "running")
        headers = {"Authorization": f"Bearer {self.gitlab.mint(job, self.site.url)}"}
        body = {"pipeline_id": pipeline_id}
        good(self.site.client.post(f"/api/v4/projects/{project.id}/ml/promotions", headers=headers, json=body))
        self.gitlab.set_job(job, "success")

    def make(self) -> None:
        fraud = self.project("team/risk/fraud", 43, bot=20, reporter=20, developer=30, maintainer=40)
        main, change = sha("fraud"), sha("fewer trees")
        self.gitlab.add_commit(fraud, main, branch="main", files={".mltrail.yml": CONTRACT})
        first = self.train(fraud, main, "main", auc=0.95, digest="77aa01bc", schema=OLD)
        self.promote(fraud, first)
        self.site.clock.advance(DAY)
        self.gitlab.add_commit(fraud, change, parents=(main,), branch="fewer-trees")
        request = self.gitlab.add_merge_request(fraud, "fewer-trees", "main", "Use fewer trees, and the country")
        ref = f"refs/merge-requests/{request.iid}/head"
        self.train(fraud, change, ref, auc=0.81, digest="c0ffee42", schema=NEW)
        self.site.clock.advance(2 * MINUTE)
        worker.run_once(self.site.deps)

        vision = self.project("vision/defects", 44, developer=10, maintainer=40)
        someone = Mlflow(self.site.client, project=str(vision.id), token=self.site.team.tokens["maintainer"])
        experiment = someone.post("experiments/create", name="scratches")["experiment_id"]
        for name in ("resnet-50", "vit-small"):
            someone.post("runs/create", experiment_id=experiment, run_name=name, start_time=self.site.clock())
            self.site.clock.advance(MINUTE)
        someone.post("registered-models/create", name="scratches")

        closed = self.project("board/closed", 45, maintainer=40)
        hidden = Mlflow(self.site.client, project=str(closed.id), token=self.site.team.tokens["maintainer"])
        hidden.post("experiments/create", name="secret churn")

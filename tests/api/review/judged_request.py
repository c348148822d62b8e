"""A merge request that was judged once, for tests of what may change its verdict."""

from collections.abc import Callable
from typing import Any

from werkzeug.test import TestResponse

from tests.api.review.merge_requests import GOOD, RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Job, Pipeline
from tests.mlflow_client import FILES, Mlflow, good
from tests.team import EXTERNAL_URL

SELECTED = contract(
    RULE, runs="{experiment: churn, tags: {stage: final}}", rank_by="val_accuracy", promote="{from: [default]}"
)
Write = Callable[[Mlflow, str], TestResponse]


def dataset(digest: str) -> dict[str, Any]:
    return {
        "dataset": {"name": "test", "digest": digest, "source_type": "local", "source": "x"},
        "tags": [{"key": "mlflow.data.context", "value": "test"}],
    }


class JudgedRequest:
    """A target branch that has trained, and a merge request that is worse, judged once."""

    def __init__(self, trail: Trail, *, protected: bool, text: str = SELECTED) -> None:
        self.trail, self.team = trail, trail.team
        if not protected:
            self.team.project.protected.clear()
        self.main = a_main(trail, SHAS["b"], text, [])
        self.job, self.token = self._train(self.main, GOOD)
        self.request, self.pipeline = a_request(trail, [])
        self.request_job, self.request_token = self._train(self.pipeline, [0.50, 0.51, 0.52])
        self.targets = [
            run["info"]["run_id"] for run in sorted(trail.runs(), key=accuracy_of) if accuracy_of(run) > 0.7
        ]

    def _train(self, pipeline: Pipeline, values: list[float]) -> tuple[Job, str]:
        """Train as MLflow 3 does: with a tag that the contract selects by, and a logged model."""
        gitlab = self.team.gitlab
        job = gitlab.add_job(pipeline, "train", "train", self.team.users["developer"], "running")
        token = gitlab.mint(job, EXTERNAL_URL)
        mlflow = Mlflow(self.trail.client, project="42", token=token)
        mlflow.call("POST", "api/2.0/mlflow/experiments/create", json={"name": "churn"})
        for seed, value in enumerate(values):
            run_id = mlflow.post("runs/create", experiment_id="1", run_name=f"run-{seed}")["run"]["info"]["run_id"]
            mlflow.post(
                "runs/log-batch",
                run_id=run_id,
                params=[{"key": "seed", "value": str(seed)}],
                metrics=[{"key": "val_accuracy", "value": value, "timestamp": 1}],
                tags=[{"key": "stage", "value": "final"}],
            )
            mlflow.post("runs/log-inputs", run_id=run_id, datasets=[dataset("own")])
            good(mlflow.call("PUT", f"{FILES}/1/{run_id}/artifacts/model/MLmodel", data=b"flavors: {}"))
            made = {"experiment_id": "1", "name": "model", "source_run_id": run_id}
            model_id = mlflow.post("logged-models", **made)["model"]["info"]["model_id"]
            good(mlflow.call("PUT", f"{FILES}/1/models/{model_id}/artifacts/MLmodel", data=b"flavors: {}"))
            good(
                mlflow.call(
                    "PATCH",
                    f"api/2.0/mlflow/logged-models/{model_id}",
                    json={"model_id": model_id, "status": "LOGGED_MODEL_READY"},
                )
            )
            mlflow.post("runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 0}])
            mlflow.post("runs/update", run_id=run_id, status="FINISHED")
        gitlab.set_job(job, "success")
        return job, token

    def verdict(self, method: str = "GET") -> Any:
        """All that the report says, without what a later report job adds to it."""
        report = self.trail.report(self.pipeline, method)
        return {key: report[key] for key in ("gate", "verdict", "models", "state")}

    def as_job(self, pipeline: Pipeline) -> Mlflow:
        job = self.team.gitlab.add_job(pipeline, "attack", "test", self.team.users["developer"], "running")
        return Mlflow(self.trail.client, project="42", token=self.team.gitlab.mint(job, EXTERNAL_URL))

    def attack(self, write: Write, by: Mlflow) -> list[tuple[int, str]]:
        answers = []
        for run_id in self.targets:
            answer = write(by, run_id)
            answers.append((answer.status_code, answer.get_data(as_text=True)))
        return answers


def accuracy_of(run: Any) -> float:
    return next((float(one["value"]) for one in run["data"].get("metrics", ()) if one["key"] == "val_accuracy"), 0)

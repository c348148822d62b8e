"""Jobs that log one run after another."""

from tests.api.trail import Trail
from tests.fakes.gitlab import Job, Pipeline
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL


def a_job(trail: Trail, pipeline: Pipeline, name: str = "train") -> tuple[Job, Mlflow]:
    job = trail.team.gitlab.add_job(pipeline, name, "train", trail.team.users["developer"], "running")
    return job, Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))


def log(mlflow: Mlflow, metrics: dict[str, float], params: dict[str, str] | None = None, **tags: str) -> str:
    sent = [{"key": key.replace("__", "."), "value": value} for key, value in tags.items()]
    run_id: str = mlflow.post("runs/create", experiment_id="0", tags=sent)["run"]["info"]["run_id"]
    mlflow.post(
        "runs/log-batch",
        run_id=run_id,
        params=[{"key": key, "value": value} for key, value in (params or {}).items()],
        metrics=[{"key": key, "value": value, "timestamp": 1} for key, value in metrics.items()],
    )
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    return run_id

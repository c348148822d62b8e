"""Runs that a caller begins."""

from flask.testing import FlaskClient

from tests.mlflow_client import Mlflow


def tags_of(run: dict) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"].get("tags", ())}


def by(client: FlaskClient, token: str) -> Mlflow:
    return Mlflow(client, project="42", token=token)


def new_run(mlflow: Mlflow, tags: dict[str, str] | None = None) -> str:
    sent = [{"key": key, "value": value} for key, value in (tags or {}).items()]
    return str(mlflow.post("runs/create", experiment_id="0", tags=sent)["run"]["info"]["run_id"])

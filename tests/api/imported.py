"""Runs and versions that were imported, without a server to import them from."""

from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from mltrail_server.store.registry import aliases, models
from tests.api.trail import Trail
from tests.mlflow_client import Mlflow

DAY_MS = 86_400_000
ADDRESS = "https://mlflow.example.com"
FROM = f"MLflow 2.22.1 at {ADDRESS}"
ON = "on 2026-09-20"
AT_MS = 1_789_900_000_000


def an_origin(deps: Deps, *, address: str = ADDRESS, description: str = "MLflow 2.22.1", project: int = 42) -> int:
    """The place that everything here comes from."""
    where = (schema.origin.c.project_id == project, schema.origin.c.id == 1)
    row = {"project_id": project, "id": 1, "kind": "mlflow", "address": address, "description": description}
    with deps.project(ProjectId(project)).write() as tx:
        if tx.execute(sa.select(schema.origin.c.id).where(*where)).first() is None:
            tx.execute(sa.insert(schema.origin).values(**row, first_ms=AT_MS, last_ms=AT_MS))
    return 1


def mark(deps: Deps, table: sa.Table, where: dict[str, Any], project: int = 42, **more: Any) -> None:
    """Say that something was imported."""
    values = {"origin_id": an_origin(deps, project=project), **more}
    matches = [table.c.project_id == project, *(table.c[key] == value for key, value in where.items())]
    with deps.project(ProjectId(project)).write() as tx:
        assert tx.execute(sa.update(table).where(*matches).values(**values)).rowcount > 0


def import_run(
    trail: Trail,
    value: float,
    *,
    experiment: str = "churn",
    metric: str = "val_accuracy",
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    status: str = "FINISHED",
    started_ms: int = AT_MS,
) -> str:
    """A run as it was elsewhere; returns its id."""
    mlflow = trail.person("maintainer")
    run_id = a_run(mlflow, experiment)
    logged = [{"key": metric, "value": value, "timestamp": 1}]
    given = {"lr": "0.1", **(params or {})}
    mlflow.post(
        "runs/log-batch", run_id=run_id, metrics=logged, params=[{"key": k, "value": v} for k, v in given.items()]
    )
    for key, text in (tags or {}).items():
        mlflow.post("runs/set-tag", run_id=run_id, key=key, value=text)
    if status != "RUNNING":
        mlflow.post("runs/update", run_id=run_id, status=status)
    mark(trail.deps, schema.candidate, {"eid": run_id}, started_ms=started_ms)
    return run_id


def a_run(mlflow: Mlflow, experiment: str) -> str:
    named = mlflow.call("GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": experiment})
    found = named.get_json().get("experiment") or mlflow.post("experiments/create", name=experiment)
    made = mlflow.post("runs/create", experiment_id=found["experiment_id"], run_name=f"{experiment}-elsewhere")
    run_id: str = made["run"]["info"]["run_id"]
    return run_id


def import_version(trail: Trail, run_id: str, *, alias: str = "champion", semver: str = "3.2.0") -> None:
    """A version of `churn` as it was elsewhere, with an alias."""
    mlflow = trail.person("maintainer")
    if mlflow.call("GET", "api/2.0/mlflow/registered-models/get", query_string={"name": "churn"}).status_code == 404:
        mlflow.post("registered-models/create", name="churn")
    tags = [{"key": "gitlab.version", "value": semver}]
    made = mlflow.post("model-versions/create", name="churn", source="s3://elsewhere/churn", run_id=run_id, tags=tags)
    number = int(made["model_version"]["version"])
    with trail.deps.project(ProjectId(42)).write() as tx:
        model_id = models.id_of(tx, "churn")
        assert model_id is not None
        aliases.put(tx, model_id, alias, number)
    mark(trail.deps, schema.model_version, {"model_id": model_id, "number": number}, location="")

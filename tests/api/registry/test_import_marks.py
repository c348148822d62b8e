"""The mark of what was imported, on many things at once: nothing keeps what it has said of itself."""

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from mltrail_server.store.imports import imported_tags
from tests.api.imported import an_origin, mark
from tests.api.traces.calls import start_trace
from tests.mlflow_client import Mlflow

FORGED = [{"key": key, "value": "true"} for key in ("gitlab.verified", "mltrail.imported_from", "mine")]


def tags(found: list[dict[str, str]]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in found if one["key"] in {forged["key"] for forged in FORGED}}


def test_everything_of_an_origin_is_marked_and_nothing_else(mlflow: Mlflow, deps: Deps) -> None:
    runs = [mlflow.post("runs/create", experiment_id="0", tags=FORGED)["run"]["info"]["run_id"] for _ in range(2)]
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("model-versions/create", name="churn", source="s3://bucket/churn", tags=FORGED)
    trace_id = start_trace(mlflow, tags={one["key"]: one["value"] for one in FORGED})
    number = an_origin(deps, project=1)
    mark(deps, schema.candidate, {"eid": runs[0]}, project=1)
    mark(deps, schema.model_version, {"number": 1}, project=1)
    mark(deps, schema.trace, {"id": trace_id}, project=1)
    with deps.project(ProjectId(1)).write() as tx:
        imported_tags.put_on_all(tx, number, "MLflow at home")
    marked = {"mine": "true", "mltrail.imported_from": "MLflow at home"}
    of_runs = [tags(mlflow.get("runs/get", run_id=run_id)["run"]["data"]["tags"]) for run_id in runs]
    assert of_runs == [marked, {"mine": "true"}]
    version = mlflow.get("model-versions/get", name="churn", version="1")["model_version"]
    trace = mlflow.call("GET", f"api/3.0/mlflow/traces/{trace_id}").get_json()["trace"]["trace_info"]
    assert (tags(version["tags"]), trace["tags"]["mltrail.imported_from"]) == (marked, "MLflow at home")

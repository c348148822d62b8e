"""A project with some of everything, for archives: trained, reviewed, promoted, evaluated, and changed by hand."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store.archives import rows
from mltrail_server.store.tracking import saved_views
from tests import databases
from tests.api.ci.published import publishing
from tests.api.promotion.promoting import promote
from tests.api.review.evaluated import How, evaluate
from tests.api.review.merge_requests import BAD, GOOD, a_main, a_request
from tests.api.traces import traces_json
from tests.api.traces.calls import post, start_trace
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import FILES, Mlflow, good

PROJECT = ProjectId(42)


def pem(seed: bytes = b"\7") -> str:
    key = Ed25519PrivateKey.from_private_bytes(seed * 32)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


CONTRACT = publishing("thread", "status").replace("    rules:", "    promote: {from: [default]}\n    rules:")


def fill(trail: Trail) -> None:
    """A default branch that has promoted, a merge request that fails the gate, an evaluation, and what people add."""
    trail.team.project.members[trail.team.users["bot"].id] = 40
    main = a_main(trail, SHAS["b"], CONTRACT, GOOD)
    trail.work()
    promote(trail, main)
    a_request(trail, BAD, data={"test": "ab12"}, tags={"note": "ü"})
    trail.work()
    later = trail.main(SHAS["d"], CONTRACT)
    evaluate(trail, later, {"correct": ["yes", "no"]}, How(tokens=[1, 2]))
    trail.work()
    developer = trail.person("developer")
    _by_hand(developer)
    of_request = [run for run in trail.runs() if {"key": "note", "value": "ü"} in run["data"]["tags"]]
    developer.post("runs/set-tag", run_id=of_request[0]["info"]["run_id"], key="note", value="of a person")
    with trail.deps.project(PROJECT).write() as tx:
        saved_views.add(tx, experiment_iid=1, name="best", query="order=metrics.loss", user_name="developer")


def _by_hand(mlflow: Mlflow) -> None:
    run_id = mlflow.post("runs/create", experiment_id="0", run_name="by hand")["run"]["info"]["run_id"]
    points = [{"key": "loss", "value": value, "timestamp": 1, "step": 0} for value in (0.1, "NaN")]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    for name in ("a.txt", "b.txt"):
        good(mlflow.call("PUT", f"{FILES}/0/{run_id}/artifacts/{name}", data=b"the same"))
    said = [{"key": "k", "value": "v"}]
    made = mlflow.post("logged-models", experiment_id="0", name="m", source_run_id=run_id, params=said, tags=said)
    model = made["model"]["info"]["model_id"]
    mlflow.post("runs/outputs", run_id=run_id, models=[{"model_id": model, "step": 1}])
    mlflow.post("runs/log-metric", run_id=run_id, model_id=model, key="rmse", value=2, timestamp=1)
    mlflow.post("runs/delete", run_id=run_id)
    mlflow.post("registered-models/create", name="old", tags=[{"key": "k", "value": "v"}])
    mlflow.post("model-versions/create", name="old", source="s3://bucket/model")
    mlflow.post("model-versions/set-tag", name="old", version="1", key="k", value="v")
    mlflow.post("registered-models/alias", name="old", alias="fallback", version="1")
    mlflow.post("experiments/set-experiment-tag", experiment_id="0", key="team", value="a")
    asked = start_trace(mlflow, trace_id=traces_json.ID)
    mlflow.post("traces/link-prompts", trace_id=asked, prompt_versions=[{"name": "qa", "version": "1"}])
    good(traces_json.put(mlflow, traces_json.file_of(1, 2)))
    dataset = post(mlflow, "datasets/create", name="golden", experiment_ids=["0"], tags='{"team": "a"}')["dataset"]
    post(mlflow, f"datasets/{dataset['dataset_id']}/records", records=json.dumps([{"inputs": {"q": "Open?"}}]))
    post(mlflow, "scorers/register", experiment_id="0", name="tone", serialized_scorer='{"name": "tone"}')


@dataclass
class Other:
    """Another server, which has its own database and files."""

    deps: Deps
    trail: Trail


def other_server(trail: Trail, folder: Path, url: str, **changes: Any) -> Other:
    """Start a server beside the trail's, with the same settings but for the changes."""
    settings: Settings = replace(trail.deps.settings, data_dir=str(folder), database_url=url, **changes)
    deps = create_deps(settings, clock=trail.clock)
    databases.share_compiled(deps.db)
    return Other(deps, replace(trail, deps=deps, client=create_app(deps).test_client()))


Start = Callable[..., Other]


def every_row(deps: Deps, project_id: ProjectId = PROJECT) -> dict[str, list[Any]]:
    with deps.db.read() as connection:
        return {
            table.name: [row for batch in rows.read(connection, table, only=project_id) for row in batch]
            for table in rows.ARCHIVED
        }


def column(deps: Deps, which: sa.Column[Any], project_id: ProjectId = PROJECT) -> list[Any]:
    table = which.table
    with deps.project(project_id).read() as tx:
        query = sa.select(which).where(table.c.project_id == tx.project_id).order_by(*table.primary_key)
        return list(tx.execute(query).scalars())

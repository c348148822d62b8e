"""What was deleted goes for good when the operator says so; what rests on it stays."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from mltrail_server import cli
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import garbage
from mltrail_server.services.admin.purge import PurgeRequest, purge
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from mltrail_server.store.review import tombstones
from mltrail_server.store.tracking import usage
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.clock import DAY, FrozenClock
from tests.mlflow_client import Mlflow, good

OF_RUNS = (
    "candidate",
    "metric",
    "latest_metric",
    "param",
    "candidate_tag",
    "candidate_dataset",
    "candidate_dataset_tag",
    "candidate_model",
    "candidate_job",
    "logged_model",
    "logged_model_metric",
    "logged_model_tag",
    "file",
)


def rows(deps: Deps, project_id: int = 1) -> dict[str, int]:
    """Count the rows of a project's runs by table, those that are empty left out."""
    found = {}
    with deps.db.read() as connection:
        for name in OF_RUNS:
            table = getattr(schema, name)
            query = sa.select(sa.func.count()).select_from(table).where(table.c.project_id == project_id)
            found[name] = connection.execute(query).scalar_one()
    return {name: count for name, count in found.items() if count}


def full_run(mlflow: Mlflow, experiment: str = "0") -> str:
    run = str(mlflow.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"])
    metrics = [{"key": "loss", "value": 0.5, "timestamp": 1, "step": step} for step in range(4)]
    tags = params = [{"key": "a", "value": "b"}]
    mlflow.post("runs/log-batch", run_id=run, metrics=metrics, tags=tags, params=params)
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "s"}
    mlflow.post("runs/log-inputs", run_id=run, datasets=[{"dataset": dataset, "tags": [{"key": "k", "value": "v"}]}])
    made = mlflow.post("logged-models", experiment_id=experiment, name="m", source_run_id=run)["model"]["info"][
        "model_id"
    ]
    mlflow.post("runs/outputs", run_id=run, models=[{"model_id": made, "step": 1}])
    for folder in (f"{experiment}/{run}/artifacts", f"{experiment}/models/{made}/artifacts"):
        good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{folder}/a.txt", data=b"content"))
    return run


def gone(deps: Deps, **wanted: object) -> list[str]:
    return [one.name.split()[0] for one in purge(deps, PurgeRequest(**wanted)) if not one.kept]  # type: ignore[arg-type]


def test_a_deleted_run_leaves_nothing(deps: Deps, mlflow: Mlflow, clock: FrozenClock) -> None:
    kept = full_run(mlflow)
    before = rows(deps)
    run = full_run(mlflow)
    mlflow.post("runs/delete", run_id=run)
    assert gone(deps, dry_run=True) == ["2"]
    (planned,) = purge(deps, PurgeRequest(dry_run=True))
    assert planned.name.endswith(" with 1 logged model")
    assert gone(deps, older_than_ms=DAY) == []
    clock.advance(DAY)
    assert gone(deps, older_than_ms=DAY) == ["2"]
    assert rows(deps) == before
    assert mlflow.get("runs/get", run_id=kept)["run"]["data"]["metrics"]
    assert mlflow.error("GET", "runs/get", run_id=run)[0] == 404
    assert gone(deps) == []
    clock.advance(2 * DAY)
    assert garbage.collect(deps).files == 2


def test_runs_and_experiments_are_chosen_by_their_ids(deps: Deps, mlflow: Mlflow) -> None:
    experiment = mlflow.post("experiments/create", name="e")["experiment_id"]
    first, second, third = full_run(mlflow), full_run(mlflow), full_run(mlflow, experiment)
    for run in (first, second):
        mlflow.post("runs/delete", run_id=run)
    assert gone(deps, run_ids=[first, third]) == ["1"]
    mlflow.post("experiments/delete", experiment_id=experiment)
    assert gone(deps, experiment_ids=[int(experiment)]) == ["3", experiment]
    assert mlflow.error("GET", "experiments/get", experiment_id=experiment)[0] == 404
    assert mlflow.post("experiments/create", name="e")["experiment_id"] != experiment
    assert gone(deps) == ["2"]


def test_it_is_counted_off(deps: Deps, mlflow: Mlflow, clock: FrozenClock) -> None:
    with deps.project(1).write() as tx:
        for name in (usage.BYTES, usage.CANDIDATES, usage.POINTS):
            usage.count(tx, name)  # type: ignore[arg-type]
    limited = replace(
        deps, settings=replace(deps.settings, quota_candidates="9", quota_bytes="99", quota_metric_points="9")
    )
    run = full_run(mlflow)
    with limited.project(1).write() as tx:
        counted = {name: usage.count(tx, name) for name in (usage.BYTES, usage.CANDIDATES, usage.POINTS)}  # type: ignore[arg-type]
    assert counted == {usage.BYTES: 14, usage.CANDIDATES: 1, usage.POINTS: 4}
    mlflow.post("runs/delete", run_id=run)
    assert gone(limited) == ["1"]
    clock.advance(2 * DAY)
    garbage.collect(limited)
    with limited.project(1).read() as tx:
        left = [usage.of(tx, name) for name in (usage.BYTES, usage.CANDIDATES, usage.POINTS)]  # type: ignore[arg-type]
    assert left == [0, 0, 0]


def test_what_a_version_rests_on_stays_and_a_baseline_unless_forced(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.8, 0.9], run_name="first")
    trail.clock.advance(1000)
    promote(trail, pipeline)
    maintainer = trail.person("maintainer")
    for run in trail.runs():
        maintainer.call("POST", "api/2.0/mlflow/runs/delete", json={"run_id": run["info"]["run_id"]})
    kept_by_name = {one.name.split()[0]: one.kept for one in purge(trail.deps, PurgeRequest())}
    assert all(kept_by_name.values())
    forced = {int(one.name.split()[0]): one.kept for one in purge(trail.deps, PurgeRequest(force=True))}
    assert all("version" in kept for kept in forced.values() if kept)
    with trail.deps.project(ProjectId(42)).read() as tx:
        for iid in (iid for iid, kept in forced.items() if not kept):
            stone = tombstones.of_candidate(tx, iid)
            assert stone is not None
            assert stone[0] == "mltrail-server gc"


def test_a_project_that_is_unknown_is_an_error(deps: Deps, mlflow: Mlflow) -> None:
    full_run(mlflow)
    with pytest.raises(MltrailError, match="has been used here"):
        list(purge(deps, PurgeRequest(project="nobody/nothing")))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--older-than", "30d"], "choose what --deleted removes"),
        (["--deleted", "--older-than", "soon"], "--older-than must be a time"),
        (["--deleted", "--older-than", "1.2.3d"], "not a number"),
        (["--deleted", "--experiment-ids", "a"], "must be numbers"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    cli.main(["migrate", "--data-dir", str(tmp_path)])
    assert cli.main(["gc", "--data-dir", str(tmp_path), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["migrate", "--data-dir", str(tmp_path)])
    assert cli.main(["gc", "--data-dir", str(tmp_path), "--deleted", "--older-than", "2d8h5m20s", "--dry-run"]) == 0
    assert "Would remove 0 deleted things for good" in capsys.readouterr().out
    assert cli.main(["gc", "--data-dir", str(tmp_path), "--deleted", "--run-ids", "1f0c", "--dry-run"]) == 0
    assert "None of what you named was deleted here" in capsys.readouterr().out

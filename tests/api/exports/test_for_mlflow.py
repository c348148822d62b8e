"""`mltrail-server export --format mlflow`: what our own reader finds in the folder is what the project has."""

import re
from pathlib import Path
from typing import Any

from mltrail_server.domain.transfer import Entity, Findings
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.imports import importer
from mltrail_server.services.imports.plan import Plan
from mltrail_server.services.imports.progress import Progress
from mltrail_server.sources.export_folder import ExportFolder, names
from mltrail_server.store.identity import projects
from tests.api.exports.exporting import TEAM, TWO, history, losses, read, written
from tests.api.exports.history import fill
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import Mlflow

MARK = "mltrail.imported_from"


def test_the_folder_has_everything_that_the_project_has(deps: Deps, mlflow: Mlflow, tmp_path: Path) -> None:
    fill(mlflow)
    done = written(deps, tmp_path / "out")
    assert losses(done.findings) == []
    there = read(tmp_path / "out")
    assert there == history(deps)
    assert len(there) == 40
    counted = {entity: done.counts[entity] for entity in (Entity.RUN, Entity.DELETED_RUN, Entity.POINT, Entity.VERSION)}
    assert counted == {Entity.RUN: 3, Entity.DELETED_RUN: 2, Entity.POINT: 11, Entity.VERSION: 4}


def unmarked(answer: Any) -> Any:
    """An answer without the tags that mark what was imported."""
    if isinstance(answer, dict):
        return {key: unmarked(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [unmarked(one) for one in answer if not (isinstance(one, dict) and one.get("key") == MARK)]
    return answer


def answers(mlflow: Mlflow, ids: dict[str, str]) -> list[Any]:
    """What clients can read of a project."""
    experiments = [ids["first"], ids["gone"], "0"]
    return unmarked(
        [
            mlflow.post("experiments/search", max_results=100, view_type="ALL"),
            mlflow.post("runs/search", experiment_ids=experiments, run_view_type="ALL"),
            mlflow.get("metrics/get-history", run_id=ids["run"], metric_key="loss"),
            mlflow.get("artifacts/list", run_id=ids["run"]),
            mlflow.post("logged-models/search", experiment_ids=experiments),
            mlflow.get("registered-models/search"),
            mlflow.get("model-versions/search", filter="name = 'wine'"),
        ]
    )


def test_what_is_exported_comes_back_by_an_import(deps: Deps, mlflow: Mlflow, tmp_path: Path) -> None:
    ids = fill(mlflow)
    written(deps, tmp_path / "out")
    with deps.project(TWO).write() as tx:
        projects.ensure(tx, path="2")
    findings = Findings()
    source = ExportFolder(tmp_path / "out", findings)
    importer.bring(deps, source, [Plan(TWO, "2")], findings, Progress(lambda: 0.0))
    assert losses(findings) == []
    mark = f"'{MARK}': 'export of mltrail at {tmp_path}/out'"
    marks = re.compile(f", {mark}|{mark}, |{mark}")
    after = {key: marks.sub("", text) for key, text in history(deps, TWO).items()}
    before = history(deps)
    differing = {key.split(" ")[0] for key in before if before[key] != after.get(key)}
    assert differing <= {"scorer", "points"}  # a scorer's id is new, and points have no order between metrics
    assert sorted(after) == sorted(before)
    assert answers(Mlflow(mlflow.client, project="2"), ids) == answers(mlflow, ids)


def test_what_people_added_to_a_jobs_run_and_a_promoted_versions_own_files_are_there(
    trail: Trail, gitlab_deps: Deps, tmp_path: Path
) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.80])
    promote(trail, pipeline)
    trail.train(trail.of_request(trail.request(SHAS["c"]), SHAS["c"]), [0.70])
    [other] = [one["info"]["run_id"] for one in trail.runs() if one["data"]["metrics"][0]["value"] == 0.7]
    person = trail.person("developer")
    metrics = [{"key": key, "value": 1, "timestamp": 1} for key in ("val_accuracy", "business")]
    person.post("runs/log-batch", run_id=other, metrics=metrics, params=[{"key": "why", "value": "x"}])
    written(gitlab_deps, tmp_path / "out", TEAM)
    there = read(tmp_path / "out")
    assert there == history(gitlab_deps, TEAM)
    assert "'business', 0, 1, 1.0" in there[f"points of {other}"]
    assert "'val_accuracy', 0, 1, 0.7" in there[f"points of {other}"]
    assert there["files of churn 1"] == "{'MLmodel': b'flavors: {}'}"
    assert (tmp_path / f"out/models/churn/{names.ARTIFACTS}/1/MLmodel").exists()


def test_a_history_of_several_pages_is_whole(deps: Deps, mlflow: Mlflow, tmp_path: Path) -> None:
    run_id = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    values = [1, "NaN", 0, -1]
    for begin in range(0, 20_500, 1_000):
        points = [
            {"key": "loss", "value": values[number % 4], "timestamp": number // 2, "step": number // 4}
            for number in range(begin, min(begin + 1_000, 20_500))
        ]
        mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    written(deps, tmp_path / "out")
    found = read(tmp_path / "out")
    assert found == history(deps)
    assert found[f"points of {run_id}"].count("'loss'") == 20_500

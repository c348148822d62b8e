"""`mltrail-server export --format mlflow`: what our own reader finds in the folder is what the project has."""

import re
from pathlib import Path

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


def test_the_folder_has_everything_that_the_project_has(deps: Deps, mlflow: Mlflow, tmp_path: Path) -> None:
    fill(mlflow)
    done = written(deps, tmp_path / "out")
    assert losses(done.findings) == []
    there = read(tmp_path / "out")
    assert there == history(deps)
    assert len(there) == 39
    counted = {entity: done.counts[entity] for entity in (Entity.RUN, Entity.DELETED_RUN, Entity.POINT, Entity.VERSION)}
    assert counted == {Entity.RUN: 3, Entity.DELETED_RUN: 2, Entity.POINT: 11, Entity.VERSION: 4}


def test_what_is_exported_comes_back_by_an_import(deps: Deps, mlflow: Mlflow, tmp_path: Path) -> None:
    fill(mlflow)
    written(deps, tmp_path / "out")
    with deps.project(TWO).write() as tx:
        projects.ensure(tx, path="2")
    findings = Findings()
    source = ExportFolder(tmp_path / "out", findings)
    importer.bring(deps, source, [Plan(TWO, "2")], findings, Progress(lambda: 0.0))
    assert losses(findings) == []
    mark = f"'mltrail.imported_from': 'export of mltrail at {tmp_path}/out'"
    marks = re.compile(f", {mark}|{mark}, |{mark}")
    after = {key: marks.sub("", text) for key, text in history(deps, TWO).items()}
    before = history(deps)
    differing = {key.split(" ")[0] for key in before if before[key] != after.get(key)}
    assert differing <= {"scorer", "points"}  # a scorer's id is new, and points have no order between metrics
    assert sorted(after) == sorted(before)


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

"""Single jobs, run for real as in `test_whole_pipelines.py`: what goes wrong, and what outlives its job."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.component.whole import Whole, whole_in
from tests.places import TRAIN_PYTHON

CONFIG = """
include:
  - component: $CI_SERVER_FQDN/mlops/mltrail/pipeline@0.1.0
    inputs:
      server: https://mltrail.example.com
      needs: [good, {job: bad, optional: true}]
      report-rules: [{if: $CI_MERGE_REQUEST_IID, when: always}]
      doctor: true
stages: [train]
good:
  extends: .mltrail-track
  stage: train
  rules: [{if: $CI_MERGE_REQUEST_IID}]
  script: [python train.py good]
bad:
  extends: .mltrail-track
  stage: train
  rules: [{if: $CI_MERGE_REQUEST_IID}]
  script: [python train.py bad, exit 3]
doctor:
  extends: .mltrail-track
  stage: train
  rules: [{if: $CI_PIPELINE_SOURCE == "web"}]
  script: [mltrail doctor]
launch:
  extends: .mltrail-track
  stage: train
  rules: [{if: $CI_PIPELINE_SOURCE == "api"}]
  script:
    - mltrail detach --for 1h --experiment churn --name elsewhere --env "$CLUSTER/job.env"
"""

TRAIN = """
import sys
import mlflow

mlflow.set_experiment("churn")
run = mlflow.start_run(run_name=sys.argv[1])
mlflow.log_metric("auc", 0.5 if sys.argv[1] == "good" else 0.99)
"""

pytestmark = [pytest.mark.node, pytest.mark.e2e, pytest.mark.train]


@pytest.fixture(scope="module")
def whole(gitlab_ci_local: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole_in(tmp_path_factory.mktemp("jobs"), gitlab_ci_local, TRAIN_PYTHON) as made:
        made.begin_with(CONFIG, train=TRAIN)
        yield made


def runs_of(whole: Whole, pipeline_id: int) -> dict[str, Any]:
    """The runs of a pipeline by name: `info`, `data`."""
    found = whole.get("experiments/get-by-name?experiment_name=churn")["experiment"]["experiment_id"]
    wanted = {"experiment_ids": [found], "filter": f"tags.`gitlab.CI_PIPELINE_ID` = '{pipeline_id}'"}
    runs = whole.post("runs/search", wanted).get("runs", [])
    return {run["info"]["run_name"]: run for run in runs}


def test_a_failed_training_is_reported_and_never_wins(whole: Whole) -> None:
    whole.commit("Change", branch="change")
    request = whole.world.gitlab.add_merge_request(whole.project, "change", "main", "Change")
    ran = whole.merge_request_pipeline(request)
    assert ran.exit_code == 1
    assert {name: job.status for name, job in ran.jobs.items()} == {
        "mltrail-doctor": "success",
        "good": "success",
        "bad": "failed",
        "mltrail-report": "success",
    }
    (note,) = whole.world.gitlab.notes(whole.project, request.iid)
    assert "0.99" not in note.body.split("<details>")[0]
    reported = "".join(line for line in ran.output.splitlines(keepends=True) if line.startswith("mltrail-report "))
    assert "Not counted:  1 run failed." in reported
    assert "Best run: good " in reported
    # MLflow itself would have left both FINISHED: the job's end is the truth.
    statuses = {name: run["info"]["status"] for name, run in runs_of(whole, ran.pipeline.id).items()}
    assert statuses["good"] == "FINISHED"


def test_the_doctor_finds_nothing_wrong_with_what_the_component_sets(whole: Whole) -> None:
    ran = whole.branch_pipeline(source="web")
    assert ran.exit_code == 0, ran.output
    assert {name: job.status for name, job in ran.jobs.items()} == {"mltrail-doctor": "success", "doctor": "success"}
    for name in (
        "token",
        "audience",
        "expiry",
        "tracking URI",
        "server",
        "clock",
        "access",
        "bot",
        "version",
    ):
        assert f"ok       {name}: " in ran.output


def test_the_doctor_finds_a_variable_that_shadows_the_token(whole: Whole) -> None:
    whole.coordinator.settings = {"MLFLOW_TRACKING_TOKEN": "glpat-forgotten"}
    try:
        ran = whole.branch_pipeline(source="web")
    finally:
        whole.coordinator.settings = {}
    assert (ran.exit_code, ran.jobs["mltrail-doctor"].status) == (1, "failed")
    assert "A CI/CD variable of that name" in ran.output
    assert "glpat-forgotten" not in ran.output


def test_a_training_elsewhere_outlives_the_job_that_launched_it(whole: Whole, tmp_path: Path) -> None:
    whole.coordinator.settings = {"CLUSTER": str(tmp_path)}
    try:
        ran = whole.branch_pipeline(source="api")
    finally:
        whole.coordinator.settings = {}
    assert ran.exit_code == 0, ran.output
    assert ran.jobs["launch"].status == "success"
    assert "mltd-" not in ran.output

    script = "import mlflow; run = mlflow.start_run(); mlflow.log_metric('auc', 0.7); mlflow.end_run()"
    subprocess.run(
        ["sh", "-e", "-c", f'. ./job.env && "{TRAIN_PYTHON}" -W ignore -c "{script}"'],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"},
        check=True,
    )
    run = runs_of(whole, ran.pipeline.id)["elsewhere"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["gitlab.CI_JOB_ID"] == str(ran.jobs["launch"].id)
    assert run["info"]["status"] == "FINISHED"
    assert [metric["value"] for metric in run["data"]["metrics"]] == [0.7]

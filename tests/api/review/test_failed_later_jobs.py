"""A later job that writes to a run and fails takes nothing away from what an earlier one proved."""

from typing import Any

import pytest

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.review import examine
from tests.api.promotion.promoting import promote
from tests.api.review.jobs import a_job, log
from tests.api.review.merge_requests import GOOD, RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Job, Pipeline
from tests.mlflow_client import FILES, Mlflow, good
from tests.team import EXTERNAL_URL

TEXT = contract(RULE, rank_by="val_accuracy", promote="{from: [default]}")
RED = {"outcome": "fail", "sentence": "gate failed: 1 rule broken", "problems": []}


def later(trail: Trail, pipeline: Pipeline, *, name: str = "evaluate", allow_failure: bool = False) -> Job:
    """Let another job of a pipeline write to all runs of it: what it can, as an evaluation may."""
    gitlab = trail.team.gitlab
    job = gitlab.add_job(pipeline, name, "test", trail.team.users["developer"], "running")
    job.allow_failure = allow_failure
    mlflow = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    for run in trail.runs():
        run_id = run["info"]["run_id"]
        tags = {one["key"]: one["value"] for one in run["data"]["tags"]}
        if tags["gitlab.CI_PIPELINE_ID"] != str(pipeline.id):
            continue
        mlflow.post("runs/update", run_id=run_id, status="RUNNING")
        mlflow.post("runs/log-metric", run_id=run_id, key="val_accuracy", value=0.1, timestamp=9, step=9)
        mlflow.post("runs/log-parameter", run_id=run_id, key="evaluated", value="yes")
        good(mlflow.call("PUT", f"{FILES}/1/{run_id}/artifacts/model/MLmodel", data=b"flavors: {later: {}}"))
        mlflow.post("runs/set-tag", run_id=run_id, key="stage", value="evaluated")
    return job


def over(trail: Trail, pipeline: Pipeline) -> None:
    """Let the server learn that all of a pipeline is over."""
    assert trail.team.gitlab.status_of(pipeline) == "success"
    examine.refresh(trail.deps.ci(ProjectId(42)), pipeline.id)


@pytest.mark.every_case
@pytest.mark.parametrize("status", ["failed", "canceled", "running", "deleted"])
def test_a_baseline_stays_what_it_was(trail: Trail, status: str) -> None:
    main = a_main(trail, SHAS["b"], TEXT, GOOD)
    _, pipeline = a_request(trail, [0.50, 0.51, 0.52])
    before = trail.report(pipeline)
    assert before["gate"] == RED
    job = later(trail, main)
    assert trail.report(pipeline)["models"] == before["models"]
    if status == "deleted":
        trail.team.gitlab.delete_job(job)
    elif status != "running":
        trail.team.gitlab.set_job(job, status)
    trail.work(seconds=600)
    after = trail.report(pipeline)
    assert (after["gate"], after["models"]) == (RED, before["models"])


def test_the_packages_of_a_baseline_stay_what_they_were(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], None, [])
    _, pipeline = a_request(trail, [])
    for where, version in ((main, "2.9.0"), (pipeline, "2.9.1")):
        job, mlflow = a_job(trail, where)
        run_id = log(mlflow, {"val_accuracy": 0.8})
        require(mlflow, run_id, version)
        trail.team.gitlab.set_job(job, "success")
        if where is main:
            evaluate, mlflow = a_job(trail, main, "evaluate")
            mlflow.post("runs/update", run_id=run_id, status="RUNNING")
            require(mlflow, run_id, "2.0.0")
            trail.team.gitlab.set_job(evaluate, "failed")
    (model,) = trail.report(pipeline)["models"]
    assert model["environment"] == [{"name": "torch", "from": "2.9.0", "to": "2.9.1"}]


def require(mlflow: Mlflow, run_id: str, version: str) -> None:
    """Log which version of a package a model needs."""
    path = f"{FILES}/0/{run_id}/artifacts/model/requirements.txt"
    good(mlflow.call("PUT", path, data=f"torch=={version}\n".encode()))


def test_what_a_later_job_that_succeeds_has_written_counts(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], TEXT, GOOD)
    _, pipeline = a_request(trail, [0.50, 0.51, 0.52])
    assert trail.report(pipeline)["gate"] == RED
    trail.team.gitlab.set_job(later(trail, main), "success")
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["baseline"]["mean"] == pytest.approx(0.1)


def test_a_job_that_fails_after_one_that_succeeded_takes_its_own_back_only(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], TEXT, GOOD)
    _, pipeline = a_request(trail, [0.05, 0.05, 0.05])
    trail.team.gitlab.set_job(later(trail, main), "success")
    trail.report(main)
    before = trail.report(pipeline)["models"]
    trail.team.gitlab.set_job(later(trail, main, name="again"), "failed")
    assert trail.report(pipeline)["models"] == before


def _states(trail: Trail, pipeline: Pipeline) -> set[str]:
    return {run["status"] for model in trail.report(pipeline)["models"] for run in model["candidates"]}


@pytest.mark.parametrize(("allow_failure", "state"), [(False, "failed"), (True, "succeeded")])
def test_in_its_own_pipeline_a_failure_is_a_veto_unless_gitlab_lets_it_fail(
    trail: Trail, *, allow_failure: bool, state: str
) -> None:
    main = a_main(trail, SHAS["b"], TEXT, GOOD)
    job = later(trail, main, allow_failure=allow_failure)
    assert _states(trail, main) == {"running"}
    trail.team.gitlab.set_job(job, "failed")
    assert _states(trail, main) == {state}
    (done,) = promote(trail, main)
    assert done["state"] == ("promoted" if allow_failure else "nothing")
    if allow_failure:
        assert_shipped(trail, done)


def test_a_job_that_came_when_all_was_over_vetoes_nothing(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], TEXT, GOOD)
    over(trail, main)
    trail.team.gitlab.set_job(later(trail, main), "failed")
    assert _states(trail, main) == {"succeeded"}
    (done,) = promote(trail, main)
    assert_shipped(trail, done)


def assert_shipped(trail: Trail, done: Any) -> None:
    """See that what the training has logged was promoted, files included."""
    assert done["state"] == "promoted", done["reason"]
    guest = trail.person("guest")
    held = guest.get("model-versions/get-download-uri", name="churn", version=str(done["number"]))["artifact_uri"]
    with guest.call("GET", f"{FILES}/{held.removeprefix('mlflow-artifacts:/')}/MLmodel") as answer:
        assert answer.get_data() == b"flavors: {}"


@pytest.mark.parametrize("status", ["failed", "canceled", "running"])
def test_a_retried_job_whose_newest_attempt_has_not_succeeded(trail: Trail, status: str) -> None:
    gitlab = trail.team.gitlab
    main = a_main(trail, SHAS["b"], TEXT, GOOD)
    _, pipeline = a_request(trail, [0.50, 0.51, 0.52])
    before = trail.report(pipeline)["models"]
    trained = next(job for job in gitlab.jobs_of(main) if job.name == "train")
    again = gitlab.retry_job(trained)
    gitlab.set_job(again, status)
    trail.report(main)
    after = trail.report(pipeline)
    assert (after["gate"], after["models"]) == (RED, before)


def test_a_later_job_that_is_retried_counts_by_its_newest_attempt(trail: Trail) -> None:
    gitlab = trail.team.gitlab
    main = a_main(trail, SHAS["b"], TEXT, GOOD)
    job = later(trail, main)
    gitlab.set_job(job, "failed")
    assert _states(trail, main) == {"failed"}
    again = gitlab.retry_job(job)
    gitlab.set_job(again, "success")
    assert _states(trail, main) == {"succeeded"}

"""A candidate's status follows its job: what a client has left open is closed, with the reason.

https://docs.gitlab.com/api/jobs/#job-status-values
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Job, Pipeline
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL

BACKENDS = ("sqlite",)
HOUR_SECONDS = 60 * 60


@pytest.fixture
def pipeline(trail: Trail) -> Pipeline:
    return trail.of_request(trail.request(SHAS["c"]), SHAS["c"])


def outcomes(trail: Trail) -> list[tuple[str, str | None]]:
    with trail.deps.db.read() as connection:
        rows = connection.exec_driver_sql("SELECT status, status_reason FROM candidate ORDER BY iid")
        names = {1: "RUNNING", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
        return [(names[row.status], row.status_reason) for row in rows]


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        (lambda trail, job: trail.team.gitlab.set_job(job, "success"), "FINISHED", "job succeeded"),
        (lambda trail, job: trail.team.gitlab.set_job(job, "failed", "script_failure"), "FAILED", "script_failure"),
        (lambda trail, job: trail.team.gitlab.set_job(job, "failed", "job_execution_timeout"), "FAILED", "timed out"),
        (lambda trail, job: trail.team.gitlab.set_job(job, "failed", "runner_system_failure"), "FAILED", "runner_sys"),
        (lambda trail, job: trail.team.gitlab.set_job(job, "canceled"), "KILLED", "job canceled"),
        (lambda trail, job: trail.team.gitlab.delete_job(job), "KILLED", "job vanished"),
        (lambda trail, job: trail.team.gitlab.delete_pipeline(job.pipeline), "KILLED", "job vanished"),
    ],
    ids=["succeeded", "failed", "timed out", "runner died", "canceled", "job deleted", "pipeline deleted"],
)
def test_a_client_that_dies_without_a_word(
    trail: Trail, pipeline: Pipeline, end: Callable[[Trail, Job], None], status: str, reason: str
) -> None:
    job = trail.train(pipeline, [0.9], status=None)
    trail.work(seconds=600)
    assert outcomes(trail) == [("RUNNING", None)]
    end(trail, job)
    trail.work(seconds=HOUR_SECONDS)
    ((outcome, why),) = outcomes(trail)
    assert outcome == status
    assert why is not None
    assert reason in why
    assert trail.work(seconds=HOUR_SECONDS) <= 1, "it is settled; what goes on is the look at open merge requests"
    assert [run["info"]["status"] for run in trail.runs()] == [status]


def test_a_deleted_job_settles_its_note(trail: Trail, pipeline: Pipeline) -> None:
    request = pipeline.merge_request
    assert request is not None
    trail.train(pipeline, [0.9])
    gone = trail.train(pipeline, [0.8], status=None, job_name="second")
    trail.team.gitlab.delete_job(gone)
    trail.work(seconds=600)
    (note,) = trail.notes(request)
    assert "1 run canceled" in note
    assert "Still training" not in note


def test_a_job_deleted_after_its_end_stays_what_it_was(trail: Trail, pipeline: Pipeline) -> None:
    job = trail.train(pipeline, [0.9])
    trail.work()
    trail.team.gitlab.delete_job(job)
    (model,) = trail.report(pipeline)["models"]
    assert [run["status"] for run in model["candidates"]] == ["succeeded"]


def test_a_list_with_a_hole_closes_nothing(trail: Trail, pipeline: Pipeline) -> None:
    """Pages of a list may be cut while others go: the job itself is asked for."""
    job = trail.train(pipeline, [0.9], status=None)
    gitlab = trail.team.gitlab
    hidden = gitlab.jobs.pop(job.id)

    def back() -> None:
        gitlab.jobs[job.id] = hidden

    gitlab.fail_next("GET", f"/jobs/{job.id}$", act=back)
    trail.work(seconds=600)
    assert outcomes(trail) == [("RUNNING", None)]


def test_a_project_out_of_sight_closes_nothing(trail: Trail, pipeline: Pipeline) -> None:
    """GitLab says 404 for a pipeline of a project that the bot was taken from."""
    trail.train(pipeline, [0.9], status=None)
    trail.work(seconds=600)
    members = trail.team.project.members
    level = members.pop(trail.team.users["bot"].id)
    trail.work(seconds=HOUR_SECONDS)
    assert outcomes(trail) == [("RUNNING", None)]
    members[trail.team.users["bot"].id] = level


def test_all_jobs_of_a_candidate_must_be_over(trail: Trail, pipeline: Pipeline) -> None:
    """Train, then evaluate in another job of the pipeline, which dies."""
    job = trail.train(pipeline, [0.9], status=None)
    run_id = trail.runs()[0]["info"]["run_id"]
    evaluate = trail.team.gitlab.add_job(pipeline, "evaluate", "test", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(evaluate, EXTERNAL_URL))
    mlflow.post("runs/log-metric", run_id=run_id, key="auc", value=0.5, timestamp=1)
    trail.team.gitlab.set_job(job, "success")
    trail.work(seconds=HOUR_SECONDS)
    assert outcomes(trail) == [("RUNNING", None)]
    trail.team.gitlab.set_job(evaluate, "failed", "script_failure")
    trail.work(seconds=HOUR_SECONDS)
    assert outcomes(trail) == [("FAILED", "job failed: script_failure")]


def test_what_the_client_said_stays_and_does_not_count(trail: Trail, pipeline: Pipeline) -> None:
    """A FINISHED candidate of a failed job is shown as such."""
    trail.train(pipeline, [0.9], status="failed")
    trail.work()
    assert [status for status, _ in outcomes(trail)] == ["FINISHED"]
    (model,) = trail.report(pipeline)["models"]
    assert [run["status"] for run in model["candidates"]] == ["failed"]


def test_looks_grow_rare_while_a_job_trains_for_days(trail: Trail, pipeline: Pipeline) -> None:
    trail.train(pipeline, [0.9], status=None)
    looks: list[Any] = []
    for _ in range(48 * 6):
        calls = len(trail.team.gitlab.requests)
        trail.work(seconds=600)
        looks.append(len(trail.team.gitlab.requests) - calls)
    assert sum(looks) < 48 * 3 + 20
    assert sum(looks[-24:]) >= 4, "and yet nobody gives it up"

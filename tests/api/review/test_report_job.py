"""A merge request may edit its own report job: that it is missing or altered is shown, whatever its exit code says."""

import pytest
from flask.testing import FlaskClient

from mltrail_server.domain.markdown import code
from tests.api.review.merge_requests import BAD, GOOD, RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Job, MergeRequest, Pipeline
from tests.team import EXTERNAL_URL
from tests.ui.browsing import TEAM_ML, sign_in, team_page

BACKENDS = ("sqlite",)


@pytest.fixture
def request_with_report(trail: Trail) -> MergeRequest:
    """A merge request whose first pipeline, which was good, had the report job `report`."""
    a_main(trail, SHAS["b"], contract(RULE), GOOD)
    request, first = a_request(trail, GOOD)
    trail.report(first)
    end(trail, report_job(trail, first), "success")
    trail.work()
    return request


def report_job(trail: Trail, pipeline: Pipeline) -> Job:
    return next(job for job in reversed(trail.team.gitlab.jobs_of(pipeline)) if job.name == "report")


def end(trail: Trail, job: Job, status: str) -> None:
    trail.team.gitlab.set_job(job, status)


def problems(trail: Trail, pipeline: Pipeline) -> list[str]:
    sentences: list[str] = trail.report(pipeline, "GET")["report_job"]
    # Asking by GET adds another job of that name to the pipeline.
    trail.team.gitlab.delete_job(report_job(trail, pipeline))
    return sentences


def push(trail: Trail, request: MergeRequest, values: list[float]) -> Pipeline:
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, values)
    return pipeline


def test_a_missing_one_is_in_the_note(trail: Trail, request_with_report: MergeRequest) -> None:
    pipeline = push(trail, request_with_report, BAD)
    trail.work()
    (note,) = trail.notes(request_with_report)
    assert "⚠️ This pipeline has no job `report`, which reported before" in note
    assert problems(trail, pipeline) == [
        "This pipeline has no job report, which reported before: nothing in it fails when the gate does."
    ]


def test_one_that_was_never_there_is_not_missed(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), GOOD)
    request, pipeline = a_request(trail, BAD)
    trail.work()
    assert problems(trail, pipeline) == []
    assert "report job" not in trail.notes(request)[0]


def test_one_that_is_about_to_run_is_waited_for(trail: Trail, request_with_report: MergeRequest) -> None:
    pipeline = push(trail, request_with_report, BAD)
    trail.team.gitlab.add_job(pipeline, "report", "test", trail.team.users["developer"], "created")
    trail.work()
    assert "⚠️" not in trail.notes(request_with_report)[0]


@pytest.mark.parametrize("status", ["success", "failed", "manual"])
def test_one_that_does_not_ask_is_in_the_note(trail: Trail, request_with_report: MergeRequest, status: str) -> None:
    pipeline = push(trail, request_with_report, BAD)
    job = trail.team.gitlab.add_job(pipeline, "report", "test", trail.team.users["developer"], "running")
    trail.work()
    assert "did not request" not in trail.notes(request_with_report)[0]
    end(trail, job, status)
    trail.work(seconds=60)
    assert "The job `report` did not request this report as it did before" in trail.notes(request_with_report)[0]


def test_one_that_passes_a_failed_gate_is_in_the_note(trail: Trail, request_with_report: MergeRequest) -> None:
    pipeline = push(trail, request_with_report, BAD)
    assert trail.report(pipeline)["report_job"] == []
    trail.work(seconds=60)
    end(trail, report_job(trail, pipeline), "success")
    trail.work(seconds=5 * 60)
    (note,) = trail.notes(request_with_report)
    assert "The job `report` passed although the gate failed." in note


@pytest.mark.parametrize("allowed", [False, True])
def test_one_that_may_fail_is_in_the_note(trail: Trail, request_with_report: MergeRequest, allowed: bool) -> None:
    pipeline = push(trail, request_with_report, BAD)
    trail.report(pipeline)
    job = report_job(trail, pipeline)
    job.allow_failure = allowed
    end(trail, job, "failed")
    trail.work(seconds=60)
    assert ("The job `report` may fail without failing the pipeline." in trail.notes(request_with_report)[0]) is allowed


def test_another_one_is_in_the_note(trail: Trail, request_with_report: MergeRequest) -> None:
    pipeline = push(trail, request_with_report, GOOD)
    job = trail.team.gitlab.add_job(pipeline, "look `away`", "test", trail.team.users["developer"], "running")
    headers = {"Authorization": f"Bearer {trail.team.gitlab.mint(job, EXTERNAL_URL)}"}
    trail.client.post(f"/api/v4/projects/42/ml/pipelines/{pipeline.id}/report", headers=headers)
    (note,) = trail.notes(request_with_report)
    assert f"This report was requested by the job {code(job.name)}, not by `report` as before." in note


def test_what_was_merged_is_what_others_are_held_to(trail: Trail, request_with_report: MergeRequest) -> None:
    trail.team.gitlab.merge(trail.team.project, request_with_report.iid)
    trail.work(seconds=16 * 60)
    trail.team.gitlab.add_commit(trail.team.project, SHAS["e"], parents=(SHAS["b"],), branch="slower")
    other = trail.team.gitlab.add_merge_request(trail.team.project, "slower", "main", "Learn slower")
    pipeline = trail.of_request(other, SHAS["e"])
    trail.train(pipeline, BAD)
    trail.work()
    assert "This pipeline has no job `report`" in trail.notes(other)[0]


def test_a_page_says_it(trail: Trail, request_with_report: MergeRequest, gitlab_client: FlaskClient) -> None:
    push(trail, request_with_report, BAD)
    trail.work()
    sign_in(gitlab_client, trail.team.tokens["reporter"], base_url=EXTERNAL_URL)
    shown = team_page(gitlab_client, f"{TEAM_ML}/merge_requests/{request_with_report.iid}")
    assert "has no job <code>report</code>" in shown

"""What the report of a pipeline says: who counts, against which baseline."""

import pytest

from mltrail_server.app import create_deps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.ci import compute
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL


def test_the_report_says_what_changed(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = reviewed
    answer = trail.report(pipeline)
    assert (answer["state"], answer["verdict"]["level"]) == ("ready", "good")
    assert answer["merge_request"]["iid"] == request.iid
    (model,) = answer["models"]
    assert (model["name"], model["baseline"]["sha"], model["best"]["runs"]) == ("churn", SHAS["b"], 3)
    (metric,) = model["metrics"]
    assert (metric["name"], metric["direction"], metric["verdict"]) == ("val_accuracy", "higher", "better")
    assert metric["delta"] == pytest.approx(0.10)
    assert model["parameters"] == [{"name": "lr", "from": "0.1", "to": "0.2"}]
    assert {run["status"] for run in model["candidates"]} == {"succeeded"}
    assert answer["note"]["state"] == "posted"
    assert trail.report(pipeline, "GET")["models"] == answer["models"]


def test_runs_of_a_failed_job_do_not_count(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    _, pipeline = reviewed
    trail.train(pipeline, [0.99], lr="0.9", status="failed", job_name="train more")
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["current"]["mean"] == pytest.approx(0.91)
    assert sorted(run["status"] for run in model["candidates"]) == ["failed", "succeeded", "succeeded", "succeeded"]


def test_a_retried_job_counts_by_its_newest_attempt(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    _, pipeline = reviewed
    trail.train(pipeline, [0.5, 0.5, 0.5], lr="0.2")
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["current"]["mean"] == pytest.approx(0.5)
    assert [run["status"] for run in model["candidates"]].count("superseded") == 3


def test_what_a_stranger_writes_is_apart_from_the_evidence(
    trail: Trail, reviewed: tuple[MergeRequest, Pipeline]
) -> None:
    _, pipeline = reviewed
    person = trail.person("developer")
    best = max(trail.runs(), key=lambda run: run["data"]["metrics"][0]["value"])["info"]["run_id"]
    person.post("runs/log-metric", run_id=best, key="val_accuracy", value=0.9999, timestamp=9)
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["current"]["mean"] == pytest.approx(0.91)
    assert {run["status"] for run in model["candidates"]} == {"succeeded"}


def test_the_baseline_is_at_the_merge_base_not_after_it(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=(SHAS["b"],), branch="main")
    later = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["d"], "main", "push")
    trail.train(later, [0.99, 0.99])
    newer = trail.of_request(reviewed[0], SHAS["c"])
    trail.train(newer, [0.90, 0.91, 0.92], lr="0.2")
    assert trail.report(newer)["models"][0]["baseline"]["sha"] == SHAS["b"]


def test_without_a_baseline_it_says_so(trail: Trail) -> None:
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.9])
    assert trail.report(pipeline)["verdict"]["sentence"] == "no baseline yet"
    assert "nothing to compare `churn` with" in trail.notes(request)[0]


def test_a_pipeline_without_runs_gets_an_empty_report(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    request, first = reviewed
    bare = trail.of_request(request, SHAS["c"])
    answer = trail.report(bare)
    assert (answer["state"], answer["models"]) == ("empty", [])
    assert "has logged no runs" in answer["reason"]
    # No note is made for it, but an existing one does not go on showing an older pipeline.
    assert trail.notes(request) == []
    trail.report(first)
    bare = trail.of_request(request, SHAS["c"])
    trail.report(bare)
    (note,) = trail.notes(request)
    assert "No runs: this pipeline has logged none" in note
    assert trail.report(bare, "GET")["state"] == "empty"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("number", [77, 10**30])
def test_an_unknown_pipeline_is_not_found(trail: Trail, method: str, number: int) -> None:
    headers = {"Authorization": f"Bearer {trail.team.gitlab.mint(trail.team.job(), EXTERNAL_URL)}"}
    url = f"/api/v4/projects/42/ml/pipelines/{number}/report"
    answer = trail.client.open(url, method=method, headers=headers)
    assert answer.status_code in ((404, 400) if number > 2**63 else (404,))
    assert set(answer.get_json()) == {"message"}


def test_a_get_shows_the_same_baseline_after_the_target_branch_has_moved_on(
    trail: Trail, reviewed: tuple[MergeRequest, Pipeline]
) -> None:
    request, _ = reviewed
    trail.train(trail.main(SHAS["d"]), [0.99, 0.99])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.90, 0.91, 0.92], lr="0.2")
    fresh = trail.report(pipeline)
    assert trail.report(pipeline, "GET")["models"] == fresh["models"]
    assert fresh["models"][0]["baseline"]["sha"] == SHAS["b"]
    # Without an answer from GitLab it is the newest of the target branch, and no error.
    restarted = create_deps(trail.deps.settings, clock=trail.clock)
    trail.team.gitlab.fail_next("GET", "/repository/commits$", 503)
    report = compute.known(restarted.ci(ProjectId(42)), pipeline.id)
    restarted.db.dispose()
    assert report.models[0].baseline is not None
    assert report.models[0].baseline.sha == SHAS["d"]


def test_the_stamp_is_the_servers(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    job = trail.team.gitlab.add_job(pipeline, "train", "train", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    forged = [{"key": "gitlab.CI_JOB_ID", "value": "1"}, {"key": "gitlab.CI_MERGE_REQUEST_IID", "value": "7"}]
    run = mlflow.post("runs/create", experiment_id="0", tags=forged)["run"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["gitlab.CI_JOB_ID"] == str(job.id)
    assert tags["gitlab.CI_COMMIT_SHA"] == SHAS["b"]
    assert "gitlab.CI_MERGE_REQUEST_IID" not in tags
    run_id = run["info"]["run_id"]
    status, _, message = mlflow.error("POST", "runs/set-tag", run_id=run_id, key="gitlab.CI_JOB_ID", value="1")
    assert status == 400
    assert "written by mltrail itself" in message
    assert mlflow.error("POST", "runs/delete-tag", run_id=run_id, key="gitlab.verified")[0] == 400


def test_a_bot_without_a_good_token_is_the_operators_business(
    trail: Trail, reviewed: tuple[MergeRequest, Pipeline]
) -> None:
    _, pipeline = reviewed
    trail.team.gitlab.tokens[trail.team.tokens["bot"]].revoked = True
    job = trail.team.gitlab.add_job(pipeline, "report", "test", trail.team.users["developer"], "running")
    headers = {"Authorization": f"Bearer {trail.team.gitlab.mint(job, EXTERNAL_URL)}"}
    answer = trail.client.post(f"/api/v4/projects/42/ml/pipelines/{pipeline.id}/report", headers=headers)
    assert answer.status_code == 503
    assert "MLTRAIL_GITLAB_TOKEN" in answer.get_json()["message"]

"""Every kind of pipeline: what is linked, compared and posted.

https://docs.gitlab.com/ci/pipelines/pipeline_types/
"""

import pytest

from tests.api.ci.pipelines import baseline_of, linked, pipeline, spoken_of
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL

BACKENDS = ("sqlite",)


@pytest.mark.parametrize("ref", ["head", "merge"])
def test_merge_request_and_merged_results(trail: Trail, baseline: Pipeline, request_: MergeRequest, ref: str) -> None:
    sha = SHAS["c"]
    if ref == "merge":
        # A commit that is on no branch and will vanish.
        sha = trail.team.gitlab.add_commit(trail.team.project, SHAS["e"], parents=(SHAS["b"], SHAS["c"]))
    own = pipeline(trail, f"refs/merge-requests/{request_.iid}/{ref}", "merge_request_event", sha)
    trail.train(own, [0.90, 0.91, 0.92])
    trail.work()
    assert linked(trail, own) == {str(request_.iid)}
    assert spoken_of(trail, request_) == own.id
    assert baseline_of(trail, own) == baseline.id


@pytest.mark.parametrize("branch_first", [True, False])
def test_a_push_that_begins_two_pipelines_is_reported_by_the_merge_requests(
    trail: Trail, request_: MergeRequest, branch_first: bool
) -> None:
    kinds = [("faster", "push"), (f"refs/merge-requests/{request_.iid}/head", "merge_request_event")]
    made = [pipeline(trail, *kind) for kind in (kinds if branch_first else kinds[::-1])]
    for one in made:
        trail.train(one, [0.9, 0.91])
    trail.work()
    of_request = next(one for one in made if one.source == "merge_request_event")
    assert spoken_of(trail, request_) == of_request.id
    assert [linked(trail, one) for one in made] == [{str(request_.iid)}] * 2
    (model,) = trail.report(of_request)["models"]
    assert len(model["candidates"]) == 2, "candidates are keyed by pipeline"


def test_a_merge_train_updates_the_note_and_begins_none(trail: Trail, request_: MergeRequest) -> None:
    train = pipeline(trail, f"refs/merge-requests/{request_.iid}/train", "merge_request_event")
    trail.train(train, [0.9, 0.91])
    trail.work()
    assert linked(trail, train) == {str(request_.iid)}
    assert trail.notes(request_) == []
    own = pipeline(trail, f"refs/merge-requests/{request_.iid}/head", "merge_request_event")
    trail.train(own, [0.9, 0.91])
    trail.work()
    again = pipeline(trail, f"refs/merge-requests/{request_.iid}/train", "merge_request_event")
    trail.train(again, [0.5, 0.51])
    trail.work()
    assert spoken_of(trail, request_) == again.id
    assert trail.report(again)["gate"]["outcome"] == "fail", "it gates like any other"


@pytest.mark.parametrize("source", ["push", "schedule", "web", "api", "trigger", "pipeline"])
def test_the_default_branch_is_the_baseline_however_it_was_begun(
    trail: Trail, request_: MergeRequest, source: str
) -> None:
    newer = pipeline(trail, "main", source, SHAS["b"])
    trail.train(newer, [0.85, 0.86, 0.87])
    trail.work()
    assert linked(trail, newer) == {None}
    assert trail.notes(request_) == []
    own = pipeline(trail, f"refs/merge-requests/{request_.iid}/head", "merge_request_event")
    trail.train(own, [0.9, 0.91])
    trail.work()
    assert baseline_of(trail, own) == newer.id


@pytest.mark.parametrize("source", ["push", "web", "api", "trigger", "schedule", "pipeline"])
def test_a_branch_with_an_open_merge_request_is_its(trail: Trail, request_: MergeRequest, source: str) -> None:
    own = pipeline(trail, "faster", source)
    trail.train(own, [0.9, 0.91])
    trail.work()
    assert linked(trail, own) == {str(request_.iid)}
    assert spoken_of(trail, request_) == own.id


def test_a_branch_without_one_and_a_tag_are_nobodys(trail: Trail, request_: MergeRequest) -> None:
    trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=(SHAS["b"],), branch="alone")
    alone = pipeline(trail, "alone", "push", SHAS["d"])
    # A tag may be called like the branch of a merge request.
    tagged = pipeline(trail, "faster", "push", tag=True)
    for one in (alone, tagged):
        trail.train(one, [0.9, 0.91])
        trail.work()
        assert linked(trail, one) == {None}
        assert trail.report(one)["note"]["state"] == "none"
    assert trail.notes(request_) == []
    own = pipeline(trail, f"refs/merge-requests/{request_.iid}/head", "merge_request_event")
    trail.train(own, [0.9])
    trail.work()
    assert baseline_of(trail, own) not in (alone.id, tagged.id)


def test_a_matrix_makes_candidates_and_seeds_make_repeats(trail: Trail, request_: MergeRequest) -> None:
    own = pipeline(trail, f"refs/merge-requests/{request_.iid}/head", "merge_request_event")
    for name, lr in (("train: [a, 0.1]", "0.1"), ("train: [b, 0.2]", "0.2")):
        trail.train(own, [0.90, 0.91, 0.92], lr=lr, job_name=name)
    trail.work()
    (model,) = trail.report(own)["models"]
    assert len(model["candidates"]) == 6
    assert len({run["job_id"] for run in model["candidates"]}) == 2
    assert model["best"]["runs"] == 3, "seeds are repeats of one candidate"


def test_a_newer_push_cancels_and_the_note_is_the_newers(trail: Trail, request_: MergeRequest) -> None:
    ref = f"refs/merge-requests/{request_.iid}/head"
    old = pipeline(trail, ref, "merge_request_event")
    job = trail.train(old, [0.5], status=None)
    trail.team.gitlab.set_job(job, "canceled")
    newer = trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=(SHAS["c"],), branch="faster")
    new = pipeline(trail, ref, "merge_request_event", newer)
    trail.train(new, [0.9])
    trail.work(seconds=600)
    assert spoken_of(trail, request_) == new.id
    (model,) = trail.report(old, "GET")["models"]
    assert [run["status"] for run in model["candidates"]] == ["canceled"]


def test_a_manual_job_is_not_waited_for(trail: Trail, request_: MergeRequest) -> None:
    own = pipeline(trail, f"refs/merge-requests/{request_.iid}/head", "merge_request_event")
    trail.team.gitlab.add_job(own, "deploy", "deploy", trail.team.users["developer"], "manual")
    trail.train(own, [0.9])
    trail.work()
    assert spoken_of(trail, request_) == own.id
    # Begun later, it may still train.
    trail.train(own, [0.95], job_name="train more")
    trail.work()
    (model,) = trail.report(own)["models"]
    assert len(model["candidates"]) == 2


def test_a_training_retried_after_the_report_is_reported_without_a_job(trail: Trail, request_: MergeRequest) -> None:
    own = pipeline(trail, f"refs/merge-requests/{request_.iid}/head", "merge_request_event")
    trail.train(own, [0.4], status="failed")
    trail.report(own)
    trail.train(own, [0.9])
    trail.work()
    (note,) = trail.notes(request_)
    assert "0.9" in note
    assert "0.4" not in note.partition("<details>")[0]


def test_a_forks_own_pipeline_stays_in_the_fork(trail: Trail, request_: MergeRequest) -> None:
    gitlab, dana = trail.team.gitlab, trail.team.users["stranger"]
    fork = gitlab.add_project("dana/churn", id=77)
    for user, level in ((dana, 50), (trail.team.users["bot"], 20)):
        gitlab.add_member(fork, user, level)
    gitlab.add_commit(fork, SHAS["f"], branch="mine")
    offered = gitlab.add_merge_request(trail.team.project, "mine", "main", "Mine", source_project=fork)
    job = gitlab.add_job(gitlab.add_pipeline(fork, SHAS["f"], "mine", "push"), "train", "train", dana, "running")
    mlflow = Mlflow(trail.client, project="77", token=gitlab.mint(job, EXTERNAL_URL))
    run = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=run, key="accuracy", value=0.9, timestamp=1)
    mlflow.post("runs/update", run_id=run, status="FINISHED")
    gitlab.set_job(job, "success")
    trail.work()
    assert trail.notes(offered) == [], "the fork's word counts for nothing in the target"
    assert mlflow.call("GET", "api/2.0/mlflow/runs/get", query_string={"run_id": run}).status_code == 200
    there = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    assert there.error("POST", "runs/create", experiment_id="0")[0] == 404


def test_a_forks_pipeline_in_the_target_reads_and_does_not_log(trail: Trail, request_: MergeRequest) -> None:
    gitlab = trail.team.gitlab
    fork = gitlab.add_project("dana/churn", id=77)
    gitlab.add_commit(fork, SHAS["f"], branch="mine")
    offered = gitlab.add_merge_request(trail.team.project, "mine", "main", "Mine", source_project=fork)
    there = pipeline(trail, f"refs/merge-requests/{offered.iid}/head", "merge_request_event", SHAS["f"])
    job = gitlab.add_job(there, "train", "train", trail.team.users["developer"], "running")
    mlflow = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    good(mlflow.call("GET", "api/2.0/mlflow/experiments/get", query_string={"experiment_id": "0"}))
    status, _, message = mlflow.error("POST", "runs/create", experiment_id="0")
    assert status == 403
    assert "a fork's code" in message
    assert "pushes it as a branch of this project" in message
    trail.work()
    assert trail.notes(offered) == []


def test_an_unprotected_branch_logs(trail: Trail, request_: MergeRequest) -> None:
    own = pipeline(trail, "faster", "push")
    trail.train(own, [0.9])
    trail.work()
    assert {run["status"] for run in trail.report(own)["models"][0]["candidates"]} == {"succeeded"}

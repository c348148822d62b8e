"""Each kind of pipeline: to which merge request it belongs, what it is compared with, and who gets a note.

https://docs.gitlab.com/ci/pipelines/pipeline_types/
"""

import pytest

from tests.api.review.jobs import a_job, log
from tests.api.review.merge_requests import BAD, GOOD, RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline


def a_pipeline(trail: Trail, sha: str, ref: str, source: str, values: list[float], *, tag: bool = False) -> Pipeline:
    pipeline = trail.team.gitlab.add_pipeline(trail.team.project, sha, ref, source, tag=tag)
    trail.train(pipeline, values)
    return pipeline


@pytest.fixture
def request_of_faster(trail: Trail) -> MergeRequest:
    a_main(trail, SHAS["b"], contract(RULE), GOOD)
    request, _ = a_request(trail, [])
    return request


@pytest.mark.parametrize("kind", ["head", "merge", "train"])
def test_a_merge_request_s_pipelines_are_its_own(trail: Trail, request_of_faster: MergeRequest, kind: str) -> None:
    sha = SHAS["c"]
    if kind != "head":
        # A merge commit of both sides, which is on no branch.
        sha = trail.team.gitlab.add_commit(trail.team.project, SHAS["e"], parents=(SHAS["b"], SHAS["c"]))
    ref = f"refs/merge-requests/{request_of_faster.iid}/{kind}"
    report = trail.report(a_pipeline(trail, sha, ref, "merge_request_event", BAD))
    assert (report["merge_request"]["iid"], report["gate"]["outcome"]) == (request_of_faster.iid, "fail")
    assert report["models"][0]["baseline"]["sha"] == SHAS["b"]
    assert len(trail.notes(request_of_faster)) == 1


def test_a_push_and_a_merge_request_s_pipeline_of_one_commit_share_the_note(
    trail: Trail, request_of_faster: MergeRequest
) -> None:
    pushed = a_pipeline(trail, SHAS["c"], "faster", "push", BAD)
    assert trail.report(pushed)["merge_request"]["iid"] == request_of_faster.iid
    own = a_pipeline(trail, SHAS["c"], "refs/merge-requests/1/head", "merge_request_event", GOOD)
    trail.report(own)
    trail.report(pushed)
    (note,) = trail.notes(request_of_faster)
    assert note.startswith(f"<!-- mltrail v1 pipeline={own.id} -->")


def test_a_branch_without_a_merge_request_is_held_to_the_default_branch(
    trail: Trail, request_of_faster: MergeRequest
) -> None:
    trail.team.gitlab.add_commit(trail.team.project, SHAS["f"], parents=(SHAS["b"],), branch="alone")
    report = trail.report(a_pipeline(trail, SHAS["f"], "alone", "push", BAD))
    assert (report["merge_request"], report["gate"]["outcome"]) == (None, "fail")
    assert report["models"][0]["baseline"]["sha"] == SHAS["b"]


def test_a_tag_s_pipeline_is_held_to_its_own_contract(trail: Trail, request_of_faster: MergeRequest) -> None:
    report = trail.report(a_pipeline(trail, SHAS["b"], "v1.2.3", "push", BAD, tag=True))
    assert (report["merge_request"], report["gate"]["outcome"]) == (None, "fail")


@pytest.mark.parametrize("source", ["push", "schedule", "web", "api", "trigger"])
def test_whatever_starts_a_pipeline_of_the_default_branch_it_is_a_baseline(trail: Trail, source: str) -> None:
    trail.team.gitlab.add_commit(trail.team.project, SHAS["b"], parents=("a1" * 20,), branch="main")
    main = a_pipeline(trail, SHAS["b"], "main", source, GOOD)
    _, pipeline = a_request(trail, BAD)
    report = trail.report(pipeline)
    assert report["models"][0]["baseline"]["pipeline_id"] == main.id
    assert report["verdict"]["level"] == "bad"


def test_the_jobs_of_a_matrix_are_repeats_where_only_the_seed_differs(
    trail: Trail, request_of_faster: MergeRequest
) -> None:
    pipeline = trail.of_request(request_of_faster, SHAS["c"])
    for seed, value in enumerate(GOOD):
        job, mlflow = a_job(trail, pipeline, f"train: [{seed}]")
        log(mlflow, {"val_accuracy": value}, {"lr": "0.1", "seed": str(seed)})
        trail.team.gitlab.set_job(job, "success")
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["current"]["n"] == 3
    assert len({run["job_id"] for run in model["candidates"]}) == 3


@pytest.mark.parametrize("status", ["manual", "created", "skipped"])
def test_a_job_that_has_logged_nothing_is_not_waited_for(
    trail: Trail, request_of_faster: MergeRequest, status: str
) -> None:
    pipeline = trail.of_request(request_of_faster, SHAS["c"])
    trail.train(pipeline, GOOD)
    trail.team.gitlab.add_job(pipeline, "deploy", "deploy", trail.team.users["developer"], status)
    assert trail.report(pipeline)["state"] == "ready"


@pytest.mark.parametrize(("status", "state"), [("failed", "failed"), ("canceled", "canceled")])
def test_a_job_that_did_not_succeed_has_no_say(
    trail: Trail, request_of_faster: MergeRequest, status: str, state: str
) -> None:
    pipeline = trail.of_request(request_of_faster, SHAS["c"])
    trail.train(pipeline, [0.99], status=status)
    report = trail.report(pipeline)
    assert [run["status"] for run in report["models"][0]["candidates"]] == [state]
    assert report["gate"] == {
        "outcome": "warn",
        "sentence": "no rule could be checked: no run has succeeded",
        "problems": [],
    }
    (note,) = trail.notes(request_of_faster)
    assert f"**Not counted:** 1 run {state}." in note

"""What child pipelines train counts to the pipeline that has started them.

https://docs.gitlab.com/ci/pipelines/downstream_pipelines/#parent-child-pipelines
"""

import pytest

from mltrail_server import worker
from tests.api.ci.pipelines import baseline_of, linked, pipeline, spoken_of
from tests.api.promotion.promoting import promote
from tests.api.review.jobs import a_job, log
from tests.api.review.merge_requests import BAD, GOOD, RULE, a_main, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline

BACKENDS = ("sqlite",)


@pytest.fixture
def parent(trail: Trail, request_: MergeRequest) -> Pipeline:
    return pipeline(trail, f"refs/merge-requests/{request_.iid}/head", "merge_request_event")


@pytest.fixture
def child(trail: Trail, parent: Pipeline) -> Pipeline:
    return trail.team.gitlab.add_child(parent)


def test_a_child_counts_to_its_parent(
    trail: Trail, baseline: Pipeline, request_: MergeRequest, parent: Pipeline, child: Pipeline
) -> None:
    trail.train(child, BAD)
    trail.work()
    assert linked(trail, child) == {str(request_.iid)}
    assert spoken_of(trail, request_) == parent.id
    assert baseline_of(trail, parent) == baseline.id
    report = trail.report(child, "GET")
    assert (report["pipeline"]["id"], report["gate"]["outcome"]) == (parent.id, "fail")
    assert len(report["models"][0]["candidates"]) == 3


def test_all_children_and_the_parent_share_one_verdict(trail: Trail, request_: MergeRequest, parent: Pipeline) -> None:
    trail.train(parent, [0.80], run_name="here")
    for name in ("fast", "slow"):
        trail.train(trail.team.gitlab.add_child(parent), [0.81], run_name=name, job_name=f"train {name}")
    trail.work()
    trail.work()
    (model,) = trail.report(parent, "GET")["models"]
    assert {run["name"] for run in model["candidates"]} == {"here-0", "fast-0", "slow-0"}
    (note,) = trail.notes(request_)
    assert all(name in note for name in ("here-0", "fast-0", "slow-0"))


def test_jobs_of_one_name_in_two_children_are_no_retries(trail: Trail, parent: Pipeline) -> None:
    for lr in ("0.1", "0.2"):
        trail.train(trail.team.gitlab.add_child(parent), [0.81], lr=lr)
    trail.work()
    trail.work()
    (model,) = trail.report(parent, "GET")["models"]
    assert [run["status"] for run in model["candidates"]] == ["succeeded", "succeeded"]


def test_a_report_job_in_the_child_reports_parent_and_children(
    trail: Trail, request_: MergeRequest, parent: Pipeline, child: Pipeline
) -> None:
    trail.train(child, BAD)
    report = trail.report(child)
    assert (report["pipeline"]["id"], report["note"]["state"]) == (parent.id, "posted")
    assert spoken_of(trail, request_) == parent.id


def test_a_grandchild_counts_to_the_root(
    trail: Trail, request_: MergeRequest, parent: Pipeline, child: Pipeline
) -> None:
    trail.train(trail.team.gitlab.add_child(child), GOOD)
    trail.work()
    assert spoken_of(trail, request_) == parent.id


def test_of_two_pipelines_of_one_commit_the_right_one_is_the_parent(
    trail: Trail, request_: MergeRequest, parent: Pipeline, child: Pipeline
) -> None:
    again = pipeline(trail, f"refs/merge-requests/{request_.iid}/head", "merge_request_event")
    grandchild = trail.team.gitlab.add_child(trail.team.gitlab.add_child(again))
    trail.train(grandchild, GOOD)
    trail.train(child, BAD)
    trail.work()
    assert trail.report(grandchild, "GET")["pipeline"]["id"] == again.id
    assert trail.report(child, "GET")["pipeline"]["id"] == parent.id
    assert spoken_of(trail, request_) == again.id


def test_a_child_that_still_trains_is_waited_for(trail: Trail, parent: Pipeline, child: Pipeline) -> None:
    trail.train(parent, GOOD)
    job = trail.train(child, [0.9], status=None, job_name="train more")
    trail.work()
    assert trail.report(parent)["state"] == "waiting"
    trail.team.gitlab.set_job(job, "canceled")
    trail.work(seconds=60)
    report = trail.report(parent, "GET")
    assert report["state"] == "ready"
    assert sorted(run["status"] for run in report["models"][0]["candidates"]) == ["canceled", *["succeeded"] * 3]


def test_a_job_of_another_child_contributes(trail: Trail, parent: Pipeline, child: Pipeline) -> None:
    train, mlflow = a_job(trail, child, "train")
    run_id = log(mlflow, {"val_accuracy": 0.9}, {})
    trail.team.gitlab.set_job(train, "success")
    trail.work()
    evaluate, mlflow = a_job(trail, parent, "evaluate")
    mlflow.post("runs/log-metric", run_id=run_id, key="f1", value=0.7, timestamp=1)
    trail.team.gitlab.set_job(evaluate, "success")
    (model,) = trail.report(parent)["models"]
    assert [run["status"] for run in model["candidates"]] == ["succeeded"]


def test_a_child_of_the_default_branch_is_a_baseline(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], contract(RULE), [])
    trail.train(trail.team.gitlab.add_child(main), GOOD)
    trail.work()
    trail.team.gitlab.add_commit(trail.team.project, SHAS["c"], parents=(SHAS["b"],), branch="faster")
    request = trail.team.gitlab.add_merge_request(trail.team.project, "faster", "main", "Learn faster")
    own = pipeline(trail, f"refs/merge-requests/{request.iid}/head", "merge_request_event")
    trail.train(own, BAD)
    assert trail.report(own)["models"][0]["baseline"]["pipeline_id"] == main.id


def test_a_child_s_job_promotes_for_parent_and_children(trail: Trail) -> None:
    main = trail.main(SHAS["b"])
    child = trail.team.gitlab.add_child(main)
    trail.train(child, GOOD)
    states = [(one["state"], one["version"]) for of in (child, main) for one in promote(trail, of)]
    assert states == [("promoted", "1.0.0"), ("already", "1.0.0")]


def test_without_a_parent_that_gitlab_names_a_child_is_alone(
    trail: Trail, baseline: Pipeline, request_: MergeRequest
) -> None:
    orphan = pipeline(trail, f"refs/merge-requests/{request_.iid}/head", "parent_pipeline")
    trail.train(orphan, [0.9, 0.91])
    trail.work()
    assert linked(trail, orphan) == {str(request_.iid)}
    assert spoken_of(trail, request_) == orphan.id
    assert baseline_of(trail, orphan) == baseline.id


def test_parent_and_children_are_asked_about_once(trail: Trail, parent: Pipeline, child: Pipeline) -> None:
    trail.train(child, GOOD)
    trail.work()
    trail.team.gitlab.requests.clear()
    trail.train(child, GOOD, job_name="train more")
    trail.work()
    worker.run_once(trail.deps)
    asked = [path for _, path in trail.team.gitlab.requests]
    assert not any(path.endswith(("/pipelines", "/trigger_jobs", "/bridges")) for path in asked)

"""A commit that leaves a model alone carries the verdict of an earlier commit of the merge request, good or bad."""

from typing import Any

import pytest

from tests.api.ci.published import publishing, thread_of
from tests.api.review.merge_requests import BAD, GOOD, RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
CHURN = '["churn/**"]'
CODE = {"churn/train.py": "v2"}
PROSE = {"README.md": "more"}


def push(trail: Trail, sha: str, files: dict[str, str] | None = None) -> None:
    project = trail.team.project
    trail.team.gitlab.add_commit(project, sha, parents=(project.branches["faster"],), branch="faster", files=files)


def without_training(trail: Trail, request: MergeRequest, sha: str, status: str = "success") -> Pipeline:
    pipeline = trail.of_request(request, sha)
    job = trail.team.gitlab.add_job(pipeline, "test", "test", trail.team.users["developer"], "running")
    trail.team.gitlab.set_job(job, status)
    return pipeline


def a_judged_request(trail: Trail, values: list[float], text: str | None = None) -> tuple[MergeRequest, Pipeline]:
    a_main(trail, SHAS["b"], text or contract(RULE, paths=CHURN), GOOD)
    request, pipeline = a_request(trail, values, CODE)
    trail.report(pipeline)
    return request, pipeline


def judged(trail: Trail, pipeline: Pipeline) -> Any:
    (model,) = trail.report(pipeline)["models"]
    return model


@ON_BOTH
@pytest.mark.parametrize(("values", "outcome"), [(GOOD, "pass"), (BAD, "fail")])
def test_a_commit_that_leaves_the_model_alone(trail: Trail, values: list[float], outcome: str) -> None:
    request, first = a_judged_request(trail, values)
    push(trail, SHAS["d"], PROSE)
    model = judged(trail, without_training(trail, request, SHAS["d"]))
    assert (model["gate"], model["carried"], model["pipeline_id"]) == (outcome, True, first.id)
    sentence = f"Carried forward from pipeline {first.id}: nothing under its paths has changed since"
    assert model["remarks"] == [sentence]
    assert model["silence"] is None
    assert sentence in trail.notes(request)[0]


def test_gitlab_compares_two_commits_once(trail: Trail) -> None:
    request, _ = a_judged_request(trail, GOOD)
    push(trail, SHAS["d"], PROSE)
    pipeline = without_training(trail, request, SHAS["d"])
    for _ in range(3):
        assert judged(trail, pipeline)["carried"]
    assert sum("/repository/compare" in path for _, path in trail.team.gitlab.requests) == 1


def test_a_commit_that_changes_the_model(trail: Trail) -> None:
    request, _ = a_judged_request(trail, GOOD)
    push(trail, SHAS["d"], {"churn/train.py": "v3"})
    model = judged(trail, without_training(trail, request, SHAS["d"]))
    assert (model["gate"], model["carried"], model["silence"]["kind"]) == ("warn", False, "not trained here")


def test_without_paths_only_the_same_files_do(trail: Trail) -> None:
    request, _ = a_judged_request(trail, GOOD, contract(RULE))
    push(trail, SHAS["d"])
    model = judged(trail, without_training(trail, request, SHAS["d"]))
    assert model["carried"]
    assert "nothing has changed since" in model["remarks"][0]
    push(trail, SHAS["e"], PROSE)
    assert not judged(trail, without_training(trail, request, SHAS["e"]))["carried"]


def test_a_comparison_that_gitlab_has_cut_is_not_trusted(trail: Trail) -> None:
    request, _ = a_judged_request(trail, GOOD)
    push(trail, SHAS["d"], {f"docs/{number}.md": "x" for number in range(5)})
    trail.team.gitlab.diff_limits.files = 3
    assert not judged(trail, without_training(trail, request, SHAS["d"]))["carried"]


def test_gitlab_is_asked_again_if_it_did_not_answer(trail: Trail) -> None:
    request, _ = a_judged_request(trail, GOOD)
    push(trail, SHAS["d"], PROSE)
    pipeline = without_training(trail, request, SHAS["d"])
    trail.team.gitlab.fail_next("GET", r".*/repository/compare.*", 503)
    assert not judged(trail, pipeline)["carried"]
    assert judged(trail, pipeline)["carried"]


def test_a_job_that_still_runs_is_waited_for(trail: Trail) -> None:
    request, _ = a_judged_request(trail, GOOD)
    push(trail, SHAS["d"], PROSE)
    pipeline = without_training(trail, request, SHAS["d"])
    trail.team.gitlab.add_job(pipeline, "train", "train", trail.team.users["developer"], "running")
    model = judged(trail, pipeline)
    assert (model["carried"], model["silence"]["kind"]) == (False, "its job still runs")


def test_what_is_logged_elsewhere_is_not_carried(trail: Trail) -> None:
    request, _ = a_judged_request(trail, GOOD)
    push(trail, SHAS["d"], PROSE)
    pipeline = trail.of_request(request, SHAS["d"])
    trail.train(pipeline, GOOD, experiment="churn-new")
    models = {model["name"]: model for model in trail.report(pipeline)["models"]}
    assert (models["churn"]["carried"], models["churn"]["gate"]) == (False, "fail")


def test_training_again_takes_over(trail: Trail) -> None:
    request, first = a_judged_request(trail, GOOD)
    push(trail, SHAS["d"], PROSE)
    pipeline = without_training(trail, request, SHAS["d"])
    assert judged(trail, pipeline)["pipeline_id"] == first.id
    trail.train(pipeline, BAD)
    model = judged(trail, pipeline)
    assert (model["carried"], model["pipeline_id"], model["gate"]) == (False, pipeline.id, "fail")


def test_a_commit_without_a_pipeline(trail: Trail) -> None:
    text = publishing("thread", "status")
    request, first = a_judged_request(trail, BAD, text)
    push(trail, SHAS["d"])
    trail.work(seconds=16 * 60)
    trail.work(seconds=60)
    assert f"Carried forward from pipeline {first.id}" in trail.notes(request)[0]
    assert thread_of(request).resolved_by is None

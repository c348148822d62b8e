"""Training a merge request again until chance is kind: all runs on the same files count together."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.api.review.jobs import a_job
from tests.api.review.merge_requests import RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
STEADY = [0.80, 0.81, 0.82, 0.80, 0.81]
LOW = [0.77, 0.79, 0.78]


def a_low_request(trail: Trail, files: dict[str, str] | None = None) -> tuple[MergeRequest, Pipeline]:
    """A merge request whose first pipeline was a little worse."""
    a_main(trail, SHAS["b"], contract(RULE), STEADY)
    request, pipeline = a_request(trail, [], files)
    train(trail, pipeline, LOW, first=10)
    trail.report(pipeline)
    return request, pipeline


def train(trail: Trail, pipeline: Pipeline, values: Sequence[float], *, first: int, **how: Any) -> Any:
    """Train with seeds from `first` on."""
    return trail.train(pipeline, list(values), first_seed=first, **how)


def push(trail: Trail, sha: str, files: dict[str, str | None] | None = None) -> None:
    project = trail.team.project
    trail.team.gitlab.add_commit(project, sha, parents=(project.branches["faster"],), branch="faster", files=files)


def judged(trail: Trail, pipeline: Pipeline) -> Any:
    (model,) = trail.report(pipeline)["models"]
    return model


def count(model: Any) -> tuple[int, int, int]:
    """How many runs count, after how many looks, and how many of them are of earlier ones."""
    return model["metrics"][0]["current"]["n"], model["looks"], model["pooled"]


@ON_BOTH
def test_the_same_commit_again_and_again(trail: Trail) -> None:
    request, _ = a_low_request(trail)
    for number in (2, 3):
        pipeline = trail.of_request(request, SHAS["c"])
        train(trail, pipeline, [0.80, 0.82], first=10 * number)
        trail.report(pipeline)
    model = judged(trail, pipeline)
    assert count(model) == (7, 3, 5)
    assert model["remarks"] == ["7 runs here: 2 of this pipeline and 5 of 2 earlier ones on the same files"]
    assert model["best"]["iid"] in {run["iid"] for run in model["candidates"]}
    assert model["remarks"][0] in trail.notes(request)[0]


def test_a_retried_job_keeps_its_bad_seeds(trail: Trail) -> None:
    request, pipeline = a_low_request(trail)
    (job,) = (one for one in trail.team.gitlab.jobs_of(pipeline) if one.name == "train")
    job.retried = True
    train(trail, pipeline, [0.80, 0.82], first=20)
    assert count(judged(trail, pipeline)) == (5, 2, 3)
    assert request.iid == 1


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_failed_attempt_was_no_look(trail: Trail, status: str) -> None:
    _, pipeline = a_low_request(trail)
    (job,) = (one for one in trail.team.gitlab.jobs_of(pipeline) if one.name == "train")
    trail.team.gitlab.set_job(job, status)
    job.retried = True
    train(trail, pipeline, [0.80, 0.82], first=20)
    assert count(judged(trail, pipeline)) == (2, 1, 0)


def test_an_empty_commit_changes_nothing(trail: Trail) -> None:
    request, _ = a_low_request(trail)
    push(trail, SHAS["d"])
    pipeline = trail.of_request(request, SHAS["d"])
    train(trail, pipeline, [0.80, 0.82], first=20)
    assert count(judged(trail, pipeline)) == (5, 2, 3)
    # Each commit's files are asked for once.
    asked = [path for _, path in trail.team.gitlab.requests if "/repository/tree" in path]
    assert len(asked) == 2
    judged(trail, pipeline)
    assert [path for _, path in trail.team.gitlab.requests if "/repository/tree" in path] == asked


def test_other_files_are_another_candidate(trail: Trail) -> None:
    request, _ = a_low_request(trail)
    push(trail, SHAS["d"], {"train.py": "faster"})
    pipeline = trail.of_request(request, SHAS["d"])
    train(trail, pipeline, [0.80, 0.82], first=20)
    assert count(judged(trail, pipeline)) == (2, 1, 0)


def test_without_gitlab_files_are_unknown_and_do_not_count(trail: Trail) -> None:
    request, _ = a_low_request(trail)
    push(trail, SHAS["d"])
    pipeline = trail.of_request(request, SHAS["d"])
    train(trail, pipeline, [0.80, 0.82], first=20)
    trail.team.gitlab.fail_next("GET", r".*/repository/tree.*", 503)
    assert count(judged(trail, pipeline)) == (2, 1, 0)
    assert count(judged(trail, pipeline)) == (5, 2, 3)


def test_another_parameter_is_another_candidate(trail: Trail) -> None:
    request, _ = a_low_request(trail)
    pipeline = trail.of_request(request, SHAS["c"])
    train(trail, pipeline, [0.80, 0.82], first=20, lr="0.2")
    assert count(judged(trail, pipeline)) == (2, 1, 0)


def test_looks_that_differ_clearly_are_kept_apart(trail: Trail) -> None:
    request, _ = a_low_request(trail)
    pipeline = trail.of_request(request, SHAS["c"])
    train(trail, pipeline, [0.90, 0.91, 0.92], first=20)
    model = judged(trail, pipeline)
    assert count(model) == (3, 1, 0)
    assert "something outside the repository has changed" in model["remarks"][0]


def test_a_pipeline_that_still_trains_is_no_look_yet(trail: Trail) -> None:
    request, older = a_low_request(trail)
    job, mlflow = a_job(trail, older, "train more")
    run_id = mlflow.post("runs/create", experiment_id="1")["run"]["info"]["run_id"]
    pipeline = trail.of_request(request, SHAS["c"])
    train(trail, pipeline, [0.80, 0.82], first=20)
    report = trail.report(pipeline)
    assert (report["state"], count(report["models"][0])) == ("waiting", (2, 1, 0))
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    trail.team.gitlab.set_job(job, "success")
    trail.report(older)
    report = trail.report(pipeline)
    assert (report["state"], count(report["models"][0])) == ("ready", (5, 2, 3))


def test_it_does_not_matter_which_pipeline_of_a_commit_ends_first(trail: Trail) -> None:
    """As branch pipelines and merge request pipelines, which start together, do."""
    a_main(trail, SHAS["b"], contract(RULE), STEADY)
    request, first = a_request(trail, [])
    second = trail.of_request(request, SHAS["c"])
    train(trail, second, [0.795, 0.80, 0.78], first=20)
    assert judged(trail, second)["gate"] == "warn", "a loss, perhaps of more than is allowed"
    train(trail, first, [0.77, 0.79, 0.78, 0.77, 0.785], first=10)
    late = judged(trail, first)
    assert late["pipeline_id"] == second.id
    assert (count(late), late["gate"]) == ((8, 2, 5), "fail")
    assert judged(trail, second)["metrics"] == late["metrics"]

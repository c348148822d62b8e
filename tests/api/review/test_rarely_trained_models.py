"""A repository of many models: one that was trained long ago on the target branch has a baseline all the same."""

from typing import Any

import pytest

from tests.api.review.merge_requests import RULE
from tests.api.review.removal import purge
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline

OTHERS = 31
"""One more pipeline than a report looks at without being asked for a model that none of them has trained."""

BY_NAME = f"version: 1\nmodels:\n  churn: {{if_silent: fail, rules: [{RULE}]}}\n"
BY_GLOB = BY_NAME.replace("{if_silent", "{runs: {experiment: 'chu*'}, if_silent")


def long_ago(trail: Trail, text: str | None) -> Pipeline:
    """Train the model once, and then others, in pipelines of the same commit."""
    first = trail.main(SHAS["b"], text)
    trail.train(first, [0.80, 0.81, 0.82])
    for _ in range(OTHERS):
        later = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["b"], "main", "push")
        trail.train(later, [0.5], experiment="fraud", model=False)
    trail.work()
    return first


def of_a_request(trail: Trail, **of_training: Any) -> dict[str, Any]:
    pipeline = trail.of_request(trail.request(SHAS["c"]), SHAS["c"])
    trail.train(pipeline, [0.60, 0.61, 0.62], **of_training)
    return trail.report(pipeline)


@pytest.mark.parametrize(
    ("backend", "text"), [("sqlite", None), ("sqlite", BY_NAME), ("sqlite", BY_GLOB), ("postgresql", BY_GLOB)]
)
def test_what_was_trained_long_ago_is_the_baseline(trail: Trail, text: str | None) -> None:
    first = long_ago(trail, text)
    answer = of_a_request(trail)
    (model,) = [one for one in answer["models"] if one["name"] == "churn"]
    assert (model["baseline"]["pipeline_id"], model["metrics"][0]["verdict"]) == (first.id, "worse")
    assert answer["gate"]["outcome"] == (None if text is None else "fail")


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_model_that_was_trained_long_ago_is_missed(trail: Trail) -> None:
    long_ago(trail, BY_NAME)
    assert of_a_request(trail, experiment="fraud")["gate"]["outcome"] == "fail"


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize("links", [True, False])
def test_what_was_removed_long_ago_is_unknown_and_not_new(trail: Trail, links: bool) -> None:
    long_ago(trail, BY_NAME)
    purge(trail, [1, 2, 3], links=links)
    (model,) = [one for one in of_a_request(trail)["models"] if one["name"] == "churn"]
    assert "the baseline was removed by maintainer" in model["verdict"]["sentence"]

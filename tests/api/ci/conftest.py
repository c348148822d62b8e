"""A default branch that has trained, and merge requests into it."""

import pytest

from tests.api.review.merge_requests import GOOD, RULE, a_main, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline


@pytest.fixture
def baseline(trail: Trail) -> Pipeline:
    return a_main(trail, SHAS["b"], contract(RULE), GOOD)


@pytest.fixture
def request_(trail: Trail, baseline: Pipeline) -> MergeRequest:
    trail.team.gitlab.add_commit(trail.team.project, SHAS["c"], parents=(SHAS["b"],), branch="faster")
    return trail.team.gitlab.add_merge_request(trail.team.project, "faster", "main", "Learn faster")


@pytest.fixture
def trained_request(trail: Trail) -> tuple[MergeRequest, Pipeline]:
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.9, 0.91])
    return request, pipeline

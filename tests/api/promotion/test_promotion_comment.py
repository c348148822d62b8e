"""A comment on the merged request says which version it became."""

from mltrail_server import worker
from tests.api.promotion.merges import merged, open_request
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest
from tests.team import EXTERNAL_URL


def comments(trail: Trail, request: MergeRequest) -> list[str]:
    return [body for body in trail.notes(request) if body.startswith("<!-- mltrail promotion=")]


def test_a_reviewed_candidate(trail: Trail) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    pipeline = merged(trail, request)
    promote(trail, pipeline)
    worker.run_once(trail.deps)
    (comment,) = comments(trail, request)
    page = f"{EXTERNAL_URL}/team/churn/-/ml/models/churn"
    assert comment.splitlines()[1] == (
        f"📦 The reviewed candidate became [`churn` 1.0.0]({page}) and is `champion` now, by "
        f"[pipeline {pipeline.id}]({trail.team.gitlab.url}/team/churn/-/pipelines/{pipeline.id})."
    )


def test_or_what_was_trained_after_the_merge(trail: Trail) -> None:
    request = open_request(trail)
    pipeline = merged(trail, request, "squash")
    trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    worker.run_once(trail.deps)
    assert "What was trained after the merge became" in comments(trail, request)[0]


def test_once_though_the_answer_was_lost(trail: Trail) -> None:
    request = open_request(trail)
    pipeline = merged(trail, request)
    trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    trail.team.gitlab.fail_next("POST", r"/merge_requests/\d+/notes$", 502, after=True)
    worker.run_once(trail.deps)
    trail.clock.advance(60 * 60_000)
    worker.run_once(trail.deps)
    assert len(comments(trail, request)) == 1


def test_a_push_without_a_merge_request_gets_no_comment(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    worker.run_once(trail.deps)
    assert not [path for method, path in trail.team.gitlab.requests if method == "POST" and "notes" in path]


def test_a_name_that_a_person_chose_stays_inert(trail: Trail) -> None:
    request = open_request(trail)
    pipeline = merged(trail, request)
    trail.train(pipeline, [0.9], experiment="@all **x**")
    promote(trail, pipeline)
    worker.run_once(trail.deps)
    assert "`@all **x**`" in comments(trail, request)[0]
    assert trail.team.gitlab.mentions == []

"""Exactly one note, whatever fails on the way.

https://docs.gitlab.com/api/notes/#merge-requests
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server import worker
from mltrail_server.app import create_deps
from mltrail_server.services.ci.publish import publisher
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.ci.publications import KnownNote
from tests.api.ci.notes import posts, problems
from tests.api.trail import SHAS, Trail
from tests.clock import FrozenClock
from tests.fakes.gitlab import MergeRequest, Note, Pipeline

BACKENDS = ("sqlite",)
PATIENCE = 3.0  # seconds for GitLab's answer: a busy machine takes its time for those that do come


@pytest.fixture
def quick(gitlab_deps: Deps, clock: FrozenClock) -> Iterator[Deps]:
    """A server that does not wait long for GitLab."""
    made = create_deps(gitlab_deps.settings, clock=clock, gitlab_timeout_seconds=PATIENCE)
    yield made
    made.db.dispose()


def problem(trail: Trail) -> KnownNote:
    (found,) = problems(trail)
    return found


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 502, "after": True},
        {"status": 500, "after": False},
        {"how": "cut", "after": True},
        {"how": "garbled", "after": True},
    ],
    ids=["502 after the write", "500 before it", "cut", "no JSON"],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_lost_answer_leaves_one_note(
    trail: Trail, trained_request: tuple[MergeRequest, Pipeline], method: str, fault: dict[str, Any]
) -> None:
    request, pipeline = trained_request
    if method == "PUT":
        trail.work()
        trail.train(pipeline, [0.5], job_name="more")
    trail.team.gitlab.fail_next(method, r"/notes(/\d+)?$", **fault)
    trail.work()
    if problems(trail):
        assert problem(trail).failures == 1
    for _ in range(3):
        trail.work(seconds=60)
    (note,) = trail.notes(request)
    assert "0.5" in note or method == "POST"
    assert problems(trail) == []
    assert posts(trail) <= 2


@pytest.mark.parametrize("after", [False, True])
def test_a_gitlab_that_hangs_leaves_one_note(
    trail: Trail, quick: Deps, trained_request: tuple[MergeRequest, Pipeline], after: bool
) -> None:
    trail.team.gitlab.fail_next("POST", "/notes$", how="hang", after=after)
    trail.clock.advance(15_000)
    worker.run_once(quick)
    trail.team.gitlab.released.set()
    assert "GitLab is not responding" in (problem(trail).problem or "")
    trail.work(seconds=60)
    assert len(trail.notes(trained_request[0])) == 1
    assert problems(trail) == []


@pytest.mark.parametrize(("bare", "pause"), [(False, 300), (True, 60)])
def test_a_rate_limit_is_obeyed(
    trail: Trail, trained_request: tuple[MergeRequest, Pipeline], bare: bool, pause: int
) -> None:
    gitlab = trail.team.gitlab
    gitlab.limited, gitlab.limited_bare = 300, bare
    trail.work()
    calls = len(gitlab.requests)
    trail.work(seconds=pause - 2)
    assert len(gitlab.requests) == calls, "nothing is asked before the time has come"
    gitlab.limited = None
    trail.work(seconds=2)
    assert len(trail.notes(trained_request[0])) == 1


def test_what_a_job_could_not_have_posted_is_posted_by_the_worker(
    trail: Trail, trained_request: tuple[MergeRequest, Pipeline]
) -> None:
    request, pipeline = trained_request
    trail.work()
    trail.team.gitlab.delete_note(trail.team.project, request.iid, request.notes[0].id)
    trail.team.gitlab.fail_next("POST", "/notes$", 502)
    assert trail.report(pipeline)["note"]["state"] == "failed"
    trail.work(seconds=60)
    assert len(trail.notes(request)) == 1


def archived(trail: Trail, _: MergeRequest) -> None:
    trail.team.project.archived = True


def locked(trail: Trail, request: MergeRequest) -> None:
    request.locked = True
    trail.team.project.members[trail.team.users["bot"].id] = 10


def guest(trail: Trail, _: MergeRequest) -> None:
    trail.team.project.members[trail.team.users["bot"].id] = 10


@pytest.mark.parametrize(
    ("spoil", "says"), [(archived, "archived"), (locked, "discussion is locked"), (guest, "needs the Reporter role")]
)
def test_a_refusal_is_explained_and_tried_again(
    trail: Trail,
    trained_request: tuple[MergeRequest, Pipeline],
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Trail, MergeRequest], None],
    says: str,
) -> None:
    request, pipeline = trained_request
    spoil(trail, request)
    with caplog.at_level(logging.WARNING):
        trail.work()
    found = problem(trail)
    assert says in (found.problem or "")
    assert says in caplog.text
    assert found.next_ms is not None
    assert found.next_ms >= trail.clock() + 10 * 60_000, "a person has to do something first"
    assert says in trail.report(pipeline)["note"]["problem"]
    tried = posts(trail)
    trail.work(seconds=60)
    assert posts(trail) == tried
    trail.team.project.archived, request.locked = False, False
    trail.team.project.members[trail.team.users["bot"].id] = 20
    trail.work(seconds=60 * 60)
    assert len(trail.notes(request)) == 1
    assert problems(trail) == []


def test_a_deleted_note_is_a_problem_and_not_tried_again(
    trail: Trail, trained_request: tuple[MergeRequest, Pipeline]
) -> None:
    request, pipeline = trained_request
    trail.work()
    request.notes.clear()
    trail.train(pipeline, [0.5], job_name="more")
    trail.work()
    assert (problem(trail).problem, problem(trail).next_ms) == (publisher.DELETED, None)
    trail.work(seconds=24 * 60 * 60)
    assert trail.notes(request) == []


def test_a_deleted_merge_request_is_no_deleted_note(
    trail: Trail, trained_request: tuple[MergeRequest, Pipeline]
) -> None:
    request, pipeline = trained_request
    trail.work()
    del trail.team.project.merge_requests[request.iid]
    trail.train(pipeline, [0.5], job_name="more")
    trail.work()
    assert "GitLab has no such merge request" in (problem(trail).problem or "")


def test_extra_notes_of_ours_go(trail: Trail, trained_request: tuple[MergeRequest, Pipeline]) -> None:
    request, pipeline = trained_request
    bot, gitlab = trail.team.users["bot"], trail.team.gitlab
    for number in (7, 8):
        body = f"<!-- mltrail v1 pipeline={pipeline.id} -->\nold {number}"
        request.notes.append(Note(number, body, bot, request.id, request.iid, 42))
    trail.work()
    assert [note.id for note in gitlab.notes(trail.team.project, request.iid)] == [7]


def test_a_note_is_not_begun_while_it_trains(trail: Trail) -> None:
    request = trail.request(SHAS["c"])
    first = trail.of_request(request, SHAS["c"])
    job = trail.train(first, [0.9], status=None)
    trail.work(seconds=600)
    assert trail.notes(request) == [], "its e-mail would say nothing"
    trail.team.gitlab.set_job(job, "success")
    trail.work(seconds=1800)
    assert len(trail.notes(request)) == 1
    second = trail.of_request(request, SHAS["c"])
    trail.train(second, [0.8], status=None)
    trail.work(seconds=600)
    (note,) = trail.notes(request)
    assert "Still training" in note, "but an existing note does not go on showing an older pipeline"


def test_a_sweep_of_many_trials_is_no_storm(trail: Trail, gitlab_client: FlaskClient) -> None:
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.1], status=None)
    calls = len(trail.team.gitlab.requests)
    for trial in range(40):
        trail.clock.advance(7_000)
        trail.train(pipeline, [0.9], job_name=f"trial {trial}")
        worker.run_once(trail.deps)
    assert len(trail.team.gitlab.requests) - calls <= 40 * 7 / 15 * 1.2
    assert trail.notes(request) == []

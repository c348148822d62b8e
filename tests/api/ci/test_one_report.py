"""One look at a merge request computes one report, and all that is published of it says the same."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from mltrail_server.app import create_deps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.ci import reconcile
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.ci import publications
from tests.api.ci.published import failing, publishing, resolve, thread_of
from tests.api.review.merge_requests import BAD, GOOD, a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.conftest import FrozenClock
from tests.fakes.gitlab import MergeRequest, Pipeline

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
ONE_THREAD = r"/discussions/\w+$"
OF_HEAD = re.compile(
    r"FROM pipeline\s+WHERE pipeline.project_id = \S+ AND pipeline.merge_request_iid = \S+ AND coalesce"
)


@pytest.fixture
def other(gitlab_deps: Deps, clock: FrozenClock) -> Iterator[Deps]:
    """Another process of the same server: it shares the database and nothing else."""
    made = create_deps(gitlab_deps.settings, clock=clock)
    yield made
    made.db.dispose()


def failures(trail: Trail, request: MergeRequest, pipeline: Pipeline) -> dict[str, bool]:
    """Which of the things that GitLab shows say that the gate fails."""
    (note,) = trail.notes(request)
    return {
        "note": "Blocks the merge" in note,
        "thread": "The gate fails" in thread_of(request).notes[0].body,
        "status": trail.team.project.statuses[pipeline.id][-1][1] == "failed",
    }


ALL_FAIL = {"note": True, "thread": True, "status": True}
NONE_FAILS = {"note": False, "thread": False, "status": False}


@contextmanager
def reports_computed(deps: Deps) -> Iterator[list[str]]:
    """List the statements that a report begins with: each one asks for the pipelines of the judged commit."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if re.search(
            r"FROM pipeline\s+WHERE pipeline.project_id = \S+ AND pipeline.merge_request_iid = \S+ AND coalesce",
            statement,
        ):
            seen.append(statement)

    event.listen(deps.db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(deps.db.engine, "before_cursor_execute", note)


def test_a_run_that_lands_meanwhile_is_in_none_of_them(trail: Trail) -> None:
    request, pipeline = failing(trail, "thread", "status")
    trail.train(pipeline, [0.5], job_name="more")
    trail.team.gitlab.fail_next(
        "GET", ONE_THREAD, act=lambda: trail.train(pipeline, GOOD, lr="0.2", job_name="late") and None
    )
    trail.work()
    assert failures(trail, request, pipeline) == ALL_FAIL
    trail.work()
    assert failures(trail, request, pipeline) == NONE_FAILS


def test_a_look_computes_its_report_once(trail: Trail) -> None:
    a_main(trail, SHAS["b"], publishing("thread", "status"), GOOD)
    request, pipeline = a_request(trail, BAD)
    with reports_computed(trail.deps) as seen:
        trail.work()
    assert failures(trail, request, pipeline) == ALL_FAIL
    assert len(seen) == 1


def test_a_report_job_s_look_computes_its_report_once(trail: Trail) -> None:
    a_main(trail, SHAS["b"], publishing("thread", "status"), GOOD)
    request, pipeline = a_request(trail, BAD)
    with reports_computed(trail.deps) as seen:
        answer = trail.report(pipeline)
    assert (answer["gate"]["outcome"], answer["note"]["state"]) == ("fail", "posted")
    assert failures(trail, request, pipeline) == ALL_FAIL
    assert len(seen) == 1


def test_an_override_needs_no_second_report(trail: Trail) -> None:
    request, pipeline = failing(trail, "thread", "status")
    resolve(trail, request, reply="Known.")
    with reports_computed(trail.deps) as seen:
        trail.work(seconds=15 * 60)
    assert len(seen) == 1
    (note,) = trail.notes(request)
    assert "Known." in note
    assert trail.team.project.statuses[pipeline.id][-1][1:] == ("success", "overridden by owner")


def test_a_thread_that_is_resolved_meanwhile_waits_for_the_next_look(trail: Trail) -> None:
    request, pipeline = failing(trail, "thread", "status")
    trail.train(pipeline, [0.5], job_name="more", status="failed")
    trail.team.gitlab.fail_next("PUT", r"/notes/\d+$", act=lambda: resolve(trail, request, reply="Known."))
    trail.work()
    assert failures(trail, request, pipeline) == ALL_FAIL
    assert thread_of(request).resolved_by is trail.team.users["owner"], "nobody has looked yet whether that counts"
    trail.work()
    assert "Known." in trail.notes(request)[0]
    assert trail.team.project.statuses[pipeline.id][-1][1] == "success"
    assert thread_of(request).resolved_by is trail.team.users["owner"]


def test_without_the_lease_a_process_overwrites_nothing(trail: Trail, other: Deps) -> None:
    request, pipeline = failing(trail, "thread", "status")
    trail.train(pipeline, [0.5], job_name="more")

    def meanwhile() -> None:
        trail.clock.advance(121_000)
        trail.train(pipeline, GOOD, lr="0.2", job_name="late")
        reconcile.look(other.ci(ProjectId(42)), pipeline.id)
        assert failures(trail, request, pipeline) == NONE_FAILS

    trail.team.gitlab.fail_next("GET", ONE_THREAD, act=meanwhile)
    trail.work()
    assert failures(trail, request, pipeline) == NONE_FAILS


def test_a_note_that_is_refused_keeps_neither_thread_nor_status_away(trail: Trail) -> None:
    a_main(trail, SHAS["b"], publishing("thread", "status"), GOOD)
    request, pipeline = a_request(trail, BAD)
    trail.team.gitlab.fail_next("POST", "/notes$", 403)
    assert trail.report(pipeline)["note"]["state"] == "failed"
    assert trail.notes(request) == []
    assert "The gate fails" in thread_of(request).notes[0].body
    assert trail.team.project.statuses[pipeline.id][-1][1] == "failed"


def test_a_lease_of_another_process_keeps_no_other_merge_request_waiting(trail: Trail) -> None:
    gitlab, project = trail.team.gitlab, trail.team.project
    a_main(trail, SHAS["b"], publishing("thread"), GOOD)
    gitlab.add_commit(project, SHAS["e"], parents=(SHAS["b"],), branch="release")
    gitlab.add_commit(project, SHAS["c"], parents=(SHAS["b"],), branch="faster")
    first, second = (gitlab.add_merge_request(project, "faster", target, target) for target in ("main", "release"))
    pipeline = gitlab.add_pipeline(project, SHAS["c"], "faster", "push")
    trail.train(pipeline, BAD)
    trail.work(seconds=60)
    trail.train(pipeline, [0.5], job_name="more")
    before = trail.notes(second)
    with trail.deps.project(ProjectId(42)).write() as tx:
        assert publications.claim(tx, second.iid, lease="other", until=tx.now + 60_000)
    assert trail.report(pipeline)["note"]["state"] == "posted"
    assert "0.5" in trail.notes(first)[0]
    assert trail.notes(second) == before
    with trail.deps.project(ProjectId(42)).write() as tx:
        publications.release(tx, second.iid, lease="other")
    trail.work()
    assert trail.notes(second) != before

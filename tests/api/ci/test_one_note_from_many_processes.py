"""Several processes post at once, or die in the middle: still one note. On every database, which holds the lease."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.ci import reconcile
from mltrail_server.services.context.deps import Deps
from tests.api.ci.notes import posts, problems
from tests.api.trail import Trail
from tests.clock import FrozenClock
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.processes import PATIENCE_SECONDS


@pytest.fixture
def other(gitlab_deps: Deps, clock: FrozenClock) -> Iterator[Deps]:
    """Another process of the same server: it shares the database and nothing else."""
    made = create_deps(gitlab_deps.settings, clock=clock)
    yield made
    made.db.dispose()


def test_two_processes_at_once_write_one_note(
    trail: Trail, trained_request: tuple[MergeRequest, Pipeline], other: Deps
) -> None:
    """The second comes while the first one's note is under way to GitLab."""
    request, pipeline = trained_request
    outcomes = []
    trail.team.gitlab.fail_next(
        "POST",
        "/notes$",
        act=lambda: outcomes.append(reconcile.look(other.ci(ProjectId(42)), pipeline.id)),
    )
    trail.work()
    assert [(one.settled, one.wait_ms) for one in outcomes] == [(False, 15_000)], "it comes again, and soon"
    assert len(trail.notes(request)) == posts(trail) == 1


def test_a_job_that_asks_meanwhile_gets_pending(
    trail: Trail, trained_request: tuple[MergeRequest, Pipeline], other: Deps
) -> None:
    request, pipeline = trained_request
    second = replace(trail, client=create_app(other).test_client())
    answers = []
    trail.team.gitlab.fail_next("POST", "/notes$", act=lambda: answers.append(second.report(pipeline)["note"]))
    trail.work()
    assert [answer["state"] for answer in answers] == ["pending"]
    assert len(trail.notes(request)) == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_takes_longer_than_its_turn_leaves_no_second_note(
    trail: Trail, trained_request: tuple[MergeRequest, Pipeline], other: Deps, after: bool
) -> None:
    request, pipeline = trained_request

    def meanwhile() -> None:
        trail.clock.advance(121_000)
        reconcile.look(other.ci(ProjectId(42)), pipeline.id)

    trail.team.gitlab.fail_next("POST", "/notes$", after=after, act=meanwhile)
    trail.work()
    assert len(trail.notes(request)) == 1
    trail.train(pipeline, [0.5], job_name="more")
    trail.work()
    (note,) = trail.notes(request)
    assert "0.5" in note


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_killed_while_it_posts_leaves_one_note(
    trail: Trail, trained_request: tuple[MergeRequest, Pipeline], after: bool
) -> None:
    """A real process, killed without a chance to tidy up: before the note is stored, or before it learns of it."""
    request, _ = trained_request
    started: list[subprocess.Popen[bytes]] = []
    trail.team.gitlab.fail_next(
        "POST", "/notes$", 502, after=after, act=lambda: os.kill(started[0].pid, signal.SIGKILL)
    )
    started.append(
        subprocess.Popen(
            [sys.executable, "-m", "mltrail_server.cli", "worker", "--once"],
            env=os.environ | trail.deps.settings.to_environment(),
        )
    )
    assert started[0].wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    assert len(trail.notes(request)) == (1 if after else 0)
    # The killed one's leases end by the real clock.
    trail.clock.now = int(time.time() * 1000)
    trail.work(seconds=125)
    trail.work(seconds=125)
    assert len(trail.notes(request)) == 1
    assert problems(trail) == []

"""One caller's, or one project's, slow calls leave room for others."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context import call_limits
from mltrail_server.services.context.call_limits import MOST, MOST_OF_ONE, SlowCallLimit
from mltrail_server.services.context.deps import Deps
from tests.mlflow_client import Mlflow

ACTOR = Actor(TokenKind.ACCESS_TOKEN, ProjectId(1), "team/churn", "ann", Access.READ)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_limits, "WAIT_SECONDS", 0.05)


@contextmanager
def held(limit: SlowCallLimit, actors: list[Actor]) -> Iterator[None]:
    """Have each of these make a slow call while the block runs."""
    gate, begun = threading.Event(), threading.Semaphore(0)

    def hold(actor: Actor) -> None:
        with limit.hold(actor):
            begun.release()
            gate.wait(300)

    with ThreadPoolExecutor(len(actors)) as pool:
        done = [pool.submit(hold, actor) for actor in actors]
        for _ in actors:
            assert begun.acquire(timeout=300)
        try:
            yield
        finally:
            gate.set()
        for one in done:
            one.result()


def refused(limit: SlowCallLimit, actor: Actor) -> bool:
    try:
        with limit.hold(actor):
            return False
    except MltrailError as error:
        return (error.code, error.retry_after) == (Code.LIMIT, 1)


def test_the_limit_of_a_caller_leaves_room_for_others() -> None:
    limit = SlowCallLimit()
    with held(limit, [replace(ACTOR, project_id=ProjectId(number)) for number in range(MOST_OF_ONE)]):
        assert refused(limit, replace(ACTOR, project_id=ProjectId(99)))
        assert not refused(limit, replace(ACTOR, user_name="bob", project_id=ProjectId(99)))
    assert not refused(limit, ACTOR)


def test_the_limit_of_a_project_leaves_room_for_others() -> None:
    limit = SlowCallLimit()
    with held(limit, [replace(ACTOR, user_name=f"user {number}") for number in range(MOST_OF_ONE)]):
        assert refused(limit, replace(ACTOR, user_name="bob"))
        assert not refused(limit, replace(ACTOR, user_name="bob", project_id=ProjectId(2)))


def test_all_together_leave_room_for_what_is_quick() -> None:
    limit = SlowCallLimit()
    everybody = [replace(ACTOR, user_name=f"user {number}", project_id=ProjectId(number + 1)) for number in range(MOST)]
    with held(limit, everybody):
        assert refused(limit, replace(ACTOR, user_name="bob", project_id=ProjectId(99)))


def test_a_call_that_comes_a_moment_too_early_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_limits, "WAIT_SECONDS", 300)
    limit = SlowCallLimit()
    with ThreadPoolExecutor(3 * MOST_OF_ONE) as pool:
        assert not any(pool.map(lambda _: refused(limit, ACTOR), range(30 * MOST_OF_ONE)))


def test_the_client_is_asked_to_try_again(deps: Deps, mlflow: Mlflow) -> None:
    local = replace(ACTOR, user_name="local")
    with held(deps.slow_call_limit, [local] * MOST_OF_ONE):
        answer = mlflow.call("POST", "api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"]})
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert answer.get_json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
        assert mlflow.post("runs/create", experiment_id="0")["run"]
    assert mlflow.post("runs/search", experiment_ids=["0"])["runs"]


@pytest.mark.parametrize("pattern", ["%a" * 11, "%".join("abcdefghijklm"), "a" * 2001])
@pytest.mark.parametrize("operator", ["LIKE", "ILIKE"])
def test_a_pattern_has_bounds(mlflow: Mlflow, operator: str, pattern: str) -> None:
    for place, path in (
        ("params.p", "runs/search"),
        ("tags.t", "experiments/search"),
        ("name", "logged-models/search"),
    ):
        text = f"{place} {operator} '{pattern}'"
        status, code, message = mlflow.error("POST", path, experiment_ids=["0"], max_results=10, filter=text)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE"), path
        assert "at most" in message


def test_wildcards_in_a_row_are_one(mlflow: Mlflow) -> None:
    run = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    mlflow.post("runs/set-tag", run_id=run, key="t", value="a long one")
    found = mlflow.post("runs/search", experiment_ids=["0"], filter=f"tags.t LIKE 'a{'%' * 500}one'")
    assert len(found["runs"]) == 1

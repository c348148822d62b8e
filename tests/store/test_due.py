"""What the worker has to look at: nothing is lost, and nobody looks twice at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.ci import due
from mltrail_server.store.ci.due import Due
from mltrail_server.store.db.database import Database

ONE, TWO = ProjectId(1), ProjectId(2)
LEASE = 1_000


def mark(deps: Deps, key: int, at: int, project: ProjectId = ONE) -> None:
    with deps.project(project).write() as tx:
        due.mark(replace(tx, now=at), kind=due.PIPELINE, key=key, at=at)


def claim(deps: Deps, now: int) -> Due | None:
    with deps.db.write() as connection:
        return due.claim(connection, now=now, lease_ms=LEASE)


def claimed(deps: Deps, now: int) -> Due:
    found = claim(deps, now)
    assert found is not None
    return found


def settle(deps: Deps, one: Due, *, claimed_at: int, again_at: int | None = None) -> None:
    with deps.db.write() as connection:
        due.settle(connection, one, lease_until=claimed_at + LEASE, again_at=again_at)


def test_what_is_due_longest_comes_first_in_every_project(deps: Deps) -> None:
    mark(deps, 1, 30)
    mark(deps, 2, 10, TWO)
    mark(deps, 3, 99)
    assert claimed(deps, 50) == Due(TWO, due.PIPELINE, 2, 0, 10)
    assert claimed(deps, 50) == Due(ONE, due.PIPELINE, 1, 0, 30)
    assert claim(deps, 50) is None


def test_a_worker_that_dies_loses_nothing(deps: Deps) -> None:
    mark(deps, 1, 10)
    claimed(deps, 10)
    assert claim(deps, 10 + LEASE - 1) is None
    assert claimed(deps, 10 + LEASE).attempts == 1


@pytest.mark.parametrize("later", [None, 500])
def test_settled_is_forgotten_or_put_off(deps: Deps, later: int | None) -> None:
    mark(deps, 1, 10)
    settle(deps, claimed(deps, 10), claimed_at=10, again_at=later)
    assert claim(deps, 499) is None
    assert (claim(deps, 10_000) is None) == (later is None)


@pytest.mark.parametrize("later", [None, 500_000])
def test_events_during_a_look_are_looked_at_too(deps: Deps, later: int | None) -> None:
    mark(deps, 1, 10)
    one = claimed(deps, 10)
    mark(deps, 1, 20)
    assert claim(deps, 20) is None, "nobody else looks meanwhile"
    settle(deps, one, claimed_at=10, again_at=later)
    assert claimed(deps, 20).key == 1


def test_the_earlier_time_is_kept(deps: Deps) -> None:
    mark(deps, 1, 50)
    mark(deps, 1, 20)
    mark(deps, 1, 90)
    assert claim(deps, 19) is None
    assert claimed(deps, 20).key == 1


def test_events_begin_the_waiting_anew(deps: Deps) -> None:
    mark(deps, 1, 0)
    for now in range(5):
        one = claimed(deps, now)
        assert one.attempts == now
        settle(deps, one, claimed_at=now, again_at=now + 1)
    mark(deps, 1, 5)
    assert claimed(deps, 5).attempts == 0


def test_what_is_looked_at_from_time_to_time_is_not_pushed_back(deps: Deps) -> None:
    with deps.project(ONE).write() as tx:
        due.keep(replace(tx, now=10), kind=due.PROJECT, key=0, at=50)
        due.keep(replace(tx, now=40), kind=due.PROJECT, key=0, at=90)
    assert claim(deps, 49) is None
    assert claimed(deps, 50) == Due(ONE, due.PROJECT, 0, 0, 10)


def test_workers_at_once_share_the_work_and_do_nothing_twice(deps: Deps) -> None:
    """Each with connections of its own, as on machines of their own."""
    keys = set(range(60))
    for key in keys:
        mark(deps, key, 10)
    workers = [Database(deps.settings.database) for _ in range(6)]

    def work(database: Database) -> list[int]:
        done: list[int] = []
        while True:
            with database.write() as connection:
                one = due.claim(connection, now=50, lease_ms=LEASE)
            if one is None:
                return done
            with database.write() as connection:
                due.settle(connection, one, lease_until=50 + LEASE, again_at=None)
            done.append(one.key)

    with ThreadPoolExecutor(len(workers)) as pool:
        shares = list(pool.map(work, workers))
    for database in workers:
        database.dispose()
    assert sorted(key for share in shares for key in share) == sorted(keys)
    assert claim(deps, 10_000) is None

"""Searches that take too long are ended, in words, and whoever uses the connection next is not concerned."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.time_limits import TIME_LIMITS
from tests.processes import PATIENCE_SECONDS

TOO_LARGE = 1 << 46
"""A stack size, in bytes, that no thread can get."""
ENDLESS = {
    "sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
    "postgresql": "SELECT pg_sleep(600)",
}


@pytest.fixture
def quick(deps: Deps) -> Iterator[Deps]:
    deps.db.dispose()
    deps.db.limit(0.2)
    yield deps
    deps.db.dispose()


def endless(deps: Deps, backend: str) -> None:
    with deps.db.slow_read() as connection:
        connection.exec_driver_sql(ENDLESS[backend])


def test_a_search_without_an_end_is_ended_in_words(quick: Deps, backend: str) -> None:
    for _ in range(2):
        with pytest.raises(MltrailError, match=r"took longer than 0\.2 seconds.*Make it simpler") as caught:
            endless(quick, backend)
        assert caught.value.code is Code.INVALID
        quick.db.ping()


def test_a_mistake_in_a_search_stays_a_mistake(quick: Deps) -> None:
    quick.db.limit(PATIENCE_SECONDS)
    with pytest.raises(ZeroDivisionError), quick.db.slow_read():
        raise ZeroDivisionError


def test_many_are_ended_and_others_are_served(quick: Deps, backend: str) -> None:
    with ThreadPoolExecutor(12) as pool:
        bombs = [pool.submit(endless, quick, backend) for _ in range(8)]
        others = [pool.submit(quick.db.ping) for _ in range(40)]
        assert all(other.result() is None for other in others)
        assert all(isinstance(bomb.exception(), MltrailError) for bomb in bombs)


def test_what_is_no_search_has_thrice_the_time_on_postgresql(quick: Deps, backend: str) -> None:
    if backend == "sqlite":
        return
    with pytest.raises(MltrailError, match="took too long for this call") as caught, quick.db.read() as connection:
        connection.exec_driver_sql(ENDLESS[backend])
    assert caught.value.code is Code.UNAVAILABLE


def test_one_thread_watches_all_databases(quick: Deps) -> None:
    other = Database(quick.settings.database)
    for database in (quick.db, other):
        database.limit(PATIENCE_SECONDS)
        with database.slow_read() as connection:
            connection.exec_driver_sql("SELECT 1")
    other.dispose()
    assert [one.name for one in threading.enumerate()].count("time limits") == 1


def test_the_connection_is_given_back_if_no_thread_can_watch_the_search(
    quick: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TIME_LIMITS, "_watched_in", None)
    with quick.db.read() as connection:
        driver = connection.connection.driver_connection
    before = threading.stack_size(TOO_LARGE)
    try:
        with pytest.raises(RuntimeError, match="thread"), quick.db.slow_read():
            pass
    finally:
        threading.stack_size(before)
    with quick.db.read() as connection:
        assert connection.connection.driver_connection is driver

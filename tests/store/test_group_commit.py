"""Small writes of several threads share a transaction, and none shares another's failure."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.sqlite import GroupCommit
from mltrail_server.store.db.statements import driver
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.identity import projects

BACKENDS = ("sqlite",)
FAILING, ODD = 3, 5


@pytest.fixture
def together(deps: Deps) -> Callable[[Callable[[sa.Connection], None] | None], list[Future[int]]]:
    """Have nine threads make a project each, all in one transaction; `last` is called at its end."""

    def run(last: Callable[[sa.Connection], None] | None) -> list[Future[int]]:
        free = threading.Event()
        begun = threading.Event()
        transactions = 0

        @contextmanager
        def write() -> Iterator[sa.Connection]:
            nonlocal transactions
            transactions += 1
            with deps.db.write() as connection:
                yield connection
                if transactions == 2 and last is not None:
                    last(connection)

        def wait(_connection: sa.Connection) -> int:
            begun.set()
            free.wait()
            return 0

        group = GroupCommit(write)
        with ThreadPoolExecutor(10) as pool:
            first = pool.submit(group.run, wait)
            begun.wait()
            others = [pool.submit(group.run, make(number)) for number in range(1, 10)]
            while len(group._waiting) < len(others):
                free.wait(0.01)
            free.set()
        assert first.result() == 0
        assert transactions == 2
        return others

    return run


def make(number: int) -> Callable[[sa.Connection], int]:
    def work(connection: sa.Connection) -> int:
        projects.ensure(Transaction(connection, ProjectId(number), now=0), path=f"team/p{number}")
        if number == FAILING:
            raise invalid("No good.")
        if number == ODD:
            connection.exec_driver_sql("SELECT * FROM nowhere")
        return number

    return work


def stored(deps: Deps) -> list[int]:
    with deps.db.read() as connection:
        return [number for number, _ in projects.known(connection, None)]


def test_what_fails_takes_nothing_else_with_it(deps: Deps, together: Callable[..., list[Future[int]]]) -> None:
    answers = together(None)
    good = [number for number in range(1, 10) if number not in (FAILING, ODD)]
    assert [answers[number - 1].result() for number in good] == good
    with pytest.raises(MltrailError, match="No good"):
        answers[FAILING - 1].result()
    with pytest.raises(sa.exc.OperationalError, match="nowhere"):
        answers[ODD - 1].result()
    assert stored(deps) == good


def test_nobody_gets_a_success_when_the_commit_fails(deps: Deps, together: Callable[..., list[Future[int]]]) -> None:
    def fail(_connection: sa.Connection) -> None:
        raise OSError("the disk is gone")

    for number, answer in enumerate(together(fail), start=1):
        with pytest.raises(MltrailError if number == FAILING else (OSError, sa.exc.OperationalError)):
            answer.result()
    assert stored(deps) == []


def test_a_transaction_that_sqlite_itself_takes_back_fails_for_all(
    deps: Deps, together: Callable[..., list[Future[int]]]
) -> None:
    for answer in together(lambda connection: connection.exec_driver_sql("ROLLBACK")):
        assert answer.exception() is not None
    assert stored(deps) == []


def test_work_that_arrives_before_the_transaction_begins_is_part_of_it(deps: Deps) -> None:
    """Another process may have to end its own transaction first."""
    free = threading.Event()
    transactions = 0

    @contextmanager
    def write() -> Iterator[sa.Connection]:
        nonlocal transactions
        transactions += 1
        free.wait()
        with deps.db.write() as connection:
            yield connection

    group = GroupCommit(write)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(group.run, make(number)) for number in (1, 2, 4, 6)]
        while len(group._waiting) < len(answers):
            free.wait(0.01)
        free.set()
    assert [answer.result() for answer in answers] == stored(deps) == [1, 2, 4, 6]
    assert transactions == 1


@pytest.mark.parametrize(("numbers", "savepoints"), [((1, 2, 4), 0), ((1, FAILING, 4), 3), ((FAILING,), 0)])
def test_only_work_that_is_done_again_uses_savepoints(deps: Deps, numbers: tuple[int, ...], savepoints: int) -> None:
    """They would cost all other work two more statements each, and a copy of every changed page."""
    free = threading.Event()
    statements: list[str] = []

    @contextmanager
    def write() -> Iterator[sa.Connection]:
        free.wait()
        with deps.db.write() as connection:
            driver(connection).set_trace_callback(statements.append)
            try:
                yield connection
            finally:
                driver(connection).set_trace_callback(None)

    group = GroupCommit(write)
    with ThreadPoolExecutor(len(numbers)) as pool:
        answers = [pool.submit(group.run, make(number)) for number in numbers]
        while len(group._waiting) < len(answers):
            free.wait(0.01)
        free.set()
    assert [answer.result() for answer in answers if answer.exception() is None] == stored(deps)
    assert stored(deps) == [number for number in numbers if number != FAILING]
    assert statements.count("SAVEPOINT work") == savepoints


def test_a_transaction_that_cannot_begin_fails_for_all(deps: Deps) -> None:
    @contextmanager
    def write() -> Iterator[sa.Connection]:
        raise OSError("the disk is gone")
        yield

    group = GroupCommit(write)
    with pytest.raises(OSError, match="gone"):
        group.run(make(1))
    assert not group._waiting
    assert stored(deps) == []


def test_savepoints_of_small_work_are_kept_in_memory(deps: Deps) -> None:
    """Otherwise SQLite would write a file for each group of new runs."""
    memory = 2
    assert deps.db.write_together(lambda connection: connection.exec_driver_sql("PRAGMA temp_store").scalar()) == memory
    with deps.db.write() as connection:
        assert connection.exec_driver_sql("PRAGMA temp_store").scalar() != memory

"""Connections to PostgreSQL: which are kept, and how many there are."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event, stack_size
from threading import enumerate as enumerate_threads

import psycopg
import pytest
import sqlalchemy as sa

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.settings import Settings
from mltrail_server.store.db import postgresql
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.postgresql import MOST_CONNECTIONS, POOL_SIZE
from mltrail_server.store.db.statements import Statement, driver
from mltrail_server.telemetry.measured import MEASURED, Receiver
from tests.processes import PATIENCE_SECONDS, wait_until

BACKENDS = ("postgresql",)
NEW = "new connection"  # the thread's name
TOO_LARGE = 1 << 46
"""A stack size, in bytes, that no thread can get."""
PID = sa.text("SELECT pg_backend_pid()")


def echo(kind: sa.types.TypeEngine[object]) -> Statement:
    columns = (sa.bindparam("one", type_=kind), sa.bindparam("two", type_=sa.Text))
    return Statement(sa.select(*columns, sa.literal_column("'100 %'")), name=f"echo of {kind}")


_ECHO = echo(sa.BigInteger())
_KINDS = {
    bool: echo(sa.Boolean()),
    float: echo(sa.Double()),
    int: _ECHO,
    str: echo(sa.Text()),
    type(None): echo(sa.Text()),
}


class Seen(Receiver):
    """Notes how many connections are in use, and how often one was waited for."""

    def __init__(self) -> None:
        self.used = 0
        self.waits = Event()

    def connections(self, used: int) -> None:
        self.used = used

    def connections_limit(self, most: int) -> None:
        assert most == MOST_CONNECTIONS

    def waited_for_connection(self) -> None:
        self.waits.set()


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    made = Database(settings.database_url)
    yield made
    made.dispose()


@pytest.fixture
def seen() -> Iterator[Seen]:
    before, MEASURED.to = MEASURED.to, Seen()
    yield MEASURED.to
    MEASURED.to = before


def pid(db: Database) -> int:
    with db.read() as connection:
        return int(connection.scalar(PID) or 0)


def others(db: Database) -> int:
    """Count the connections to the database, except the one that counts."""
    with db.read() as connection:
        all_of_them = sa.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(connection.scalar(all_of_them) or 0) - 1


def write_and_fail(connection: sa.Connection) -> None:
    connection.execute(sa.text("INSERT INTO counter (project_id, name, value) VALUES (1, 'x', 1)"))
    raise ValueError("no")


def test_the_one_that_was_used_last_is_used_next(db: Database) -> None:
    with db.read() as first:
        of_first = first.scalar(PID)
        with db.write() as second:
            of_second = second.scalar(PID)
    assert of_first != of_second
    assert [pid(db), pid(db)] == [of_first, of_first]


def test_an_error_undoes_the_transaction_and_keeps_the_connection(db: Database) -> None:
    before = pid(db)
    with pytest.raises(ValueError, match="no"), db.write() as connection:
        write_and_fail(connection)
    with pytest.raises(MltrailError), db.write() as connection:
        driver(connection).execute("SELECT 1/0")
    with db.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM counter WHERE name = 'x' AND project_id = 1")) == 0
        assert connection.scalar(PID) == before


def test_reading_begins_no_transaction(db: Database) -> None:
    with db.read() as connection:
        connection.execute(PID)
        assert driver(connection).pgconn.transaction_status == 0


def test_a_lost_connection_costs_one_call(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # However long its end takes here: one that has waited for longer is asked before it is used, and replaced.
    monkeypatch.setattr(postgresql, "_IDLE_SECONDS", PATIENCE_SECONDS)
    with db.read() as first, db.read() as second:
        pids = [first.scalar(PID), second.scalar(PID)]
    with db.read() as connection:
        ended = [one for one in pids if one != connection.scalar(PID)]
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": ended[0]})
        with pytest.raises(MltrailError) as refused, db.read() as other:
            other.execute(PID)
        assert refused.value.code is Code.UNAVAILABLE
        with db.read() as other:
            assert other.scalar(PID) not in pids


def test_many_are_opened_and_few_are_kept(db: Database, seen: Seen) -> None:
    with ExitStack() as open_ones:
        pids = {open_ones.enter_context(db.read()).scalar(PID) for _ in range(MOST_CONNECTIONS)}
        assert (len(pids), seen.used) == (MOST_CONNECTIONS, MOST_CONNECTIONS)
    assert seen.used == 0
    with ExitStack() as open_ones:
        again = [open_ones.enter_context(db.read()).scalar(PID) for _ in range(MOST_CONNECTIONS)]
    assert len(pids.intersection(again)) == POOL_SIZE


def test_one_more_waits(db: Database, seen: Seen) -> None:
    with ThreadPoolExecutor(1) as other, ExitStack() as open_ones:
        for _ in range(MOST_CONNECTIONS - 1):
            open_ones.enter_context(db.read())
        with db.read():
            assert not seen.waits.is_set()
            waiting = other.submit(pid, db)
            assert seen.waits.wait(30)
            assert not waiting.done()
        assert waiting.result(30)


def test_connections_are_opened_one_at_a_time(db: Database) -> None:
    """Each costs PostgreSQL a new process: when many calls come at once, most are served by the first few."""
    opening, most = [0], [0]
    go_on = Event()

    @sa.event.listens_for(db.engine, "do_connect")
    def note(*_: object) -> None:
        opening[0] += 1
        most[0] = max(most[0], opening[0])
        assert go_on.wait(30)
        opening[0] -= 1

    db.dispose()
    with ThreadPoolExecutor(8) as many:
        asked = [many.submit(pid, db) for _ in range(8)]
        wait_until(lambda: opening[0] > 0, "a connection is being opened")
        go_on.set()
        assert all(one.result(30) for one in asked)
    assert most[0] == 1


def test_a_call_does_not_wait_for_a_new_connection_if_another_becomes_free(db: Database) -> None:
    go_on = Event()
    with ThreadPoolExecutor(1) as other:
        with db.read() as connection:
            first = connection.scalar(PID)

            @sa.event.listens_for(db.engine, "do_connect")
            def wait(*_: object) -> None:
                assert go_on.wait(30)

            waiting = other.submit(pid, db)
            wait_until(lambda: any(one.name == NEW for one in enumerate_threads()), "a connection is being opened")
        assert waiting.result(30) == first
    before = others(db)
    go_on.set()
    db.dispose()
    wait_until(lambda: others(db) <= before, "the new connection is closed, too")


def test_a_call_opens_a_connection_itself_if_no_thread_can_be_started(db: Database) -> None:
    with ThreadPoolExecutor(1) as other, db.read() as connection:
        other.submit(int).result(30)  # starts its thread
        before = stack_size(TOO_LARGE)
        try:
            assert other.submit(pid, db).result(30) != connection.scalar(PID)
        finally:
            stack_size(before)


def test_a_server_that_is_down_is_no_reason_to_wait_for_each_other(db: Database) -> None:
    @sa.event.listens_for(db.engine, "do_connect")
    def refuse(*_: object) -> None:
        raise psycopg.OperationalError("down")

    db.dispose()
    with ThreadPoolExecutor(8) as many:
        for one in [many.submit(pid, db) for _ in range(8)]:
            assert isinstance(one.exception(30), MltrailError)
    sa.event.remove(db.engine, "do_connect", refuse)
    assert pid(db)  # and what failed is not counted as in use
    with ExitStack() as open_ones:
        assert {open_ones.enter_context(db.read()).scalar(PID) for _ in range(MOST_CONNECTIONS)}


def test_what_is_prepared_outlives_a_rollback(db: Database) -> None:
    given = {"one": 7, "two": "it's 100 %"}
    row = (7, "it's 100 %", "100 %")

    def ask(connection: sa.Connection) -> None:
        for _ in range(10):
            connection.execute(PID)  # psycopg prepares it, too
        assert _ECHO.run(connection, given).fetchall() == [row]

    def ask_and_fail() -> None:
        with db.write() as connection:
            ask(connection)
            write_and_fail(connection)

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            ask_and_fail()
        with db.read() as connection:
            ask(connection)


def test_a_statement_is_run_alike_by_libpq_and_psycopg(db: Database) -> None:
    values: list[object] = [None, True, False, 0, -(2**63), 1.5, float("nan"), float("inf"), 1e-300, "", "it's", "ä\\"]
    with db.read() as connection:
        for one in values:
            for two in ("%", None):
                statement = _KINDS[type(one)]
                ours = statement.run(connection, {"one": one, "two": two}).fetchall()
                with driver(connection).pipeline():  # where only psycopg can
                    theirs = statement.run(connection, {"one": one, "two": two})
                assert repr(ours) == repr(theirs.fetchall())
        with pytest.raises(psycopg.DataError):
            _ECHO.run(connection, {"one": 1, "two": "cut\0off"})


def test_a_forgotten_statement_costs_one_call(db: Database) -> None:
    given = {"one": 7, "two": "it's"}
    with db.read() as connection:
        _ECHO.run(connection, given)
        driver(connection).execute("DEALLOCATE ALL")
    with pytest.raises(MltrailError) as refused, db.read() as connection:
        _ECHO.run(connection, given)
    assert refused.value.code is Code.UNAVAILABLE
    with db.read() as connection:
        assert _ECHO.run(connection, given).fetchone() == (7, "it's", "100 %")

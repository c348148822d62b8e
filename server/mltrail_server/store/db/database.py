"""The connection to SQLite or PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from mltrail_server.telemetry.tracing import TRACING

from . import failures, named_statements, postgresql, sqlite
from .postgresql import Replica
from .sqlite import GroupCommit
from .time_limits import TIME_LIMITS

T = TypeVar("T")


class Database:
    """Gives out transactions: `read()`, `slow_read()`, `search()` and `write()` are the only ways to a connection."""

    def __init__(self, url: str, *, replica_url: str = "", sqlite_synchronous: str = "normal") -> None:
        """Open nothing yet. `replica_url` is the URL of a read replica, which `search()` uses."""
        self.is_sqlite = url.startswith("sqlite")
        self.observe: Callable[[str, float], None] = _unobserved
        """Called after each use with its kind (`read`, `search`, `write`) and duration in seconds, waiting included."""
        url = _with_driver(url)
        self.engine = sqlite.engine(url) if self.is_sqlite else postgresql.engine(url)
        named_statements.name_queries(self.engine)
        self._driver: Any = self.engine.dialect.dbapi  # the module: sqlite3 or psycopg
        self._replica = Replica(_with_driver(replica_url)) if replica_url else None
        self._transactions = (
            sqlite.SqliteTransactions(self.engine, synchronous=sqlite_synchronous)
            if self.is_sqlite
            else postgresql.PostgresTransactions(self.engine)
        )
        self.search_seconds = 0.0
        """How long a search may take, see `limit`; 0 means no limit."""
        self._group = GroupCommit(self._transactions.write) if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a connection for reading only. On SQLite it has one consistent view; on PostgreSQL each statement sees
        what has been committed by then.
        """
        with self._observed("read"), self._answering(), self._transactions.read() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Like `read()`, but all statements see the same state, on PostgreSQL too, however long they take."""
        with self._observed("read"), self._answering(), self._transactions.snapshot() as connection:
            yield connection

    def limit(self, search_seconds: float) -> None:
        """Limit how long calls from the web may take: this long for a search, three times that for any other statement.
        Operators' commands and the worker have no limit. Must be called before a connection is opened.
        """
        self.search_seconds = search_seconds
        self._transactions.statement_seconds = 3 * search_seconds

    @contextmanager
    def slow_read(self) -> Iterator[sa.Connection]:
        """Like `read()`, for queries that a caller can make slow. Raises INVALID after the time of a search."""
        with self.read() as connection, self._limited(connection):
            yield connection

    @contextmanager
    def search(self) -> Iterator[sa.Connection]:
        """Like `read()`, but from the replica where there is one, so the most recent writes may not be seen yet."""
        connection = self._replica.connect() if self._replica else None
        if connection is None:
            with self.slow_read() as connection:
                yield connection
        else:
            with self._observed("search"), self._answering(), connection, connection.begin(), self._limited(connection):
                yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end, or rolled back when an error leaves the block."""
        with self._observed("write"), self._answering(), self._transactions.write() as connection:
            yield connection

    @contextmanager
    def at_once(self) -> Iterator[sa.Connection]:
        """Open a connection for one statement that writes, on PostgreSQL: its transaction ends with it, and the call
        waits once for the database. On SQLite small writes share a transaction instead, see `write_together`.
        """
        assert not self.is_sqlite  # noqa: S101 - where a statement of its own would be rolled back
        with self._observed("write"), self._answering(), self._transactions.read() as connection:
            yield connection

    def write_together(self, work: Callable[[sa.Connection], T]) -> T:
        """Do a small piece of work in a transaction that it may share with other threads' work; see `GroupCommit`."""
        if self._group is None:
            with self.write() as connection:
                return work(connection)
        with self._observed("write"), self._answering():
            return self._group.run(work)  # type: ignore[no-any-return] # what the work returns

    def ping(self) -> None:
        """Raise `MltrailError` if the database does not answer."""
        with self.read() as connection:
            connection.exec_driver_sql("SELECT 1")

    def dispose(self) -> None:
        """Close all connections, at the end or before a fork; the next read or write opens new ones."""
        self._transactions.dispose()
        self.engine.dispose()
        if self._replica:
            self._replica.dispose()

    @contextmanager
    def _limited(self, connection: sa.Connection) -> Iterator[None]:
        if not self.search_seconds:
            yield
            return
        with TIME_LIMITS.within(connection.connection.driver_connection, self.search_seconds) as reading:
            try:
                yield
            except Exception as error:
                if reading.ended and failures.is_cancelled(error):
                    raise failures.took_too_long(self.search_seconds) from error
                raise
            finally:
                if reading.ended and not self.is_sqlite:
                    connection.invalidate()  # a cancellation that is still on its way must not hit another caller

    @contextmanager
    def _observed(self, kind: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            if TRACING.tracer is None:
                yield
            else:
                system = "sqlite" if self.is_sqlite else "postgresql"
                attributes = {"db.system.name": system, "db.operation.name": kind}
                with TRACING.span(f"database {kind}", attributes, inner=True):
                    yield
        finally:
            self.observe(kind, time.perf_counter() - began)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # SQLAlchemy wraps the errors of its own statements; those run by the driver (see `statements`) come as they
            # are.
            if isinstance(self._transactions, postgresql.PostgresTransactions) and failures.is_lost(
                self._driver, error
            ):
                self._transactions.lost()
            failure = failures.in_words(self._driver, error)
            if failure is None:
                raise
            raise failure from error


def _unobserved(_kind: str, _seconds: float) -> None:
    """Ignore it: nobody has asked for it."""


def _with_driver(url: str) -> str:
    """Name the driver that we use; some hosting providers write `postgres:`."""
    scheme, rest = url.split(":", 1)
    return f"postgresql+psycopg:{rest}" if scheme in {"postgresql", "postgres"} else url

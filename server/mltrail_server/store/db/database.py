"""The connection to SQLite or PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError
from mltrail_server.telemetry.tracing import TRACING

from . import failures, named_statements, postgresql, sqlite
from .postgresql import Replica
from .sqlite import GroupCommit
from .statements import driver
from .time_limits import TIME_LIMITS, Reading

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
        small = self._transactions.write_small if isinstance(self._transactions, sqlite.SqliteTransactions) else None
        self._group = GroupCommit(small) if small else None

    def read(self, *, once: bool = False) -> AbstractContextManager[sa.Connection]:
        """Open a connection for reading only. On SQLite it has one consistent view; on PostgreSQL each statement sees
        what has been committed by then. With `once`, for a single statement, SQLite needs no BEGIN and COMMIT either.
        """
        return _Use(self, "read", self._transactions.once() if once else self._transactions.read())

    def snapshot(self) -> AbstractContextManager[sa.Connection]:
        """Like `read()`, but all statements see the same state, on PostgreSQL too, however long they take."""
        return _Use(self, "read", self._transactions.snapshot())

    def limit(self, search_seconds: float) -> None:
        """Limit how long calls from the web may take: this long for a search, three times that for any other statement.
        Operators' commands and the worker have no limit. Must be called before a connection is opened.
        """
        self.search_seconds = search_seconds
        self._transactions.statement_seconds = 3 * search_seconds

    def slow_read(self, *, once: bool = False) -> AbstractContextManager[sa.Connection]:
        """Like `read()`, for queries that a caller can make slow. Raises INVALID after the time of a search."""
        opening = self._transactions.once() if once else self._transactions.read()
        return _Use(self, "read", opening, self.search_seconds)

    def search(self) -> AbstractContextManager[sa.Connection]:
        """Like `slow_read()`, but from the replica where there is one, so the most recent writes may not be seen
        yet.
        """
        connection = self._replica.connect() if self._replica else None
        if connection is None:
            return self.slow_read()
        return _Use(self, "search", _of_replica(connection), self.search_seconds)

    def write(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that is committed at the end, or rolled back when an error leaves the block."""
        return _Use(self, "write", self._transactions.write())

    def at_once(self) -> AbstractContextManager[sa.Connection]:
        """Open a connection for one statement that writes, on PostgreSQL: its transaction ends with it, and the call
        waits once for the database. On SQLite small writes share a transaction instead, see `write_together`.
        """
        assert not self.is_sqlite  # noqa: S101 - where a statement of its own would be rolled back
        return _Use(self, "write", self._transactions.once())

    def write_together(self, work: Callable[[sa.Connection], T]) -> T:
        """Do a small piece of work in a transaction that it may share with other threads' work; see `GroupCommit`."""
        if self._group is None:
            with self.write() as connection:
                return work(connection)
        with _Use(self, "write", nullcontext()):
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

    def answer_to(self, error: Exception) -> MltrailError | None:
        """Put an error of the database in words, and note a lost connection; None for an error of another kind."""
        # SQLAlchemy wraps the errors of its own statements; those run by the driver (see `statements`) come as they
        # are.
        if isinstance(self._transactions, postgresql.PostgresTransactions) and failures.is_lost(self._driver, error):
            self._transactions.lost()
        return failures.in_words(self._driver, error)


@dataclass(slots=True)
class _Use(AbstractContextManager[Any]):
    """One use of the database: it is measured, and traced where there are traces; it may be limited to `seconds`, where
    0 means no limit; and its errors are put in words.

    Generators for each of these would be easier to read, but take 20 us of each call.
    """

    database: Database
    kind: str
    opening: AbstractContextManager[Any]
    seconds: float = 0.0
    began: float = field(default_factory=time.perf_counter)
    span: AbstractContextManager[Any] | None = None
    connection: Any = None
    reading: Reading | None = None

    def __enter__(self) -> Any:  # noqa: ANN401 - SQLAlchemy's connection; nothing for work that another use may do
        if TRACING.tracer is not None:
            system = "sqlite" if self.database.is_sqlite else "postgresql"
            attributes = {"db.system.name": system, "db.operation.name": self.kind}
            self.span = TRACING.span(f"database {self.kind}", attributes, inner=True)
            self.span.__enter__()
        try:
            self.connection = self.opening.__enter__()
        except BaseException as error:
            self._end(error)
            raise
        if self.seconds:
            try:
                self.reading = TIME_LIMITS.begin(driver(self.connection), self.seconds)
            except BaseException as error:  # the system may have no thread left; the next call needs the connection
                self.__exit__(type(error), error, error.__traceback__)
                raise
        return self.connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        instead = error if self.reading is None else self._within_time(self.reading, error)
        try:
            self.opening.__exit__(None if instead is None else type(instead), instead, trace)
        except BaseException as failed:
            self._end(failed)
            raise
        self._end(instead)
        if instead is not error and instead is not None:
            raise instead from error

    def _within_time(self, reading: Reading, error: BaseException | None) -> BaseException | None:
        """End the limit, and return the error to go on with."""
        TIME_LIMITS.end(reading)
        if not reading.ended:
            return error
        if not self.database.is_sqlite:
            self.connection.invalidate()  # a cancellation that is still on its way must not hit another caller
        if isinstance(error, Exception) and failures.is_cancelled(error):
            return failures.took_too_long(self.seconds)
        return error

    def _end(self, error: BaseException | None) -> None:
        """Finish measuring. Raises an error of the database in words."""
        answer = self.database.answer_to(error) if isinstance(error, Exception) else None
        shown = answer or error
        if self.span is not None:
            self.span.__exit__(None if shown is None else type(shown), shown, None)
        self.database.observe(self.kind, time.perf_counter() - self.began)
        if answer is not None:
            raise answer from error


@contextmanager
def _of_replica(connection: sa.Connection) -> Iterator[sa.Connection]:
    with connection, connection.begin():
        yield connection


def _unobserved(_kind: str, _seconds: float) -> None:
    """Ignore it: nobody has asked for it."""


def _with_driver(url: str) -> str:
    """Name the driver that we use; some hosting providers write `postgres:`."""
    scheme, rest = url.split(":", 1)
    return f"postgresql+psycopg:{rest}" if scheme in {"postgresql", "postgres"} else url

"""The connection to SQLite or PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from . import failures, postgresql, sqlite
from .postgresql import Replica
from .sqlite import GroupCommit
from .time_limits import TimeLimits

T = TypeVar("T")


class Database:
    """Gives out transactions: `read()`, `slow_read()`, `search()` and `write()` are the only ways to a connection."""

    def __init__(self, url: str, *, replica_url: str = "", sqlite_synchronous: str = "normal") -> None:
        """Open nothing yet. `replica_url` is of a read replica, which answers `search()`."""
        self.is_sqlite = url.startswith("sqlite")
        self.observe: Callable[[str, float], None] = _unobserved
        """Called after each use with its kind (`read`, `search`, `write`) and its seconds, waiting included."""
        url = _with_driver(url)
        self.engine = sqlite.engine(url) if self.is_sqlite else sa.create_engine(url, pool_size=16)
        self._driver: Any = self.engine.dialect.dbapi  # the module: sqlite3 or psycopg
        self._replica = Replica(_with_driver(replica_url)) if replica_url else None
        self._transactions = (
            sqlite.SqliteTransactions(self.engine, synchronous=sqlite_synchronous)
            if self.is_sqlite
            else postgresql.PostgresTransactions(self.engine)
        )
        self.search_seconds = 0.0
        """How long a search may take, see `limit`; 0 is without an end."""
        self._time_limits = TimeLimits()
        self._group = GroupCommit(self._transactions.write) if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a connection for what only reads. On SQLite it is one consistent view; on PostgreSQL each statement sees
        what is committed by then.
        """
        with self._observed("read"), self._answering(), self._transactions.read() as connection:
            yield connection

    def limit(self, search_seconds: float) -> None:
        """Bound what calls of the web may take: this long for a search, three times that for any other statement. What
        operators and the worker do takes as long as it takes. Call it before a connection is opened.
        """
        self.search_seconds = search_seconds
        self._transactions.statement_seconds = 3 * search_seconds

    @contextmanager
    def slow_read(self) -> Iterator[sa.Connection]:
        """As `read()`, for what a caller can make slow. Raises INVALID when it takes longer than a search may."""
        with self.read() as connection, self._limited(connection):
            yield connection

    @contextmanager
    def search(self) -> Iterator[sa.Connection]:
        """As `read()`, but what was written a moment ago may not be seen: the replica answers, where there is one."""
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

    def write_together(self, work: Callable[[sa.Connection], T]) -> T:
        """Do a small work within a transaction, which it may share with works of other threads; see `group_commit`."""
        if self._group is None:
            with self.write() as connection:
                return work(connection)
        with self._observed("write"), self._answering():
            return self._group.run(work)  # type: ignore[no-any-return] # what the work answers

    def ping(self) -> None:
        """Raise `MltrailError` when the database does not answer."""
        with self.read() as connection:
            connection.exec_driver_sql("SELECT 1")

    def dispose(self) -> None:
        """Close what is open, at the end or before a fork; who reads or writes afterwards opens it again."""
        self._transactions.dispose()
        self.engine.dispose()
        if self._replica:
            self._replica.dispose()

    @contextmanager
    def _limited(self, connection: sa.Connection) -> Iterator[None]:
        if not self.search_seconds:
            yield
            return
        with self._time_limits.within(connection.connection.driver_connection, self.search_seconds) as reading:
            try:
                yield
            except Exception as error:
                if reading.ended and failures.is_cancelled(error):
                    raise failures.took_too_long(self.search_seconds) from error
                raise
            finally:
                if reading.ended and not self.is_sqlite:
                    connection.invalidate()  # a cancellation that is still on its way must meet nobody else

    @contextmanager
    def _observed(self, kind: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(kind, time.perf_counter() - began)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # SQLAlchemy wraps what goes through it; what goes straight to the driver (see `statements`) comes as it is.
            told = failures.in_words(self._driver, error)
            if told is None:
                raise
            raise told from error


def _unobserved(_kind: str, _seconds: float) -> None:
    """Nobody is interested."""


def _with_driver(url: str) -> str:
    """Name the driver that we have; `postgres:` is how some hosters spell it."""
    scheme, rest = url.split(":", 1)
    return f"postgresql+psycopg:{rest}" if scheme in {"postgresql", "postgres"} else url

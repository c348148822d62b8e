"""The connection to SQLite or PostgreSQL."""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mltrail_server.domain.errors import MltrailError, conflict, invalid, unavailable

from .replica import Replica

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

_BUSY_SECONDS = 30
_FOREIGN_KEY_VIOLATION, _UNIQUE_VIOLATION = "23503", "23505"
_IDLE_SECONDS = 2.0
_PAGE_CACHE_KB = 2000
"""Of each SQLite connection, of which a process has up to eight. The system's own cache holds the file anyway."""


class Database:
    """Gives out transactions: `read()`, `search()` and `write()` are the only ways to a connection.

    A `write()` on SQLite takes the write lock when it begins (`BEGIN IMMEDIATE`), so that no transaction that has read
    is refused when it comes to write; see `_WriteTurn` for how writers queue.
    """

    def __init__(self, url: str, *, replica_url: str = "", sqlite_synchronous: str = "normal") -> None:
        """Open nothing yet. `replica_url` is of a read replica, which answers `search()`."""
        self.is_sqlite = url.startswith("sqlite")
        self.observe: Callable[[str, float], None] = _unobserved
        """Called after each use with its kind (`read`, `search`, `write`) and its seconds, waiting included."""
        url = _with_driver(url)
        connect_args = {"timeout": _BUSY_SECONDS} if self.is_sqlite else {}
        self.engine = sa.create_engine(url, connect_args=connect_args, pool_size=16)
        self._writer = self.engine.execution_options(mltrail_write=True)
        # PostgreSQL shows each statement what is committed by then, in a transaction or out of one: for what only
        # reads, BEGIN and COMMIT would be two round trips for nothing.
        self._reader = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        path = self.engine.url.database
        self._write_turn = _WriteTurn(path) if self.is_sqlite and path else nullcontext()
        self._driver: Any = self.engine.dialect.dbapi  # the module: sqlite3 or psycopg
        self._replica = Replica(_with_driver(replica_url)) if replica_url else None
        if self.is_sqlite:
            event.listen(self.engine, "connect", partial(_prepare_sqlite, sqlite_synchronous))
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            event.listen(self.engine, "checkin", _note_time)
            event.listen(self.engine, "checkout", _check_idle)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a connection for what only reads. On SQLite it is one consistent view; on PostgreSQL each statement sees
        what is committed by then.
        """
        with self._observed("read"), self._answering(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def search(self) -> Iterator[sa.Connection]:
        """As `read()`, but what was written a moment ago may not be seen: the replica answers, where there is one."""
        connection = self._replica.connect() if self._replica else None
        if connection is None:
            with self.read() as connection:
                yield connection
        else:
            with self._observed("search"), self._answering(), connection, connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end, or rolled back when an error leaves the block."""
        with self._observed("write"), self._write_turn, self._answering(), self._writer.begin() as connection:
            yield connection

    def ping(self) -> None:
        """Raise `MltrailError` when the database does not answer."""
        with self.read() as connection:
            connection.exec_driver_sql("SELECT 1")

    def dispose(self) -> None:
        """Close what is open. Nothing is read or written afterwards."""
        self.engine.dispose()
        if self._replica:
            self._replica.dispose()
        if isinstance(self._write_turn, _WriteTurn):
            self._write_turn.close()

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
            # SQLAlchemy wraps what goes through it; what goes straight to the driver (see `prepared`) comes as it is.
            told = self._in_words(getattr(error, "orig", None) or error, error)
            if told is None:
                raise
            raise told from error

    def _in_words(self, error: BaseException, wrapper: Exception) -> MltrailError | None:
        """Say what the database can't do; None for what is no fault of the database, or nobody has foreseen."""
        driver = self._driver
        if isinstance(error, (OverflowError, driver.DataError)):
            # PostgreSQL keeps no NUL in a text, and neither database keeps an integer of more than 64 bits.
            return invalid(
                "The request holds a value that can't be stored: a NUL character in a text, or a number out of range."
            )
        if isinstance(error, driver.IntegrityError):
            state = getattr(error, "sqlstate", None)
            if state == _FOREIGN_KEY_VIOLATION:
                return conflict("Another call has just deleted what this one is about; nothing was stored.")
            # PostgreSQL has many writers: somebody has stored, since we looked, what must be there only once.
            lost = state == _UNIQUE_VIOLATION
            return unavailable("Another call has just stored the same; try again.", retry_after=1) if lost else None
        if isinstance(error, (driver.OperationalError, OperationalError, PoolTimeoutError)):
            return unavailable("The database does not answer just now; try again in a moment.")
        if isinstance(wrapper, DBAPIError) and wrapper.connection_invalidated:
            return unavailable("The connection to the database was lost; try again in a moment.")
        return None


class _WriteTurn:
    """Whose turn it is to write to an SQLite database: threads queue on a lock, processes on a locked file.

    Both are fair and wake the next at once. SQLite itself has a writer sleep and look again, for up to 100 ms.
    """

    def __init__(self, database: str) -> None:
        self._lock = threading.Lock()
        self._file = os.open(f"{database}-turn", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        self._lock.acquire()
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._lock.release()

    def close(self) -> None:
        os.close(self._file)


def _note_time(_connection: "DBAPIConnection | None", record: "ConnectionPoolEntry") -> None:
    record.info["idle_since"] = time.monotonic()


def _check_idle(connection: "DBAPIConnection", record: "ConnectionPoolEntry", _proxy: object) -> None:
    """Make sure that a connection that has lain about is alive: the server may have been restarted. One that was used
    a moment ago is taken as it is, since asking costs a round trip.
    """
    idle_since = record.info.get("idle_since")
    if idle_since is None or time.monotonic() - idle_since < _IDLE_SECONDS:
        return
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        connection.rollback()
    except Exception as error:
        raise DisconnectionError from error  # the pool makes a new one


def _unobserved(_kind: str, _seconds: float) -> None:
    """Nobody is interested."""


def _with_driver(url: str) -> str:
    """Name the driver that we have; `postgres:` is how some hosters spell it."""
    scheme, rest = url.split(":", 1)
    return f"postgresql+psycopg:{rest}" if scheme in {"postgresql", "postgres"} else url


def _prepare_sqlite(synchronous: str, connection: "DBAPIConnection", _record: "ConnectionPoolEntry") -> None:
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - tells mypy which driver this is
    # We begin transactions ourselves, see `_begin_sqlite`.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        f"cache_size=-{_PAGE_CACHE_KB}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    # LIKE in MLflow's filters is case-sensitive; ILIKE folds both sides.
    connection.execute("PRAGMA case_sensitive_like=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("mltrail_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

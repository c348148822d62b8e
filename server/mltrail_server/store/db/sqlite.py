"""How SQLite is opened, and how its writers take turns: small writes share a transaction.

A transaction is begun and ended by the driver itself, on a connection that stays open: SQLAlchemy's pool and
transactions would take 80 us, a quarter of the time that logging a metric takes.

SQLite allows one writer at a time, and beginning and committing cost as much as storing a metric. So while one thread
writes, the others queue their work; the next one does all of it in one transaction. If any piece of work fails, the
transaction is rolled back, and all of it is done again, each piece in a savepoint, so that each succeeds or fails by
itself. Using savepoints every time would cost each piece two more statements, and a copy of every page that it changes.
"""

import fcntl
import os
import pwd
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from mltrail_server.domain.errors import conflict
from mltrail_server.telemetry import calls

from .kept import Use
from .statements import driver

Work = Callable[[sa.Connection], Any]
_BEGIN_WRITING = "BEGIN IMMEDIATE"
_MOST = 64
"""Pieces of work per transaction: other processes may be waiting for the write lock, too."""


class _Job:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.call = calls.current()  # perhaps another thread's
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None

    def do(self, connection: sa.Connection) -> None:
        calls.resume(self.call)
        self.result = self.work(connection)

    def attempt(self, connection: sa.Connection) -> None:
        """Do the work; if it fails, the rest of the transaction is kept."""
        sqlite = driver(connection)
        sqlite.execute("SAVEPOINT work")
        try:
            self.do(connection)
        except Exception as error:  # noqa: BLE001 - its thread raises it, see `run`
            sqlite.execute("ROLLBACK TO work")
            self.error = error
        sqlite.execute("RELEASE work")


class GroupCommit:
    def __init__(self, write: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._write = write
        self._waiting: deque[_Job] = deque()
        self._turn = threading.Lock()

    def run(self, work: Work) -> Any:  # noqa: ANN401 - what the work returns
        """Do the work in a transaction, perhaps another thread's, and return its result once that is committed. The
        work must not open a transaction itself. It may be done twice, if other work in the transaction fails: what it
        changes outside the database must be right even then. Raises what the work raises.
        """
        job = _Job(work)
        self._waiting.append(job)
        with self._turn:
            while not job.done:
                self._lead()
        if job.error is not None:
            raise job.error
        return job.result

    def _next(self) -> list[_Job]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]

    def _lead(self) -> None:
        """Begin a transaction, then do all waiting work: more arrives while another process ends its transaction."""
        own = calls.current()
        jobs: list[_Job] = []
        try:
            with self._write() as connection:
                jobs = self._next()
                _do(jobs, connection)
        except Exception as error:  # noqa: BLE001 - each thread raises it, see `run`
            jobs = jobs or self._next()
            for job in jobs:
                job.error = job.error or error
        finally:
            calls.resume(own)
            for job in jobs:
                job.done = True


def _do(jobs: list[_Job], connection: sa.Connection) -> None:
    """Do all the work in a transaction that has begun; if one of several pieces fails, only that one fails."""
    try:
        for job in jobs:
            job.do(connection)
    except Exception:
        if len(jobs) == 1:
            raise
        _roll_back(connection)
        driver(connection).execute(_BEGIN_WRITING)
        for job in jobs:
            job.attempt(connection)


def _roll_back(connection: sa.Connection) -> None:
    connection.rollback()
    driver(connection).rollback()


if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

_BUSY_SECONDS = 30
_BUSY_STEP_SECONDS = 0.01
_PAGE_CACHE_KB = 512
"""Per connection. The operating system caches the file anyway: eight connections with SQLite's default of 2 MB took
17 MB of each process, and made no search faster.
"""
_SPILL_PAGES = 500
"""How many changed pages a transaction holds, beyond the cache, before it writes some that will change again."""
_LOG_PAGES = 8_000
"""How many changed pages the write-ahead log collects (32 MB) before a commit moves them to the database and waits for
the disk. Creating a run changes 29 pages, mostly the same ones every time. With SQLite's default of 1,000 that happened
every 34 runs, and creating runs took a quarter longer.
"""

_MOST_KEPT = 8


def engine(url: str) -> sa.Engine:
    """Create an engine that keeps no connections: `SqliteTransactions` does."""
    return sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": _BUSY_SECONDS})


class SqliteTransactions:
    """Transactions on connections that stay open. A write transaction takes the write lock when it begins, so that it
    can't be refused after it has read.
    """

    def __init__(self, engine: sa.Engine, *, synchronous: str) -> None:
        event.listen(engine, "do_connect", _create_for_its_owner)
        event.listen(engine, "connect", partial(_set_up, synchronous))
        self.statement_seconds = 0.0  # only PostgreSQL needs it: on SQLite nothing but a search takes long
        self._kept = _Kept(engine)
        self._kept_for_small = _Kept(engine, "PRAGMA temp_store=MEMORY")
        """Savepoints keep copies of what they may have to restore, 24 pages for a new run. Beyond 64 KB, SQLite would
        write these to a file; here they stay in memory. Not on all connections, where large sorts would, too.
        """
        self._turn = _WriteTurn(engine.url.database) if engine.url.database else None

    def once(self) -> AbstractContextManager[sa.Connection]:
        return Use(self._kept, "")

    def read(self) -> AbstractContextManager[sa.Connection]:
        return Use(self._kept, "BEGIN")

    snapshot = read  # which it is anyway

    def write(self) -> AbstractContextManager[sa.Connection]:
        return self._in_turn(self._kept)

    def write_small(self) -> AbstractContextManager[sa.Connection]:
        """Open a write transaction for small pieces of work, which may use savepoints."""
        return self._in_turn(self._kept_for_small)

    @contextmanager
    def _in_turn(self, kept: "_Kept") -> Iterator[sa.Connection]:
        with self._turn or nullcontext(), Use(kept, _BEGIN_WRITING) as connection:
            yield connection

    def lost(self) -> None:
        """Do nothing: nothing is between this process and its file."""

    def dispose(self) -> None:
        self._kept.close()
        self._kept_for_small.close()
        if self._turn:
            self._turn.close()


class _Kept:
    """Connections that stay open. The one that was used last is used next: its cache is warm."""

    def __init__(self, engine: sa.Engine, first: str = "") -> None:
        """`first` is run on each new connection."""
        self._engine = engine
        self._first = first
        self._free: list[sa.Connection] = []

    def take(self) -> sa.Connection:
        try:
            return self._free.pop()
        except IndexError:
            connection = self._engine.connect()
            if self._first:
                driver(connection).execute(self._first)
            return connection

    def give_back(self, connection: sa.Connection) -> None:
        if driver(connection).in_transaction or len(self._free) >= _MOST_KEPT:
            connection.close()
        else:
            self._free.append(connection)

    def undo(self, connection: sa.Connection, _error: BaseException) -> None:
        with suppress(sa.exc.DBAPIError, sqlite3.Error):
            _roll_back(connection)

    def close(self) -> None:
        while self._free:
            self._free.pop().close()


class _WriteTurn:
    """Whose turn it is to write to a database: threads queue on a lock, processes on a locked file.

    Both are fair and wake the next writer at once; SQLite itself lets a writer sleep for up to 100 ms between attempts.
    """

    def __init__(self, database: str) -> None:
        self._path = f"{database}-turn"
        self._lock = threading.Lock()
        self._file: int | None = None

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        assert self._file is not None  # noqa: S101 - it was opened on the way in
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._lock.release()

    def close(self) -> None:
        """Close the file, so that a forked process opens its own: processes that share the file share its lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def check_owner(database: str) -> None:
    """Refuse to open another user's database: SQLite would only say that it is read-only. Raises CONFLICT."""
    path = Path(database)
    with suppress(FileNotFoundError):
        owner = path.stat().st_uid
        if owner != os.geteuid() and not os.access(path, os.R_OK | os.W_OK):
            raise conflict(
                f"{path} belongs to the operating system user {_user(owner)}, and {_user(os.geteuid())} can't write to "
                f"it: run this command as {_user(owner)}."
            )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # usual in containers
        return str(number)


def _create_for_its_owner(
    _dialect: sa.Dialect, _record: "ConnectionPoolEntry", arguments: list[Any], options: dict[str, Any]
) -> None:
    """Create a new database so that other users of the machine can't read it, whatever its folder allows. Its log gets
    the same rights from SQLite.
    """
    path = arguments[0]
    if path and path != ":memory:" and not options.get("uri"):
        # Never for an existing file: closing it would release the locks of this process's other connections.
        with suppress(OSError):  # SQLite will say what is wrong
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def _set_up(synchronous: str, connection: "DBAPIConnection", _record: "ConnectionPoolEntry") -> None:
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - tells mypy which driver this is
    connection.isolation_level = None  # transactions are begun by `SqliteTransactions` alone
    _use_wal(connection)
    for pragma in (
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        f"cache_size=-{_PAGE_CACHE_KB}",
        f"cache_spill={_SPILL_PAGES}",
        f"wal_autocheckpoint={_LOG_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    # LIKE in MLflow's filters is case-sensitive; ILIKE folds both sides.
    connection.execute("PRAGMA case_sensitive_like=ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Write ahead to a log. While another connection switches a fresh database to it, SQLite refuses at once instead of
    waiting as it does elsewhere, so the waiting is done here.
    """
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_BUSY_STEP_SECONDS)
        else:
            return

"""The connection to SQLite or PostgreSQL."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

from mltrail_server.domain.errors import conflict, invalid, unavailable

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

_BUSY_SECONDS = 30
_FOREIGN_KEY_VIOLATION, _UNIQUE_VIOLATION = "23503", "23505"


class Database:
    """Gives out transactions: `read()` and `write()` are the only ways to a connection.

    A `write()` on SQLite takes the write lock when it begins (`BEGIN IMMEDIATE`), so that no transaction that has read
    is refused when it comes to write. Threads of one process queue for it on a lock of ours, which is fair and wakes at
    once, where SQLite would sleep and poll.
    """

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite")
        if url.startswith("postgresql:"):
            url = url.replace("postgresql:", "postgresql+psycopg:", 1)
        connect_args = {"timeout": _BUSY_SECONDS} if self.is_sqlite else {}
        self.engine = sa.create_engine(url, connect_args=connect_args, pool_pre_ping=not self.is_sqlite, pool_size=16)
        self._writer = self.engine.execution_options(mltrail_write=True)
        self._write_turn = threading.Lock() if self.is_sqlite else nullcontext()
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads: one consistent view."""
        with _answering(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end, or rolled back when an error leaves the block."""
        with self._write_turn, _answering(), self._writer.begin() as connection:
            yield connection

    def ping(self) -> None:
        """Raise `MltrailError` when the database does not answer."""
        with self.read() as connection:
            connection.exec_driver_sql("SELECT 1")

    def dispose(self) -> None:
        self.engine.dispose()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (DataError, OverflowError) as error:
        # PostgreSQL keeps no NUL in a text, and neither database keeps an integer of more than 64 bits.
        raise invalid(
            "The request holds a value that can't be stored: a NUL character in a text, or a number out of range."
        ) from error
    except IntegrityError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == _FOREIGN_KEY_VIOLATION:
            raise conflict("Another call has just deleted what this one is about; nothing was stored.") from error
        if state != _UNIQUE_VIOLATION:
            raise
        # PostgreSQL has many writers: somebody has stored, since we looked, what must be there only once.
        raise unavailable("Another call has just stored the same; try again.", retry_after=1) from error
    except OperationalError as error:
        raise unavailable("The database does not answer just now; try again in a moment.") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise unavailable("The connection to the database was lost; try again in a moment.") from error
        raise


def _prepare_sqlite(connection: "DBAPIConnection", _record: "ConnectionPoolEntry") -> None:
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - tells mypy which driver this is
    # We begin transactions ourselves, see `_begin_sqlite`.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-16000"):
        connection.execute(f"PRAGMA {pragma}")
    # LIKE in MLflow's filters is case-sensitive; ILIKE folds both sides.
    connection.execute("PRAGMA case_sensitive_like=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("mltrail_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

"""Connections to PostgreSQL, and the read replica, which may be down."""

import logging
import threading
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_log = logging.getLogger(__name__)
_CONNECT_SECONDS = 2
_AWAY_SECONDS = 10.0
"""How long a replica that did not answer is not asked again: otherwise each search would wait for it."""


class Replica:
    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(
            url,
            connect_args={"connect_timeout": _CONNECT_SECONDS, "options": "-c default_transaction_read_only=on"},
            pool_pre_ping=True,
            pool_size=16,
            pool_timeout=_CONNECT_SECONDS,
        )
        self._away_until = 0.0
        self._lock = threading.Lock()

    def connect(self) -> sa.Connection | None:
        """Return a connection, or None while the replica is down."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return self._engine.connect()
        except (DBAPIError, PoolTimeoutError) as error:
            self._away(error)
            return None

    def dispose(self) -> None:
        self._engine.dispose()

    def _away(self, error: Exception) -> None:
        with self._lock:
            if time.monotonic() < self._away_until:
                return
            self._away_until = time.monotonic() + _AWAY_SECONDS
        _log.warning("the replica does not answer, the database searches meanwhile: %s", type(error).__name__)


if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

_IDLE_SECONDS = 2.0


class PostgresTransactions:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        # On PostgreSQL each statement sees what has been committed by then, in a transaction or not: for reading,
        # BEGIN and COMMIT would be two wasted round trips.
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(engine, "connect", self._set_up)
        self.statement_seconds = 0.0
        event.listen(engine, "checkin", _note_time)
        event.listen(engine, "checkout", _check_idle)

    def read(self) -> AbstractContextManager[sa.Connection]:
        return self._reader.begin()

    def snapshot(self) -> AbstractContextManager[sa.Connection]:
        return self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True).begin()

    def write(self) -> AbstractContextManager[sa.Connection]:
        return self._engine.begin()

    def dispose(self) -> None:
        """Do nothing: the engine owns all connections."""

    def _set_up(self, connection: "DBAPIConnection", _record: "ConnectionPoolEntry") -> None:
        """Switch the JIT off, since PostgreSQL would spend 20 ms on compiling to save 1 ms; and limit how long a
        statement may take.
        """
        cursor = connection.cursor()
        cursor.execute("SET jit = off")
        if self.statement_seconds:
            cursor.execute(f"SET statement_timeout = {round(1000 * self.statement_seconds)}")
        connection.commit()


def _note_time(_connection: "DBAPIConnection | None", record: "ConnectionPoolEntry") -> None:
    record.info["idle_since"] = time.monotonic()


def _check_idle(connection: "DBAPIConnection", record: "ConnectionPoolEntry", _proxy: object) -> None:
    """Make sure that a connection that has been idle is still alive: the server may have been restarted. One that was
    used a moment ago is not checked, since that costs a round trip.
    """
    idle_since = record.info.get("idle_since")
    if idle_since is None or time.monotonic() - idle_since < _IDLE_SECONDS:
        return
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        connection.rollback()
    except Exception as error:
        raise DisconnectionError from error  # the pool opens a new one

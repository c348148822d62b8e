"""How connections to PostgreSQL are used and kept alive."""

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

_IDLE_SECONDS = 2.0


class Transactions:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        # PostgreSQL shows each statement what is committed by then, in a transaction or out of one: for what only
        # reads, BEGIN and COMMIT would be two round trips for nothing.
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(engine, "connect", self._set_up)
        self.statement_seconds = 0.0
        event.listen(engine, "checkin", _note_time)
        event.listen(engine, "checkout", _check_idle)

    def read(self) -> AbstractContextManager[sa.Connection]:
        return self._reader.begin()

    def write(self) -> AbstractContextManager[sa.Connection]:
        return self._engine.begin()

    def dispose(self) -> None:
        """All connections are the engine's."""

    def _set_up(self, connection: "DBAPIConnection", _record: "ConnectionPoolEntry") -> None:
        """Have statements interpreted: PostgreSQL takes some of ours for long ones, and compiles 20 ms to save one. And
        have none take for ever.
        """
        cursor = connection.cursor()
        cursor.execute("SET jit = off")
        if self.statement_seconds:
            cursor.execute(f"SET statement_timeout = {round(1000 * self.statement_seconds)}")
        connection.commit()


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

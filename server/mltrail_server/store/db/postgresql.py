"""Connections to PostgreSQL, and the read replica, which may be down."""

import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mltrail_server.telemetry.measured import MEASURED

from . import failures
from .named_statements import name_queries

_log = logging.getLogger(__name__)
_CONNECT_SECONDS = 2
POOL_SIZE = 16
MOST_CONNECTIONS = POOL_SIZE + 10
"""Including those that SQLAlchemy opens for a while when the pool is empty."""
_AWAY_SECONDS = 10.0
"""How long a replica that did not answer is not asked again: otherwise each search would wait for it."""

_LOST_CONNECTION = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
}
"""When the database's machine is taken for dead: after 3 s without an answer to a new connection, else after 10 s. By
default, Linux would wait a quarter of an hour for a machine that was cut off. A URL's own parameters take precedence.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""
_SEVERAL_HOSTS = re.compile(r"(?P<scheme>[^:]+://)(?P<user>[^/?]*@)?(?P<hosts>[^/?@]*,[^/?@]*)(?P<rest>.*)", re.DOTALL)


def engine(url: str, *, pool_timeout: float = 30, pre_ping: bool = False, **given: object) -> sa.Engine:
    """Create an engine for a URL that may name several hosts, as libpq's can. `given` are parameters of libpq."""
    parsed = sa.make_url(_by_host(url))
    given = {name: value for name, value in (_LOST_CONNECTION | given).items() if name not in parsed.query}
    made = sa.create_engine(
        parsed, connect_args=given, pool_size=POOL_SIZE, pool_timeout=pool_timeout, pool_pre_ping=pre_ping
    )
    _Hosts(made)
    return made


def _by_host(url: str) -> str:
    """Write `a:1,b:2` as libpq's URLs do in SQLAlchemy's way: `host=a:1&host=b:2`."""
    found = _SEVERAL_HOSTS.fullmatch(url)
    if found is None:
        return url
    path, mark, query = found["rest"].partition("?")
    hosts = "&".join(f"host={host}" for host in found["hosts"].split(","))
    return f"{found['scheme']}{found['user'] or ''}{path}?{hosts}{'&' if mark else ''}{query}"


class _Hosts:
    """Of several hosts, first tries the one that last worked: the first one named may be cut off, and each new
    connection would wait for it.
    """

    def __init__(self, made: sa.Engine) -> None:
        self._last = ("", "")
        event.listen(made, "do_connect", self._put_first)
        event.listen(made, "connect", self._note)

    def _put_first(self, _dialect: object, _record: object, _args: object, given: dict[str, Any]) -> None:
        hosts, ports = given.get("host", "").split(","), str(given.get("port", "")).split(",")
        if len(hosts) > 1:
            pairs = list(zip(hosts, ports if len(ports) > 1 else ports * len(hosts), strict=True))
            pairs.sort(key=lambda pair: (pair[0], pair[1] or "5432") != self._last)
            given["host"], given["port"] = (",".join(part) for part in zip(*pairs, strict=True))

    def _note(self, connection: "Any", _record: object) -> None:  # noqa: ANN401 - psycopg's
        self._last = (connection.info.host, str(connection.info.port))


class Replica:
    def __init__(self, url: str) -> None:
        self._engine = engine(
            url,
            pool_timeout=_CONNECT_SECONDS,
            pre_ping=True,
            connect_timeout=_CONNECT_SECONDS,
            options="-c default_transaction_read_only=on",
        )
        name_queries(self._engine)
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
        self._lost = 0.0
        event.listen(engine, "checkin", _note_time)
        event.listen(engine, "checkout", self._check)
        event.listen(engine, "checkout", self._taken)
        event.listen(engine, "checkin", self._given_back)

    def read(self) -> AbstractContextManager[sa.Connection]:
        self._count_wait()
        return _without_stale_plans(self._reader)

    def snapshot(self) -> AbstractContextManager[sa.Connection]:
        return self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True).begin()

    def write(self) -> AbstractContextManager[sa.Connection]:
        self._count_wait()
        return _without_stale_plans(self._engine)

    def lost(self) -> None:
        """Never again use connections that are idle now: they lead to the same machine as one that was just lost."""
        self._lost = time.monotonic()

    def _count_wait(self) -> None:
        if self._used() >= MOST_CONNECTIONS:
            MEASURED.to.waited_for_connection()

    def _used(self) -> int:
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, sa.QueuePool) else 0

    def _taken(self, *_: object) -> None:
        MEASURED.to.connections(self._used(), MOST_CONNECTIONS)

    def _given_back(self, *_: object) -> None:
        MEASURED.to.connections(max(0, self._used() - 1), MOST_CONNECTIONS)  # which the pool does not know yet

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

    def _check(self, connection: "DBAPIConnection", record: "ConnectionPoolEntry", _proxy: object) -> None:
        """Make sure that a connection that has been idle is still alive: the server may have been restarted. One that
        was used a moment ago is not asked, since that costs a round trip.
        """
        idle_since = record.info.get("idle_since")
        if idle_since is None:
            return
        if idle_since <= self._lost or connection.closed:
            raise DisconnectionError  # the pool opens a new one
        if time.monotonic() - idle_since < _IDLE_SECONDS:
            return
        try:
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            connection.rollback()
        except Exception as error:
            self.lost()
            raise DisconnectionError from error


@contextmanager
def _without_stale_plans(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction, and close its connection for good if what it has prepared is out of date."""
    with engine.begin() as connection:
        try:
            yield connection
        except Exception as error:
            if failures.is_stale_plan(error):
                connection.invalidate()
            raise


def _note_time(_connection: "DBAPIConnection | None", record: "ConnectionPoolEntry") -> None:
    record.info["idle_since"] = time.monotonic()

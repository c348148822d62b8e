"""Connections to PostgreSQL, and the read replica, which may be down.

As on SQLite, a transaction is begun and ended by the driver itself, on a connection that stays open: SQLAlchemy's pool
and transactions would take 80 us of each call.
"""

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mltrail_server.telemetry.measured import MEASURED

from . import failures
from .kept import Use
from .named_statements import name_queries
from .statements import driver

_log = logging.getLogger(__name__)
_CONNECT_SECONDS = 2
POOL_SIZE = 16
"""How many connections stay open."""
MOST_CONNECTIONS = POOL_SIZE + 10
"""Including those that are closed after their use."""
_WAIT_SECONDS = 30.0
"""For one of them, before a call is refused."""
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


_NO_POOL: Mapping[str, Any] = MappingProxyType({"poolclass": sa.NullPool})


def engine(url: str, *, pool: Mapping[str, Any] = _NO_POOL, **given: object) -> sa.Engine:
    """Create an engine for a URL that may name several hosts, as libpq's can. `given` are parameters of libpq.

    By default it keeps no connections: `PostgresTransactions` does.
    """
    parsed = sa.make_url(_by_host(url))
    given = {name: value for name, value in (_LOST_CONNECTION | given).items() if name not in parsed.query}
    made = sa.create_engine(parsed, connect_args=given, **pool)
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
            pool={"pool_size": POOL_SIZE, "pool_timeout": _CONNECT_SECONDS, "pool_pre_ping": True},
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
_IDLE = 0
"""The driver's word for a connection without a transaction (`psycopg.pq.TransactionStatus`)."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """A call that waits for a connection until `ready` is released; then it has one, or is to open one."""

    ready: threading.Lock = field(default_factory=threading.Lock)
    free: tuple[sa.Connection, float] | None = None

    def __post_init__(self) -> None:
        self.ready.acquire()


class PostgresTransactions:
    """Transactions on connections that stay open. The one that was used last is used next: it has prepared what is
    being asked.

    The driver begins no transaction by itself. So for reading there is none, and no BEGIN and COMMIT, which would be
    two wasted round trips: on PostgreSQL each statement sees what has been committed by then, in a transaction or not.

    Connections are opened one at a time. Opening one takes 25 ms, and its first statements 20 ms more, since a new
    PostgreSQL process does not know any tables yet; most statements take 1 ms, so others become free meanwhile. So a
    thread opens the new one, while the call that needs it waits for whichever is ready first. Calls that wait take
    turns: otherwise those that are running would come first again and again, and a call would wait a hundred times as
    long as most do.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        event.listen(engine, "connect", self._set_up)
        self.statement_seconds = 0.0
        self._lost = 0.0
        self._lock = threading.Lock()  # of all below
        self._free: list[tuple[sa.Connection, float]] = []  # and since when nobody has used it
        self._waiting: deque[_Waiter] = deque()
        self._used = 0  # or about to be opened
        self._opening = False
        self._opener: threading.Thread | None = None

    def read(self) -> AbstractContextManager[sa.Connection]:
        return Use(self, "")

    once = read

    def snapshot(self) -> AbstractContextManager[sa.Connection]:
        return Use(self, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def write(self) -> AbstractContextManager[sa.Connection]:
        return Use(self, "BEGIN")

    def lost(self) -> None:
        """Never again use connections that are idle now: they lead to the same machine as one that was just lost."""
        self._lost = time.monotonic()

    def dispose(self) -> None:
        """Close all connections that nobody uses now."""
        with self._lock:
            opener = self._opener
        if opener is not None:
            opener.join()
        with self._lock:
            free, self._free = self._free, []
        for connection, _ in free:
            _close(connection)

    def take(self) -> sa.Connection:
        """Return a connection that is alive. Raises SQLAlchemy's `TimeoutError` if none becomes free in time."""
        free = self._begin_use()
        MEASURED.to.connections(self._used)
        try:
            while free is not None and not self._lives(*free):
                _close(free[0])
                with self._lock:
                    free = self._free.pop() if self._free else None
            if free is not None:
                return free[0]
            try:
                return self._opened()
            finally:
                self._end_opening()
        except BaseException:
            self._end_use(None)
            raise

    def give_back(self, connection: sa.Connection) -> None:
        """Keep a connection for the next one, unless it is broken or there are enough."""
        keep = len(self._free) < POOL_SIZE and not connection.invalidated and _is_idle(connection)
        if not keep:
            _close(connection)
        self._end_use(connection if keep else None)
        MEASURED.to.connections(self._used)

    def _begin_use(self) -> tuple[sa.Connection, float] | None:
        """Take a free connection; None if one has to be opened."""
        with self._lock:
            if self._free or not self._used:
                self._used += 1
                self._opening = self._opening or not self._free
                return self._free.pop() if self._free else None
            if self._used >= MOST_CONNECTIONS:
                MEASURED.to.waited_for_connection()
            waiter = _Waiter()
            self._waiting.append(waiter)
            self._let_open()
        if not waiter.ready.acquire(timeout=_WAIT_SECONDS):
            with self._lock:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                    raise PoolTimeoutError(f"no connection has become free within {_WAIT_SECONDS:.0f} s")
        return waiter.free

    def _end_use(self, kept: sa.Connection | None) -> None:
        """Hand a connection to the call that has waited longest, or keep it for the next one."""
        with self._lock:
            if kept is not None and self._waiting:
                waiter = self._waiting.popleft()
                waiter.free = (kept, time.monotonic())
                waiter.ready.release()
                return
            self._used -= 1
            if kept is not None:
                self._free.append((kept, time.monotonic()))
            else:
                self._let_open()

    def _let_open(self) -> None:
        """Have a connection opened for the call that has waited longest, unless another is being opened."""
        if self._waiting and not self._opening and self._used < MOST_CONNECTIONS:
            self._opening = True
            self._used += 1
            self._opener = threading.Thread(target=self._open, name="new connection", daemon=True)
            try:
                self._opener.start()
            except RuntimeError:  # the system has no thread left: the call itself opens it
                self._opener = None
                self._waiting.popleft().ready.release()

    def _open(self) -> None:
        """Open a connection, and give it to the next call in line."""
        try:
            connection = self._opened()
        except Exception:  # noqa: BLE001 - the waiting calls find out what is wrong
            self._end_use(None)
        else:
            self.give_back(connection)
        finally:
            self._end_opening()

    def _opened(self) -> sa.Connection:
        MEASURED.to.connections_limit(MOST_CONNECTIONS)
        try:
            connection = self._engine.connect()
            driver(connection).autocommit = True
        except BaseException:
            with self._lock:  # the server may be down: the others need not find out one after the other
                while self._waiting and self._used < MOST_CONNECTIONS:
                    self._used += 1
                    self._waiting.popleft().ready.release()
            raise
        return connection

    def _end_opening(self) -> None:
        with self._lock:
            self._opening = False
            self._let_open()

    def _lives(self, connection: sa.Connection, idle_since: float) -> bool:
        """Return whether a connection can be used: the server may have been restarted. One that was used a moment ago
        is not asked, since that costs a round trip.
        """
        if idle_since <= self._lost or driver(connection).closed:
            return False
        if time.monotonic() - idle_since < _IDLE_SECONDS:
            return True
        try:
            driver(connection).execute("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever is wrong, another one is opened
            self.lost()
            return False
        return True

    def _set_up(self, connection: "DBAPIConnection", _record: "ConnectionPoolEntry") -> None:
        """Switch the JIT off, since PostgreSQL would spend 20 ms on compiling to save 1 ms; and limit how long a
        statement may take.
        """
        cursor = connection.cursor()
        cursor.execute("SET jit = off")
        if self.statement_seconds:
            cursor.execute(f"SET statement_timeout = {round(1000 * self.statement_seconds)}")
        connection.commit()

    def undo(self, connection: sa.Connection, error: BaseException) -> None:
        if failures.is_stale_plan(error):
            connection.invalidate()  # it is closed for good: its prepared statements are out of date
        # What can't be rolled back is not kept: see `give_back`.
        with suppress(Exception):
            if not connection.invalidated and not _is_idle(connection):
                # Not through psycopg, which would make PostgreSQL forget all prepared statements.
                driver(connection).pgconn.exec_(b"ROLLBACK")
            connection.rollback()


def _is_idle(connection: sa.Connection) -> bool:
    return bool(driver(connection).pgconn.transaction_status == _IDLE)


def _close(connection: sa.Connection) -> None:
    with suppress(Exception):  # the server may be gone
        if driver(connection).closed:
            connection.invalidate()  # SQLAlchemy would try to reset it, and log that it can't
        connection.close()

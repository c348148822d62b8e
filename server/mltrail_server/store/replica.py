"""The read replica: a PostgreSQL that follows the database, and may be away."""

import logging
import threading
import time

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_log = logging.getLogger(__name__)
_CONNECT_SECONDS = 2
_AWAY_SECONDS = 10.0
"""How long a replica that did not answer is left alone: otherwise each search would wait for it."""


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
        """Answer a connection, or None while the replica is away."""
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

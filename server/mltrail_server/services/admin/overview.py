"""What an operator watches over all projects: whether the worker keeps up, notes are posted, and how much is stored."""

import logging
import threading
from dataclasses import dataclass

from mltrail_server.services.context.deps import Deps
from mltrail_server.store.admin import overview as store

_log = logging.getLogger(__name__)
_MAX_AGE_MS = 60_000
_FIRST_WAIT_SECONDS = 1.0
"""How long the first call waits for the slow counts. A large database takes longer, and then a later call has them."""


@dataclass(frozen=True, slots=True)
class SlowCounts:
    notes_not_posted: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Overview:
    """`counts` is None until they have been counted for the first time."""

    due: int
    lag_ms: int
    counts: SlowCounts | None


class OverviewReader:
    """Reads the overview. Counts that read a row for each file or merge request run in a thread of their own, at most
    once a minute, so that no caller waits for them.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._counts: SlowCounts | None = None
        self._stale_at = 0
        self._counting = threading.Lock()

    def read(self) -> Overview:
        now = self._deps.clock()
        if now >= self._stale_at and self._counting.acquire(blocking=False):
            thread = threading.Thread(target=self._count, args=(now,), name="overview", daemon=True)
            thread.start()
            if self._counts is None:
                thread.join(_FIRST_WAIT_SECONDS)
        with self._deps.db.read() as connection:
            waiting = store.waiting(connection, now=now)
        lag = 0 if waiting.since_ms is None else max(0, now - waiting.since_ms)
        return Overview(waiting.due, lag, self._counts)

    def _count(self, now: int) -> None:
        try:
            with self._deps.db.read() as connection:
                self._counts = SlowCounts(store.notes_not_posted(connection), store.stored_bytes(connection))
            self._stale_at = now + _MAX_AGE_MS
        except Exception:  # noqa: BLE001 - the next call tries it again
            _log.warning("the counts of all projects for /metrics failed", exc_info=True)
        finally:
            self._counting.release()

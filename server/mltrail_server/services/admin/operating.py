"""What an operator watches: does the worker keep up, are notes posted, how much is stored."""

import logging
import threading
from dataclasses import dataclass

from mltrail_server.services.context.deps import Deps
from mltrail_server.store.admin import overview

_log = logging.getLogger(__name__)
_AGE_MS = 60_000
_FIRST_SECONDS = 1.0
"""How long the first answer waits for what is counted beside; a large database takes longer, and tells it next time."""


@dataclass(frozen=True, slots=True)
class Counted:
    notes_not_posted: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Seen:
    """`counted` is None as long as nothing has been counted yet."""

    due: int
    lag_ms: int
    counted: Counted | None


class Overview:
    """Looks at all projects together. What reads a row a file or a merge request is counted in a thread beside, at most
    once a minute, so that nobody who asks waits for it.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._counted: Counted | None = None
        self._stale_at = 0
        self._counting = threading.Lock()

    def look(self) -> Seen:
        now = self._deps.clock()
        if now >= self._stale_at and self._counting.acquire(blocking=False):
            thread = threading.Thread(target=self._count, args=(now,), name="overview", daemon=True)
            thread.start()
            if self._counted is None:
                thread.join(_FIRST_SECONDS)
        with self._deps.db.read() as connection:
            waiting = overview.waiting(connection, now=now)
        lag = 0 if waiting.since_ms is None else max(0, now - waiting.since_ms)
        return Seen(waiting.due, lag, self._counted)

    def _count(self, now: int) -> None:
        try:
            with self._deps.db.read() as connection:
                self._counted = Counted(overview.notes_not_posted(connection), overview.stored_bytes(connection))
            self._stale_at = now + _AGE_MS
        except Exception:  # noqa: BLE001 - the next one who asks has it tried again
            _log.warning("what /metrics tells of all projects could not be counted", exc_info=True)
        finally:
            self._counting.release()

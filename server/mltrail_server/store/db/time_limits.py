"""How long reading from the database may take: what takes longer is cancelled from another thread.

This costs no extra statement, and the limit holds for all statements of a call together. For everything else there is
PostgreSQL's own `statement_timeout`, which is set once per connection.
"""

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1


@dataclass(eq=False, slots=True)
class Reading:
    """A read that is under way. `ended`: it was cancelled."""

    driver: Any
    ends: float
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class _TimeLimits:
    """The reads of a process. One thread watches them, however many databases they read."""

    def __init__(self) -> None:
        self._under_way: dict[int, Reading] = {}
        self._lock = threading.Lock()
        self._watched_in: int | None = None

    def begin(self, driver: Any, seconds: float) -> Reading:  # noqa: ANN401 - sqlite3's or psycopg's
        """Cancel what the driver's connection is doing if it takes longer, until `end`. Raises RuntimeError, and
        limits nothing, if no thread can be started to watch it.
        """
        if self._watched_in != os.getpid():
            self._begin_to_watch()
        one = Reading(driver, time.monotonic() + seconds)
        self._under_way[id(one)] = one
        return one

    def end(self, one: Reading) -> None:
        with one.lock:  # from here on nothing is cancelled: somebody else may be using this connection
            del self._under_way[id(one)]

    def _begin_to_watch(self) -> None:
        with self._lock:
            if self._watched_in != os.getpid():  # a forked process does not have its parent's threads
                threading.Thread(target=self._look, name="time limits", daemon=True).start()
                self._watched_in = os.getpid()

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            for one in list(self._under_way.values()):
                if now > one.ends:
                    with one.lock:
                        if id(one) in self._under_way:
                            self._end(one)

    def _end(self, one: Reading) -> None:
        one.ended = True
        try:
            # Again and again until the block is left: between two statements there is nothing to cancel.
            cancel = getattr(one.driver, "interrupt", None) or one.driver.cancel
            cancel()
        except Exception:  # noqa: BLE001 - the watch goes on
            _log.warning("a search that takes too long could not be cancelled", exc_info=True)


TIME_LIMITS = _TimeLimits()

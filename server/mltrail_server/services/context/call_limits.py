"""How much one process does at once, so that no caller takes all of its threads and connections.

Slow calls (searches, histories, pages) are limited for each caller, each project and in all: a caller over the limit
waits a moment in a short queue and is then refused with 429, and clients try again.

Unknown tokens are limited in all. Each holds a web thread while GitLab is asked about it, so while GitLab is slow an
outsider could hold all threads. Tokens that were checked lately, and ID tokens, need no lookup.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from mltrail_server.domain.errors import Code, MltrailError, unavailable
from mltrail_server.domain.identity import Actor

MOST_OF_ONE = 8
"""Slow calls of one caller, or of one project."""
MOST = 16
MOST_WAITING = 24
WAIT_SECONDS = 2.0
MOST_LOOKUPS = 8

_Key = tuple[str, object]
_ALL: _Key = ("all", None)


class SlowCallLimit:
    """Limits the slow calls of one process."""

    def __init__(self) -> None:
        # A plain lock and dictionaries: a re-entrant lock and `Counter`s would add 5 us to each search.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._running: dict[_Key, int] = {}
        self._waiting: dict[_Key, int] = {}

    def hold(self, actor: Actor) -> AbstractContextManager[None]:
        """Count one slow call of `actor` while the block runs. Raises LIMIT when there is no room for it in time."""
        return _Held(self, (("caller", actor.user_name), ("project", actor.project_id)))

    def hold_across(self, caller: bytes) -> AbstractContextManager[None]:
        """Count one slow call over several projects, of a caller that is known by a key only."""
        return _Held(self, (("caller", caller),))

    def begin(self, keys: tuple[_Key, ...]) -> None:
        with self._lock:
            if not self._has_room(keys):
                self._wait(keys)
            self._take(self._running, (*keys, _ALL))

    def end(self, keys: tuple[_Key, ...]) -> None:
        with self._lock:
            self._give_back(self._running, (*keys, _ALL))
            if self._waiting:
                self._changed.notify_all()

    def _has_room(self, keys: tuple[_Key, ...]) -> bool:
        running = self._running
        for key in keys:
            if running.get(key, 0) >= MOST_OF_ONE:
                return False
        return running.get(_ALL, 0) < MOST

    def _wait(self, keys: tuple[_Key, ...]) -> None:
        if any(self._waiting.get(key, 0) >= MOST_WAITING for key in keys):
            raise _too_many()
        self._take(self._waiting, keys)
        try:
            if not self._changed.wait_for(lambda: self._has_room(keys), WAIT_SECONDS):
                raise _too_many()
        finally:
            self._give_back(self._waiting, keys)

    @staticmethod
    def _take(counts: dict[_Key, int], keys: tuple[_Key, ...]) -> None:
        for key in keys:
            counts[key] = counts.get(key, 0) + 1

    @staticmethod
    def _give_back(counts: dict[_Key, int], keys: tuple[_Key, ...]) -> None:
        for key in keys:
            left = counts[key] - 1
            if left:
                counts[key] = left
            else:
                del counts[key]


@dataclass(slots=True)
class _Held(AbstractContextManager[None]):
    """A generator would do, but a short search would take a tenth longer."""

    limit: SlowCallLimit
    keys: tuple[_Key, ...]

    def __enter__(self) -> None:
        self.limit.begin(self.keys)

    def __exit__(self, *_: object) -> None:
        self.limit.end(self.keys)


class LookupLimit:
    """Limits the tokens that one process looks up in GitLab at once."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(MOST_LOOKUPS)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Count one lookup while the block runs. Raises UNAVAILABLE while too many others are running."""
        if not self._free.acquire(blocking=False):
            raise unavailable("Many new tokens are being looked up in GitLab just now; try again.", retry_after=1)
        try:
            yield
        finally:
            self._free.release()


def _too_many() -> MltrailError:
    return MltrailError(
        Code.LIMIT,
        f"More than {MOST_OF_ONE} searches or pages of yours or of this project are under way. Try again in a moment, "
        "with fewer at the same time.",
        retry_after=1,
    )

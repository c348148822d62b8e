"""How many slow calls (searches, histories, pages) go on at once: for one caller, for one project, and in all.

Without a bound one caller's searches would take all threads and connections of a process, and others would wait for
them. Whoever has used up a share waits a moment in a short queue, and is then sent away with 429; clients try again.

How many tokens may be looked up in GitLab at once.

Whoever sends a token that nobody knows has us ask GitLab, and hold a web thread until it answers. Without a bound an
outsider could hold all of them while GitLab is slow. What is known already, and ID tokens, need no look-up.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mltrail_server.domain.errors import Code, MltrailError, unavailable
from mltrail_server.domain.identity import Actor

AT_ONCE = 8


class Lookups:
    """Of one process."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Look one token up while the block runs. Raises UNAVAILABLE while many others are being looked up."""
        if not self._free.acquire(blocking=False):
            raise unavailable("Many new tokens are being looked up in GitLab just now; try again.", retry_after=1)
        try:
            yield
        finally:
            self._free.release()


MOST_OF_ONE = 8
MOST = 16
MOST_WAITING = 24
WAIT_SECONDS = 2.0


class Shares:
    """Of one process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: Counter[tuple[str, object]] = Counter()
        self._waiting: Counter[tuple[str, object]] = Counter()

    @contextmanager
    def of(self, actor: Actor) -> Iterator[None]:
        """Take a share while the block runs. Raises LIMIT when there is none in time."""
        keys: tuple[tuple[str, object], ...] = (("caller", actor.user_name), ("project", actor.project_id))
        with self._changed:
            if not self._has_room(keys):
                self._wait(keys)
            self._running.update((*keys, _ALL))
        try:
            yield
        finally:
            with self._changed:
                self._give_back(self._running, (*keys, _ALL))
                self._changed.notify_all()

    def _has_room(self, keys: tuple[tuple[str, object], ...]) -> bool:
        return self._running[_ALL] < MOST and all(self._running[key] < MOST_OF_ONE for key in keys)

    def _wait(self, keys: tuple[tuple[str, object], ...]) -> None:
        if any(self._waiting[key] >= MOST_WAITING for key in keys):
            raise _too_many()
        self._waiting.update(keys)
        try:
            if not self._changed.wait_for(lambda: self._has_room(keys), WAIT_SECONDS):
                raise _too_many()
        finally:
            self._give_back(self._waiting, keys)

    @staticmethod
    def _give_back(counts: Counter[tuple[str, object]], keys: tuple[tuple[str, object], ...]) -> None:
        for key in keys:
            counts[key] -= 1
            if not counts[key]:
                del counts[key]


_ALL: tuple[str, object] = ("all", None)


def _too_many() -> MltrailError:
    return MltrailError(
        Code.LIMIT,
        f"More than {MOST_OF_ONE} searches or pages of yours or of this project are under way. Try again in a moment, "
        "with fewer at the same time.",
        retry_after=1,
    )

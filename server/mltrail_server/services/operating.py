"""What an operator watches: does the worker keep up, are notes posted, how much is stored."""

from dataclasses import dataclass

from mltrail_server.store import overview

from .deps import Deps

_BYTES_AGE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Seen:
    due: int
    lag_ms: int
    notes_not_posted: int
    stored_bytes: int


class Overview:
    """Looks at all projects together. Adding up all files reads a row each, so that is done once a minute."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._bytes = (0, 0)  # until when it holds, and how much

    def look(self) -> Seen:
        now = self._deps.clock()
        until, stored = self._bytes
        with self._deps.db.read() as connection:
            waiting = overview.waiting(connection, now=now)
            if now >= until:
                stored = overview.stored_bytes(connection)
                self._bytes = (now + _BYTES_AGE_MS, stored)
        lag = 0 if waiting.since_ms is None else max(0, now - waiting.since_ms)
        return Seen(waiting.due, lag, waiting.notes_not_posted, stored)

"""Who was let in a moment ago."""

import hashlib
from collections import OrderedDict
from threading import Lock

from mltrail_server.domain.identity import Actor

FRESH_MS = 60_000
STALE_MS = 5 * 60_000
_MAX_ENTRIES = 10_000


class Admissions:
    """Actors by the hash of token and project. Holds no token in clear, and no more than some thousand entries."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, tuple[Actor, int]] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def key(token: str, project: str) -> bytes:
        return hashlib.sha256(f"{project}\0{token}".encode()).digest()

    def fresh(self, key: bytes, now: int) -> Actor | None:
        return self._within(key, now, FRESH_MS)

    def stale(self, key: bytes, now: int) -> Actor | None:
        """Answer an actor that is good while GitLab is down. An ID token's is not: it was judged without GitLab."""
        actor = self._within(key, now, FRESH_MS + STALE_MS)
        return None if actor is None or actor.job is not None else actor

    def keep(self, key: bytes, actor: Actor, now: int) -> None:
        with self._lock:
            self._entries[key] = (actor, now)
            self._entries.move_to_end(key)
            while len(self._entries) > _MAX_ENTRIES:
                self._entries.popitem(last=False)

    def forget(self, key: bytes) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def _within(self, key: bytes, now: int, milliseconds: int) -> Actor | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        actor, kept_ms = entry
        expired = actor.job is not None and now > actor.job.expires_ms
        return actor if 0 <= now - kept_ms < milliseconds and not expired else None

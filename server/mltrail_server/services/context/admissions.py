"""Callers who were recently admitted, so that GitLab is not asked about a token on each call."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from mltrail_server.domain.identity import Actor

FRESH_MS = 60_000
STALE_MS = 5 * 60_000
RETRY_MS = 10_000
_MAX_ENTRIES = 10_000


@dataclass(slots=True)
class _Entry:
    actor: Actor
    kept_ms: int
    ask_ms: int  # GitLab is not asked before this time


class Admissions:
    """Actors by the hash of token and project. Holds no token in the clear, and at most ten thousand entries."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def key(token: str, project: str) -> bytes:
        return hashlib.sha256(f"{project}\0{token}".encode()).digest()

    def fresh(self, key: bytes, now: int) -> Actor | None:
        entry = self._valid(key, now)
        return entry.actor if entry and now < entry.ask_ms else None

    def stale(self, key: bytes, now: int) -> Actor | None:
        """Return a cached actor while GitLab is down, and don't ask GitLab again for some seconds: it may hang.

        An ID token rarely needs this: it is verified without GitLab, except for its key and for what an old GitLab
        leaves out of it.
        """
        entry = self._valid(key, now)
        if entry is None:
            return None
        entry.ask_ms = now + RETRY_MS
        return entry.actor

    def keep(self, key: bytes, actor: Actor, now: int) -> None:
        with self._lock:
            self._entries[key] = _Entry(actor, now, now + FRESH_MS)
            self._entries.move_to_end(key)
            while len(self._entries) > _MAX_ENTRIES:
                self._entries.popitem(last=False)

    def forget(self, key: bytes) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def _valid(self, key: bytes, now: int) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        expired = entry.actor.job is not None and now > entry.actor.job.expires_ms
        return entry if 0 <= now - entry.kept_ms < FRESH_MS + STALE_MS and not expired else None

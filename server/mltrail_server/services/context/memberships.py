"""Which projects the bearers of tokens were recently found to be members of: pages that cover several projects would
otherwise ask GitLab on each call, and the search while somebody types.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from .admissions import FRESH_MS, RETRY_MS, STALE_MS

if TYPE_CHECKING:
    from mltrail_server.gitlab.access_tokens import ListedProject

_MAX_ENTRIES = 1_000
"""Of up to five hundred projects each."""


@dataclass(slots=True)
class _Entry:
    projects: "tuple[ListedProject, ...]"
    kept_ms: int
    ask_ms: int  # GitLab is not asked before this time


class Memberships:
    """Projects by the hash of a token: for a minute, and for five more while GitLab does not answer, as in
    `Admissions`.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def key(token: str) -> bytes:
        return hashlib.sha256(token.encode()).digest()

    def fresh(self, key: bytes, now: int) -> "tuple[ListedProject, ...] | None":
        entry = self._entries.get(key)
        return entry.projects if entry and entry.kept_ms <= now < entry.ask_ms and _lasts(entry, now) else None

    def stale(self, key: bytes, now: int) -> "tuple[ListedProject, ...] | None":
        """Return what is known while GitLab is down, and don't ask GitLab again for some seconds: it may hang."""
        entry = self._entries.get(key)
        if entry is None or not _lasts(entry, now):
            return None
        entry.ask_ms = now + RETRY_MS
        return entry.projects

    def keep(self, key: bytes, projects: "tuple[ListedProject, ...]", now: int) -> None:
        with self._lock:
            self._entries[key] = _Entry(projects, now, now + FRESH_MS)
            self._entries.move_to_end(key)
            while len(self._entries) > _MAX_ENTRIES:
                self._entries.popitem(last=False)

    def forget(self, key: bytes) -> None:
        with self._lock:
            self._entries.pop(key, None)


def _lasts(entry: _Entry, now: int) -> bool:
    return 0 <= now - entry.kept_ms < FRESH_MS + STALE_MS

"""What an operator watches over all projects: whether the worker keeps up, notes are posted, and how much is stored."""

import logging
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store.admin import overview as store
from mltrail_server.store.ci import due
from mltrail_server.store.db import migrate

from .expiry import Expiry, ExpiryReader

_log = logging.getLogger(__name__)
_MAX_AGE_MS = 60_000
_FIRST_WAIT_SECONDS = 1.0
"""How long the first call waits for the slow counts. A large database takes longer, and then a later call has them."""


@dataclass(frozen=True, slots=True)
class SlowCounts:
    notes_not_posted: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is due of one kind, and for how long the oldest of it has been."""

    due: int = 0
    lag_ms: int = 0


@dataclass(frozen=True, slots=True)
class Disk:
    free: int
    size: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Until they have been read for the first time, `counts` is None and `expiry` is empty."""

    waiting: Mapping[str, Waiting]
    counts: SlowCounts | None
    revision: str
    last_backup_ms: int | None
    disks: Mapping[str, Disk]
    expiry: Expiry


class OverviewReader:
    """Reads the overview. Counts that read a row for each file or merge request run in a thread of their own, at most
    once a minute, so that no caller waits for them.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._counts: SlowCounts | None = None
        self._stale_at = 0
        self._counting = threading.Lock()
        self._expiry = ExpiryReader(deps)

    def read(self) -> Overview:
        now = self._deps.clock()
        if now >= self._stale_at and self._counting.acquire(blocking=False):
            thread = threading.Thread(target=self._count, args=(now,), name="overview", daemon=True)
            thread.start()
            if self._counts is None:
                thread.join(_FIRST_WAIT_SECONDS)
        with self._deps.db.read() as connection:
            found = store.waiting(connection, now=now)
            last_backup = store.last_backup(connection)
        revision = migrate.revision(self._deps.db) or ""
        waiting = dict.fromkeys(due.KINDS, Waiting())
        waiting |= {kind: Waiting(one.due, max(0, now - one.since_ms)) for kind, one in found.items()}
        return Overview(waiting, self._counts, revision, last_backup, disks(self._deps.settings), self._expiry.read())

    def _count(self, now: int) -> None:
        try:
            with self._deps.db.read() as connection:
                self._counts = SlowCounts(store.notes_not_posted(connection), store.stored_bytes(connection))
            self._stale_at = now + _MAX_AGE_MS
        except Exception:  # noqa: BLE001 - the next call tries it again
            _log.warning("the counts of all projects for /metrics failed", exc_info=True)
        finally:
            self._counting.release()


def disks(settings: Settings) -> dict[str, Disk]:
    """Measure the disks of the folders that this server writes to."""
    folders = {"data": settings.data_path}
    if settings.s3_place is None:
        folders["artifacts"] = settings.artifacts_path
    found = {}
    for name, folder in folders.items():
        with suppress(OSError):  # a folder is made when the first file arrives
            usage = shutil.disk_usage(folder)
            found[name] = Disk(usage.free, usage.total)
    return found

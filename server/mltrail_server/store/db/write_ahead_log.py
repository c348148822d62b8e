"""SQLite's write-ahead log, moved to the database beside the calls that write.

Left to itself, SQLite moves a long log within a commit, which then waits for the disk twice: some 50 ms for one call,
and a seventh of the time of all. So a thread of each server process does it before it comes to that.

https://www.sqlite.org/wal.html#ckpt
"""

import logging
import sqlite3
import threading
import time
from contextlib import AbstractContextManager, closing
from pathlib import Path

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1
_COMMITS = 100
"""After how many commits of this process it looks at the log. Creating a run changes some 30 pages."""
_LONG_PAGES = 4_000
"""From which length on the log is begun anew, for which writers have to wait a moment."""


class WriteAheadLog:
    """The log of one database. `turn` is held while writing, by one thread of all processes."""

    def __init__(self, database: str, turn: AbstractContextManager[None]) -> None:
        self._database = database
        self._turn = turn
        self.commits = 0
        """How many commits there were: threads count without a lock, so it may be a little less."""
        self._seen = 0

    def move_beside(self) -> None:
        """Move the log from now on, in a thread; call it after a fork."""
        threading.Thread(target=self._watch, name="write-ahead log", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            if self.commits - self._seen >= _COMMITS:
                self._seen = self.commits
                try:
                    self.move()
                except sqlite3.Error:  # a commit does it then
                    _log.warning("the write-ahead log could not be moved to the database", exc_info=True)

    def move(self) -> int:
        """Move what is in the log to the database, and return how many pages it holds.

        Writers go on meanwhile, so the log gets longer. If it is long, they wait while the rest is moved, which is
        little: then the next writer begins the log anew.
        """
        file = f"{Path(self._database).absolute().as_uri()}?mode=rw"  # never makes a database
        with closing(sqlite3.connect(file, uri=True, isolation_level=None)) as connection:
            pages = _moved(connection)
            if pages >= _LONG_PAGES:
                with self._turn:
                    pages = _moved(connection)
        return pages


def _moved(connection: sqlite3.Connection) -> int:
    """Move as much as readers and writers allow without waiting; return how many pages the log holds."""
    _busy, pages, _moved_pages = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages)

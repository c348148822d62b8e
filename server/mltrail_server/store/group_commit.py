"""Small writes of several threads in one transaction of SQLite.

One writer at a time is all that SQLite takes, and beginning and committing cost as much as storing a metric does. So
while one thread writes, the others leave their work; whoever comes next does all of it, in one transaction, and each
work is whole or not at all by itself.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa

from .prepared import driver

Work = Callable[[sa.Connection], Any]
_MOST = 64
"""Works of one transaction: others may wait for the write lock, too."""


class _Job:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None

    def attempt(self, connection: sa.Connection) -> None:
        """Do the work; where it fails, the others of its transaction stand."""
        sqlite = driver(connection)
        sqlite.execute("SAVEPOINT work")
        try:
            self.result = self.work(connection)
        except Exception as error:  # noqa: BLE001 - its thread raises it, see `run`
            sqlite.execute("ROLLBACK TO work")
            self.error = error
        sqlite.execute("RELEASE work")


class GroupCommit:
    def __init__(self, write: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._write = write
        self._waiting: deque[_Job] = deque()
        self._turn = threading.Lock()

    def run(self, work: Work) -> Any:  # noqa: ANN401 - what the work answers
        """Do a work within a transaction, perhaps another thread's, and answer when it is committed. It must not open a
        transaction itself. Raises what it raises.
        """
        job = _Job(work)
        self._waiting.append(job)
        with self._turn:
            while not job.done:
                self._lead([self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))])
        if job.error is not None:
            raise job.error
        return job.result

    def _lead(self, jobs: list[_Job]) -> None:
        try:
            with self._write() as connection:
                if len(jobs) == 1:
                    jobs[0].result = jobs[0].work(connection)
                else:
                    for job in jobs:
                        job.attempt(connection)
        except Exception as error:  # noqa: BLE001 - each thread raises it, see `run`
            for job in jobs:
                job.error = job.error or error
        finally:
            for job in jobs:
                job.done = True

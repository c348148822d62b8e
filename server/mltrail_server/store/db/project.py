"""One project's part of the database: the only way to get a `Transaction`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import sqlalchemy as sa

from mltrail_server.domain.clock import Clock
from mltrail_server.domain.ids import ProjectId

from .database import Database
from .transaction import Transaction

T = TypeVar("T")


@dataclass(slots=True)  # not frozen, like `Transaction`
class Project:
    """Gives out the project's transactions. `Database` explains how the kinds differ."""

    database: Database
    project_id: ProjectId
    clock: Clock

    def read(self, *, once: bool = False) -> AbstractContextManager[Transaction]:
        return _Opening(self, self.database.read(once=once))

    def slow_read(self, *, once: bool = False) -> AbstractContextManager[Transaction]:
        return _Opening(self, self.database.slow_read(once=once))

    def search(self) -> AbstractContextManager[Transaction]:
        return _Opening(self, self.database.search())

    def write(self) -> AbstractContextManager[Transaction]:
        return _Opening(self, self.database.write())

    def at_once(self) -> AbstractContextManager[Transaction]:
        """Open a transaction of one statement that writes, on PostgreSQL."""
        return _Opening(self, self.database.at_once())

    def write_together(self, work: Callable[[Transaction], T]) -> T:
        """Do a small piece of work in a transaction that it may share with other threads' work. The work may be
        done twice: see `GroupCommit`.
        """
        return self.database.write_together(lambda connection: work(self.begun(connection)))

    def begun(self, connection: sa.Connection) -> Transaction:
        """Make the transaction of a connection that has just begun one."""
        return Transaction(connection, self.project_id, self.clock())


@dataclass(slots=True)
class _Opening(AbstractContextManager[Transaction]):
    """A generator would do, but it takes two microseconds longer per call."""

    project: Project
    opening: AbstractContextManager[sa.Connection]

    def __enter__(self) -> Transaction:
        return self.project.begun(self.opening.__enter__())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self.opening.__exit__(kind, error, trace)

"""One project's part of the database: the only way to a `Transaction`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from mltrail_server.domain.clock import Clock
from mltrail_server.domain.ids import ProjectId

from .database import Database
from .transaction import Transaction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Project:
    """Gives out the project's transactions. See `Database` for how the ways differ."""

    database: Database
    project_id: ProjectId
    clock: Clock

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self.database.read() as connection:
            yield Transaction(connection, self.project_id, self.clock())

    @contextmanager
    def slow_read(self) -> Iterator[Transaction]:
        with self.database.slow_read() as connection:
            yield Transaction(connection, self.project_id, self.clock())

    @contextmanager
    def search(self) -> Iterator[Transaction]:
        with self.database.search() as connection:
            yield Transaction(connection, self.project_id, self.clock())

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self.database.write() as connection:
            yield Transaction(connection, self.project_id, self.clock())

    def write_together(self, work: Callable[[Transaction], T]) -> T:
        """Do a small piece of work in a transaction that it may share with other threads' work."""
        return self.database.write_together(
            lambda connection: work(Transaction(connection, self.project_id, self.clock()))
        )

"""How a connection that stays open is used, on both databases.

The driver itself begins and ends a transaction. A generator would be easier to read than a class, but slower.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import sqlalchemy as sa

from .statements import driver


class Owner(Protocol):
    """What the connections belong to."""

    def take(self) -> sa.Connection: ...

    def give_back(self, connection: sa.Connection) -> None: ...

    def undo(self, connection: sa.Connection, error: BaseException) -> None:
        """Roll back; must not raise."""


@dataclass(slots=True)
class Use(AbstractContextManager[sa.Connection]):
    """Runs a block on a connection: between `begin` and a commit, if there is a `begin`. An error rolls it back."""

    owner: Owner
    begin: str
    connection: sa.Connection = field(init=False)

    def __enter__(self) -> sa.Connection:
        connection = self.connection = self.owner.take()
        if self.begin:
            try:
                driver(connection).execute(self.begin)
            except BaseException:
                self.owner.give_back(connection)
                raise
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self.connection
        try:
            if error is not None:
                self.owner.undo(connection, error)
            else:
                if self.begin:
                    # The driver's `commit()` would not complain if the transaction had ended already.
                    driver(connection).execute("COMMIT")
                # Statements run by SQLAlchemy make it believe that it has begun a transaction of its own.
                connection.commit()
        except BaseException as failed:
            self.owner.undo(connection, failed)
            raise
        finally:
            self.owner.give_back(connection)

"""A transaction that belongs to one project. Store functions take it, so that none reads or writes without a tenant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVarTuple, overload

import sqlalchemy as sa
from sqlalchemy.sql.selectable import TypedReturnsRows

from mltrail_server.domain.ids import ProjectId

from . import statements
from .statements import Given, Insert, Statement, Tuple

Ts = TypeVarTuple("Ts")


@dataclass(slots=True)  # not frozen: that would triple the cost of creating one, and each call creates some
class Transaction:
    """`now` is when it began, in milliseconds since 1970, so that everything it writes has the same time.

    All statements of a project are run by its methods, which set a `Statement`'s parameter `project_id`.
    """

    connection: sa.Connection
    project_id: ProjectId
    now: int

    @property
    def dialect(self) -> str:
        """The kind of database: sqlite or postgresql."""
        return self.connection.dialect.name

    def one(self, statement: Statement, /, **given: object) -> Tuple | None:
        """Run a statement, and return its first row."""
        given["project_id"] = self.project_id
        row: Tuple | None = statement.run(self.connection, given).fetchone()
        return row

    def one_after(self, first: Statement, second: Statement, /, **given: object) -> Tuple | None:
        """Send two statements together, on PostgreSQL, and return the first row of the second one. In a transaction
        that was opened by `Project.at_once`, they are all of it, and the call waits once.

        https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
        """
        given["project_id"] = self.project_id
        with statements.driver(self.connection).pipeline():
            first.run(self.connection, given)
            cursor = second.run(self.connection, given)
        row: Tuple | None = cursor.fetchone()
        return row

    def all(self, statement: Statement, /, **given: object) -> list[Tuple]:
        given["project_id"] = self.project_id
        rows: list[Tuple] = statement.run(self.connection, given).fetchall()
        return rows

    def run(self, statement: Statement, /, **given: object) -> int:
        """Run a statement, and return how many rows were changed."""
        given["project_id"] = self.project_id
        changed: int = statement.run(self.connection, given).rowcount
        return changed

    def run_many(self, statement: Statement, rows: Sequence[Given | Tuple]) -> int:
        """Run a statement once per row, each of which holds its `project_id`; return how many rows were changed."""
        changed: int = statement.run_many(self.connection, rows).rowcount
        return changed

    @overload
    def execute(
        self, query: TypedReturnsRows[*Ts], given: Given | Sequence[Given] | None = None
    ) -> sa.CursorResult[*Ts]: ...

    @overload
    def execute(
        self, query: sa.Executable, given: Given | Sequence[Given] | None = None
    ) -> sa.CursorResult[*tuple[Any, ...]]: ...

    def execute(
        self, query: sa.Executable, given: Given | Sequence[Given] | None = None
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        """Run a query that was built for this call. It must filter on `project_id` itself."""
        return self.connection.execute(query, given)

    def insert(self, table: sa.Table) -> Insert:
        """Begin an INSERT that can have an ON CONFLICT clause."""
        return statements.insert_into(self.dialect, table)

    def listed(self, numbers: Sequence[int]) -> str | list[int]:
        """Return the value of a parameter that `statements.is_in` compares with."""
        return statements.listed(self.dialect, numbers)

    def upsert(self, table: sa.Table, rows: Iterable[Given], *, update: Iterable[str] = ()) -> int:
        """Insert rows in one statement. Where the key exists already, overwrite the columns `update`, or without any
        keep the row. Returns how many rows were inserted or overwritten.

        All rows must name the same columns, and no two may have the same key.
        """
        values = list(rows)
        if not values:
            return 0
        if defaults := statements.defaults_of(table, tuple(values[0])):
            values = [defaults | dict(row) for row in values]
        columns = tuple(values[0])
        if self.dialect == "postgresql":
            arrays = {name: [row[name] for row in values] for name in columns}
            changed: int = statements.upsert_arrays(table, columns, tuple(update)).run(self.connection, arrays).rowcount
            return changed
        return self.run_many(statements.upsert_rows(table, columns, tuple(update)), values)

    def next_number(self, name: str, *, count: int = 1) -> int:
        """Take the next `count` numbers of the project's counter, which begins with 1, and return the first of them."""
        row = self.one(statements.NEXT_NUMBER, name=name, value=count)
        last: int = row[0] if row else 0
        return last - count + 1

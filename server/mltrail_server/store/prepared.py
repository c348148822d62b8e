"""Statements that are written in SQLAlchemy, compiled once, and run by the driver itself.

What a training loop waits for goes this way: SQLAlchemy takes 20 to 45 us to run a statement that is built already,
SQLite's driver 2 to 5. Everything else goes through `connection.execute`, which costs nobody anything that is felt.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

Given = Mapping[str, Any]
Tuple = tuple[Any, ...]


class Prepared:
    """A statement with named parameters (`sa.bindparam`); rows come back as plain tuples, as the driver makes them.

    For an INSERT, `columns` names those that are given. Nothing converts values on their way: neither database needs it
    for numbers, texts and booleans, which is all that this is for.
    """

    statements: ClassVar["list[Prepared]"] = []
    """All of them, for the test of tenant isolation."""

    def __init__(
        self, statement: sa.Executable | Callable[[str], sa.Executable], *, columns: Sequence[str] | None = None
    ) -> None:
        """Take a statement, or what makes it for a dialect where the two databases need different ones."""
        self.build = statement if callable(statement) else lambda _dialect: statement
        self._columns = columns
        self._constants: dict[str, Any] = {}
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None]] = {}
        self.statements.append(self)

    def one(self, connection: sa.Connection, given: Given) -> Tuple | None:
        row: Tuple | None = self._run(connection, given).fetchone()
        return row

    def all(self, connection: sa.Connection, given: Given) -> list[Tuple]:
        rows: list[Tuple] = self._run(connection, given).fetchall()
        return rows

    def run(self, connection: sa.Connection, given: Given) -> int:
        """Run, and answer how many rows were changed."""
        changed: int = self._run(connection, given).rowcount
        return changed

    def run_many(self, connection: sa.Connection, rows: Sequence[Given]) -> int:
        """Run once for each row, in one call of the driver, and answer how many rows were changed in all."""
        sql, names = self._sql(connection)
        values = rows if names is None else [tuple(row[name] for name in names) for row in rows]
        announce(connection, sql, values, many=True)
        cursor = driver(connection).cursor()
        cursor.executemany(sql, values)
        changed: int = cursor.rowcount
        return changed

    def _run(self, connection: sa.Connection, given: Given) -> Any:  # noqa: ANN401 - a cursor of either driver
        sql, names = self._sql(connection)
        if self._constants:
            given = {**self._constants, **given}
        values = given if names is None else tuple([given[name] for name in names])
        announce(connection, sql, values)
        return driver(connection).execute(sql, values)

    def _sql(self, connection: sa.Connection) -> tuple[str, tuple[str, ...] | None]:
        """Compile for this kind of database; the names are in the order of SQLite's question marks."""
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            columns = None if self._columns is None else list(self._columns)
            compiled = self.build(connection.dialect.name).compile(dialect=connection.dialect, column_keys=columns)  # type: ignore[attr-defined] # every executable has it
            names = compiled.positiontup
            # A number in the statement is a parameter, too, and so is the OFFSET 0 that goes with SQLite's LIMIT.
            self._constants |= {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}
            found = str(compiled), None if names is None else tuple(names)
            self._compiled[connection.dialect.name] = found
        return found


def is_in(column: sa.ColumnElement[int], name: str, dialect: str) -> sa.ColumnElement[bool]:
    """Compare with a list of numbers of any length that goes as one value, made by `listed`."""
    if dialect == "postgresql":
        numbers: sa.ColumnElement[Any] = sa.cast(sa.bindparam(name), postgresql.ARRAY(sa.BigInteger))
        return column == sa.any_(numbers)
    return column.in_(sa.select(sa.func.json_each(sa.bindparam(name)).table_valued("value").c.value))


def listed(connection: sa.Connection, numbers: Sequence[int]) -> str | list[int]:
    return list(numbers) if connection.dialect.name == "postgresql" else json.dumps(list(numbers))


def driver(connection: sa.Connection) -> Any:  # noqa: ANN401 - sqlite3's connection, or psycopg's
    return connection.connection.driver_connection


def announce(connection: sa.Connection, sql: str, values: object, *, many: bool = False) -> None:
    """Tell whoever listens to the engine's statements, as SQLAlchemy would."""
    for listener in connection.engine.dispatch.before_cursor_execute:
        listener(connection, None, sql, values, None, many)

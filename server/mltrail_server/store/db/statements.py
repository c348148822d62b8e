"""Small SQL helpers that every aggregate uses.

SQLAlchemy takes some 80 us to build a statement. So what a training loop waits for is built once, as a constant of its
module with named parameters, or kept here by table; see also `prepared`.

Statements that are written in SQLAlchemy, compiled once, and run by the driver itself.

What a training loop waits for goes this way: SQLAlchemy takes 20 to 45 us to run a statement that is built already,
SQLite's driver 2 to 5. Everything else goes through `connection.execute`, which costs nobody anything that is felt.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from mltrail_server.store import schema

from .transaction import Transaction

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


Values = Mapping[str, Any]
Row = sa.Row[*tuple[Any, ...]]
Query = sa.Select[Any]


def insert_for(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Make an INSERT that knows ON CONFLICT, in the database's own dialect."""
    return _insert(connection.dialect.name, table)


def _insert(dialect: str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def add_new(dialect: str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Build an INSERT that passes over rows whose key is there already."""
    return _or(_insert(dialect, table), table, ())


def upsert(connection: sa.Connection, table: sa.Table, rows: Iterable[Values], *, update: Iterable[str] = ()) -> int:
    """Insert rows in one statement; where the key is there already, overwrite the columns `update`, or keep the row.
    Answers how many rows were inserted or overwritten.

    All rows name the same columns, and no two have the same key.
    """
    values = list(rows)
    if not values:
        return 0
    if defaults := _defaults(table, tuple(values[0])):
        values = [defaults | dict(row) for row in values]
    columns = tuple(values[0])
    if connection.dialect.name == "postgresql":
        # One statement whatever the number of rows: each column goes as an array.
        arrays = {name: [row[name] for row in values] for name in columns}
        return _upsert_arrays(table, columns, tuple(update)).run(connection, arrays)
    return _upsert(table, columns, tuple(update)).run_many(connection, values)


def next_number(tx: Transaction, name: str, *, count: int = 1) -> int:
    """Give out the next number of a project's counter, beginning with 1; the first of `count` that are then taken."""
    given = {"project_id": tx.project_id, "name": name, "value": count}
    row = _next_number(tx.connection.dialect.name).one(tx.connection, given)
    last: int = row[0] if row else 0
    return last - count + 1


@cache
def _defaults(table: sa.Table, given: tuple[str, ...]) -> dict[str, Any]:
    """Answer what columns that are not given begin with; SQLAlchemy itself would add it to its own statements only."""
    return {
        column.name: column.default.arg
        for column in table.columns
        if column.name not in given and isinstance(column.default, ScalarElementColumnDefault)
    }


@cache
def _upsert(table: sa.Table, columns: tuple[str, ...], update: tuple[str, ...]) -> Prepared:
    return Prepared(_or(sqlite.insert(table), table, update), columns=columns)


@cache
def _upsert_arrays(table: sa.Table, columns: tuple[str, ...], update: tuple[str, ...]) -> Prepared:
    arrays = [sa.cast(sa.bindparam(name), postgresql.ARRAY(table.c[name].type)) for name in columns]
    rows = sa.func.unnest(*arrays).table_valued(*columns).render_derived()
    insert = postgresql.insert(table).from_select(columns, sa.select(*(rows.c[name] for name in columns)))
    return Prepared(_or(insert, table, update))


def _or(
    insert: postgresql.Insert | sqlite.Insert, table: sa.Table, update: tuple[str, ...]
) -> postgresql.Insert | sqlite.Insert:
    """Say what happens to rows whose key is there already."""
    keys = [column.name for column in table.primary_key]
    if not update:
        return insert.on_conflict_do_nothing(index_elements=keys)
    return insert.on_conflict_do_update(index_elements=keys, set_={name: insert.excluded[name] for name in update})


@cache
def _next_number(dialect: str) -> Prepared:
    table = schema.counter
    insert = _insert(dialect, table)
    grown = insert.on_conflict_do_update(
        index_elements=[table.c.project_id, table.c.name], set_={"value": table.c.value + insert.excluded["value"]}
    )
    return Prepared(grown.returning(table.c.value), columns=("project_id", "name", "value"))

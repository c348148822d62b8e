"""Statements, and the one place where the driver runs them.

SQLAlchemy takes some 80 us to build a statement and 20 to 45 us to run one that is built already; SQLite's driver takes
2 to 5 us. So what a training loop waits for is a `Statement`: built once, as a constant of its module with named
parameters, and run by the driver itself, or on PostgreSQL by the library below it (see `prepared`). Everything else is
a query that `Transaction.execute` hands to SQLAlchemy, which has no noticeable cost.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from mltrail_server.later import later
from mltrail_server.store import schema

from . import prepared
from .named_statements import SLOW_STATEMENTS, commented, name_of

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite
else:
    # A server uses one of them. PostgreSQL's takes 25 ms and 3 MB to load.
    postgresql, sqlite = later("sqlalchemy.dialects", "postgresql", "sqlite")

Given = Mapping[str, Any]
Tuple = tuple[Any, ...]
Row = sa.Row[*tuple[Any, ...]]
Query = sa.Select[Any]
Insert: TypeAlias = "postgresql.Insert | sqlite.Insert"


class Statement:
    """A statement with named parameters (`sa.bindparam`). Its rows are plain tuples, as the driver makes them.

    For an INSERT, `columns` names those that are given. Values are not converted: neither database needs that for
    numbers, texts and booleans, and there are no others here. A `Transaction` runs it.
    """

    all_of_them: ClassVar["WeakSet[Statement]"] = WeakSet()
    """For the test of tenant isolation, which checks every one."""

    def __init__(
        self,
        statement: sa.Executable | Callable[[str], sa.Executable],
        *,
        columns: Sequence[str] | None = None,
        name: str = "",
    ) -> None:
        """Take a statement, or a function that builds it for a dialect where the two databases need different ones.

        It is named after the constant that holds it or the function that makes it, unless `name` is given.
        """
        maker = sys._getframe(1)  # noqa: SLF001 - the documented name
        self._home, self._made_in = maker.f_globals, maker.f_code.co_qualname
        self._name = name
        self.build = statement if callable(statement) else lambda _dialect: statement
        self._columns = columns
        self._constants: dict[str, Any] = {}
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None]] = {}
        self.all_of_them.add(self)

    def run(self, connection: sa.Connection, given: Given) -> Any:  # noqa: ANN401 - a cursor of either driver
        sql, names = self._sql(connection)
        if self._constants:
            given = {**self._constants, **given}
        values = given if names is None else tuple([given[name] for name in names])
        _announce(connection, sql, values)
        cursor = None
        began = time.perf_counter()
        try:
            if names is None:
                cursor = prepared.run(connection, sql, given)
            if cursor is None:
                cursor = driver(connection).execute(sql, values)
        finally:
            seconds = time.perf_counter() - began
            if seconds > SLOW_STATEMENTS.seconds:
                SLOW_STATEMENTS.report(self.name, seconds, cursor)
        return cursor

    def run_many(self, connection: sa.Connection, rows: Sequence[Given | Tuple]) -> Any:  # noqa: ANN401 - as above
        """Run once per row, in one call to the driver. A row that is a tuple has its values in the order in which the
        statement names them.
        """
        sql, names = self._sql(connection)
        if names is None or isinstance(rows[0], tuple):
            values: Sequence[Any] = rows
        else:
            values = list(map(itemgetter(*names), rows))  # of two names or more: one would be no tuple
        _announce(connection, sql, values, many=True)
        cursor = driver(connection).cursor()
        began = time.perf_counter()
        try:
            cursor.executemany(sql, values)
        finally:
            seconds = time.perf_counter() - began
            if seconds > SLOW_STATEMENTS.seconds:
                SLOW_STATEMENTS.report(self.name, seconds, cursor)
        return cursor

    @property
    def name(self) -> str:
        """What the log, `pg_stat_activity` and the metrics call it, such as `tracking.metrics.latest`."""
        if not self._name:
            thing = self._made_in
            if thing == "<module>":
                thing = next((name for name, value in self._home.items() if value is self), "statement")
            self._name = name_of(self._home["__name__"], thing)
        return self._name

    def _sql(self, connection: sa.Connection) -> tuple[str, tuple[str, ...] | None]:
        """Compile for this kind of database; the names are in the order of SQLite's question marks."""
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            columns = None if self._columns is None else list(self._columns)
            compiled = self.build(connection.dialect.name).compile(dialect=connection.dialect, column_keys=columns)  # type: ignore[attr-defined] # every executable has it
            names = compiled.positiontup
            # A number in the statement is a parameter, too, and so is the OFFSET 0 that SQLite's LIMIT needs.
            self._constants |= {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}
            found = commented(str(compiled), self.name), None if names is None else tuple(names)
            self._compiled[connection.dialect.name] = found
        return found


def driver(connection: sa.Connection) -> Any:  # noqa: ANN401 - sqlite3's connection, or psycopg's
    return connection.connection.dbapi_connection  # `driver_connection` is the same, but calls four more functions


def _announce(connection: sa.Connection, sql: str, values: object, *, many: bool = False) -> None:
    """Call the listeners of the engine's statements, as SQLAlchemy would."""
    for listener in connection.engine.dispatch.before_cursor_execute:
        listener(connection, None, sql, values, None, many)


def is_in(column: sa.ColumnElement[int], name: str, dialect: str) -> sa.ColumnElement[bool]:
    """Compare with a list of numbers of any length that is sent as one value, made by `Transaction.listed`."""
    if dialect == "postgresql":
        numbers: sa.ColumnElement[Any] = sa.cast(sa.bindparam(name), postgresql.ARRAY(sa.BigInteger))
        return column == sa.any_(numbers)
    return column.in_(sa.select(sa.func.json_each(sa.bindparam(name)).table_valued("value").c.value))


def listed(dialect: str, numbers: Sequence[int]) -> str | list[int]:
    return list(numbers) if dialect == "postgresql" else json.dumps(list(numbers))


def insert_into(dialect: str, table: sa.Table) -> Insert:
    """Build an INSERT that can have an ON CONFLICT clause, in the database's own dialect."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def add_new(dialect: str, table: sa.Table) -> Insert:
    """Build an INSERT that skips rows whose key exists already."""
    return _or(insert_into(dialect, table), table, ())


def add_or_change(dialect: str, table: sa.Table, rows: Sequence[Given], update: Sequence[str]) -> Insert:
    """Build an INSERT of rows that overwrites the columns `update` where the key exists already."""
    return _or(insert_into(dialect, table).values(rows), table, tuple(update))


@cache
def defaults_of(table: sa.Table, given: tuple[str, ...]) -> dict[str, Any]:
    """Return the defaults of columns that are not given; SQLAlchemy adds them to the statements that it runs only."""
    return {
        column.name: column.default.arg
        for column in table.columns
        if column.name not in given and isinstance(column.default, ScalarElementColumnDefault)
    }


@cache
def upsert_rows(table: sa.Table, columns: tuple[str, ...], update: tuple[str, ...]) -> Statement:
    """Build the statement that inserts one row or, where its key exists already, overwrites the columns `update`."""
    return Statement(_or(sqlite.insert(table), table, update), columns=columns, name=f"upsert.{table.name}")


@cache
def upsert_arrays(table: sa.Table, columns: tuple[str, ...], update: tuple[str, ...]) -> Statement:
    """Build the same for PostgreSQL and any number of rows: each column is sent as an array."""
    arrays = [sa.cast(sa.bindparam(name), postgresql.ARRAY(table.c[name].type)) for name in columns]
    rows = sa.func.unnest(*arrays).table_valued(*columns).render_derived()
    insert = postgresql.insert(table).from_select(columns, sa.select(*(rows.c[name] for name in columns)))
    return Statement(_or(insert, table, update), name=f"upsert.{table.name}")


def _or(insert: Insert, table: sa.Table, update: tuple[str, ...]) -> Insert:
    """Add what happens to rows whose key exists already."""
    keys = [column.name for column in table.primary_key]
    if not update:
        return insert.on_conflict_do_nothing(index_elements=keys)
    return insert.on_conflict_do_update(index_elements=keys, set_={name: insert.excluded[name] for name in update})


def _grown(dialect: str) -> sa.Executable:
    table = schema.counter
    insert = insert_into(dialect, table)
    grown = insert.on_conflict_do_update(
        index_elements=[table.c.project_id, table.c.name], set_={"value": table.c.value + insert.excluded["value"]}
    )
    return grown.returning(table.c.value)


NEXT_NUMBER = Statement(_grown, columns=("project_id", "name", "value"))

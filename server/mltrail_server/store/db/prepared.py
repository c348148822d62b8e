"""Statements that a connection to PostgreSQL has prepared, run by libpq itself.

psycopg's `execute` takes 45 us of processor time for a row: each time it looks at the statement's text, chooses how to
send each value, and waits for the answer in a generator. libpq takes 13 us for the same. So a `Statement` is prepared
on each connection that runs it, with the types of its values, and from then on only the values are sent, as text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

Tuple = tuple[Any, ...]

_PARAMETER = re.compile(r"%\((\w+)\)s|%%")
_IN_THIS_CONNECTION = "mltrail prepared"
_MOST = 200
"""Per connection, each takes PostgreSQL some 50 kB."""
_FLOAT8, _BOOL = 701, 16
_DONE = (1, 2)
"""The driver's words for a statement that has worked, without rows and with rows (`psycopg.pq.ExecStatus`)."""


class Answer:
    """What psycopg's cursor would give."""

    __slots__ = ("_prepared", "_result")

    def __init__(self, prepared: "_Prepared", result: Any) -> None:  # noqa: ANN401 - psycopg's
        self._prepared, self._result = prepared, result

    @property
    def rowcount(self) -> int:
        found: int | None = self._result.command_tuples
        return -1 if found is None else found

    def fetchone(self) -> Tuple | None:
        rows = self._rows(min(1, self._result.ntuples))
        return rows[0] if rows else None

    def fetchall(self) -> list[Tuple]:
        return self._rows(self._result.ntuples)

    def _rows(self, count: int) -> list[Tuple]:
        return self._prepared.rows(self._result, count)


class _Prepared:
    """A statement that one connection has prepared: its name there, and its parameters in order."""

    __slots__ = ("_connection", "_loading", "name", "parameters")

    def __init__(self, connection: Any, name: bytes, parameters: list[str]) -> None:  # noqa: ANN401 - psycopg's
        self._connection, self.name, self.parameters = connection, name, parameters
        self._loading: Any = None

    def rows(self, result: Any, count: int) -> list[Tuple]:  # noqa: ANN401 - psycopg's
        """Convert the first rows of a result. How to convert each column is looked up only once, to save time."""
        loading = self._loading
        if loading is None:
            from psycopg.adapt import Transformer  # noqa: PLC0415 - an extra, for those who use PostgreSQL

            loading = self._loading = Transformer(self._connection)
            loading.set_pgresult(result)
        else:
            loading.set_pgresult(result, set_loaders=False)
        rows: list[Tuple] = loading.load_rows(0, count, tuple)
        loading.set_pgresult(None, set_loaders=False)
        return rows


class _PreparedStatements:
    """The statements that one connection has prepared, by their text and the types of their values."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, Tuple], _Prepared] = {}
        self.count = 0

    def get(self, connection: Any, sql: str, given: Mapping[str, Any]) -> _Prepared:  # noqa: ANN401 - psycopg's
        key = (sql, tuple(map(type, given.values())))
        found = self.known.get(key)
        if found is None:
            pgconn, names = connection.pgconn, list[str]()
            text = _PARAMETER.sub(lambda one: _numbered(one, names), sql)
            name = b"mltrail_%d" % self.count
            self.count += 1
            _check(pgconn.prepare(name, text.encode(), [_OIDS.get(type(given[one]), 0) for one in names]))
            if len(self.known) >= _MOST:
                old = self.known.pop(next(iter(self.known)))
                _check(pgconn.exec_(b"DEALLOCATE " + old.name))
            found = self.known[key] = _Prepared(connection, name, names)
        return found


def run(connection: sa.Connection, sql: str, given: Mapping[str, Any]) -> Answer | None:
    """Run a statement on a connection that commits by itself; None if only psycopg can: in a pipeline, or for values of
    other types. Raises psycopg's errors.
    """
    driver: Any = connection.connection.dbapi_connection
    pgconn = driver.pgconn
    if not driver.autocommit or pgconn.pipeline_status:
        return None
    try:
        texts = {name: _TEXTS[type(value)](value) for name, value in given.items()}
    except (KeyError, ValueError):
        return None
    prepared = connection.info.get(_IN_THIS_CONNECTION)
    if prepared is None:
        if driver.info.encoding != "utf-8":  # as `_text` writes it
            return None
        prepared = connection.info[_IN_THIS_CONNECTION] = _PreparedStatements()
    found = prepared.get(driver, sql, given)
    return Answer(found, _check(pgconn.exec_prepared(found.name, [texts[one] for one in found.parameters])))


def _check(result: Any) -> Any:  # noqa: ANN401 - psycopg's
    if result.status not in _DONE:
        from psycopg.errors import OperationalError, error_from_result  # noqa: PLC0415 - as above

        error = error_from_result(result)
        if error.sqlstate is None:  # it is libpq that says so, not PostgreSQL: the connection is lost
            raise OperationalError(str(error)) from error
        raise error
    return result


def _numbered(parameter: re.Match[str], names: list[str]) -> str:
    name = parameter[1]
    if name is None:
        return "%"
    if name not in names:
        names.append(name)
    return f"${names.index(name) + 1}"


def _text(value: str) -> bytes:
    if "\0" in value:  # where libpq would end the text
        raise ValueError("NUL")
    return value.encode()


def _array(values: list[Any]) -> bytes:
    if not all(type(value) is int for value in values):
        raise ValueError("not only whole numbers")
    return b"{%s}" % ",".join(map(str, values)).encode()


_TEXTS: dict[type, Callable[[Any], bytes | None]] = {
    type(None): lambda _none: None,
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: b"%d" % value,
    float: lambda value: repr(value).encode(),
    str: _text,
    list: _array,
}
_OIDS: dict[type, int] = {bool: _BOOL, float: _FLOAT8}
"""Types that a statement does not name where it uses a value; the others PostgreSQL finds out."""

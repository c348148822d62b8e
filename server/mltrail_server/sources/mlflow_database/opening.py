"""Opening an MLflow database, for reading only, and its errors as sentences without passwords."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from mltrail_server.domain.errors import MltrailError, invalid, not_found, unavailable
from mltrail_server.domain.transfer import Entity, Findings, Loss
from mltrail_server.sources.credentials import Credentials

_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_DRIVERS["mariadb"] = "mariadb+pymysql"
_PACKAGES = {"postgresql": "mltrail[postgres]", "mysql": "mltrail[mysql]", "mariadb": "mltrail[mysql]"}
_HEADER = b"SQLite format 3\0"
_WAL = 2
_WAITS_SECONDS = 60
_HOW = "Use sqlite:///path/mlflow.db, postgresql://user@host/database or mysql://user@host/database."

Row: TypeAlias = Any
"""Values by the names of their columns."""

Rows = Sequence[Row]


@dataclass(frozen=True, slots=True)
class Address:
    """What is opened. `shown` has neither user name nor password; `workspace` is the URL's, if it names one.

    `took_credentials` says that the given ones are the database's, so that no other server gets them.
    """

    url: sa.URL
    shown: str
    workspace: str
    took_credentials: bool = False

    @property
    def file(self) -> Path | None:
        """The file of SQLite."""
        return Path(self.url.database or "").resolve() if self.url.drivername == "sqlite" else None


def read_address(text: str, credentials: Credentials) -> Address:
    """Read a URL, or the path of an SQLite file. Credentials fill what the URL leaves out."""
    try:
        url = sa.make_url(text if "://" in text else f"sqlite:///{text}")
    except (ArgumentError, ValueError) as error:
        raise invalid(f"This is not the URL of a database. {_HOW}") from error
    backend = url.drivername.partition("+")[0]
    query = dict(url.query)
    workspace = str(query.pop("workspace", ""))
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise invalid(f"The URL names no file. {_HOW}")
        url = sa.URL.create("sqlite", database=url.database)
        return Address(url, str(Path(url.database or "").resolve()), workspace)
    if backend not in _DRIVERS:
        raise invalid(f"Databases of {backend} can't be read: import from the MLflow server with --from-mlflow. {_HOW}")
    shown = sa.URL.create(backend, host=url.host, port=url.port, database=url.database).render_as_string()
    url = url.set(drivername=_DRIVERS[backend], query=query)
    if url.password or not credentials.password:
        return Address(url, shown, workspace)
    url = url.set(username=url.username or credentials.username or None, password=credentials.password)
    return Address(url, shown, workspace, took_credentials=True)


class Reading:
    """One connection that only reads.

    On PostgreSQL and MySQL all statements see the same state. On SQLite each sees its own, and none keeps a lock while
    its rows are processed: MLflow could not write meanwhile.
    """

    def __init__(self, address: Address, findings: Findings) -> None:
        """Raises `MltrailError` if there is no such database."""
        self.address = address
        self._findings = findings
        self._lock = threading.RLock()
        with self._translating():
            self._engine = _engine(address, self._text)
            self.connection = self._engine.connect()
        self.dialect = self._engine.dialect.name
        self.is_sqlite = self.dialect == "sqlite"

    def rows(self, statement: sa.Executable, values: dict[str, Any] | None = None) -> Rows:
        """Return all rows of a statement. Raises UNAVAILABLE if the database can't be read."""
        with self._lock, self._translating():
            return self.connection.execute(statement, values or {}).fetchall()

    def tuples(self, statement: sa.Executable, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Return rows as the driver makes them, which takes half as long."""
        with self._lock, self._translating():
            result = self.connection.execute(statement, values)
            cursor: Any = result.cursor
            found: list[tuple[Any, ...]] = list(cursor.fetchall())
            result.close()
            return found

    def value(self, statement: sa.Executable, values: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Return the first value of the first row, or None."""
        with self._lock, self._translating():
            return self.connection.execute(statement, values or {}).scalar()

    def streamed(self, statement: sa.Executable, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Return such rows in parts, without having all in memory. Not for SQLite, where it would keep a lock."""
        with self._translating(), self._for_streams() as connection:
            options = {"stream_results": True, "max_row_buffer": size}
            result = connection.execute(statement, execution_options=options)
            for rows in result.partitions(size):
                yield [tuple(row) for row in rows]

    @contextmanager
    def _for_streams(self) -> Iterator[sa.Connection]:
        if self.dialect == "postgresql":
            yield self.connection
        else:  # MySQL can do nothing else on a connection while rows come
            with self._engine.connect() as connection:
                yield connection

    def _text(self, raw: bytes) -> str:
        """Decode SQLite's text, which can be anything that a program has put there."""
        try:
            return raw.decode()
        except UnicodeDecodeError:
            text = raw.decode(errors="backslashreplace")
            why = f"a text is not valid UTF-8; its invalid bytes are escaped: {text[:80]!r}"
            self._findings.add(Loss.CHANGED, Entity.TAG, self.address.shown, why)
            return text

    def close(self) -> None:
        with suppress(DBAPIError):  # the server may be gone: nothing is lost by that
            self.connection.close()
        self._engine.dispose()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._in_words(error.orig or error) from None  # the cause's text may contain the password
        except sqlite3.Error as error:
            raise self._in_words(error) from None

    def _in_words(self, error: BaseException) -> MltrailError:
        shown = self.address.shown
        text = " ".join(str(error).split())
        for secret in (self.address.url.password, self.address.url.username):
            text = text.replace(str(secret), "…") if secret else text
        return unavailable(
            f"The database {shown} can't be read: {text[:300].rstrip('.?! ')}. Nothing there was changed."
        )


def _engine(address: Address, text: Callable[[bytes], str]) -> sa.Engine:
    if address.file:
        uri = _sqlite_uri(address.file)

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(uri, uri=True, timeout=_WAITS_SECONDS, check_same_thread=False)
            connection.text_factory = text
            return connection

        return sa.create_engine("sqlite://", creator=connect, poolclass=sa.StaticPool)
    backend = address.url.drivername.partition("+")[0]
    mysql = {"connect_args": {"charset": "utf8mb4"}} if backend != "postgresql" else {}
    try:
        engine = sa.create_engine(address.url, isolation_level="REPEATABLE READ", **mysql)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise invalid(f"Databases of {backend} need one more package: pip install '{_PACKAGES[backend]}'.") from None
    if backend == "postgresql":
        return engine.execution_options(postgresql_readonly=True)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY"))
    return engine


def _sqlite_uri(path: Path) -> str:
    """Return the URI that opens the file without writing anything, not even beside it. Raises `MltrailError` if the
    file can't be read or is not a database.
    """
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except FileNotFoundError as error:
        raise not_found(f"There is no file {path}. Check the old server's --backend-store-uri.") from error
    except OSError as error:
        raise unavailable(f"The file {path} can't be read ({error.strerror}).") from error
    if not header.startswith(_HEADER):
        raise invalid(f"The file {path} is not an SQLite database. {_HOW}")
    mode = "mode=ro"
    if header[18] == _WAL and not path.with_name(f"{path.name}-wal").exists():
        # A database in this mode needs files beside it, even to be read. Nobody has it open, so it stays as it is.
        mode = "mode=ro&immutable=1"
    return f"file:{quote(str(path))}?{mode}"

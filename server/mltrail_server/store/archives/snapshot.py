"""All tables as they were at one moment, while others go on writing.

PostgreSQL has snapshots: one transaction sees what was committed when it began. SQLite is copied into a file of its own
by its online backup, since a transaction that stays open for hours would make the write-ahead log grow without end.
Neither makes writers wait.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError, invalid, unavailable
from mltrail_server.store import schema
from mltrail_server.store.db import migrate, revisions
from mltrail_server.store.db.database import Database

_PAGES = 4096
"""Pages of a step of the copy. All steps are within one transaction, so they see the same."""
_ROOM = 64 << 20
"""Bytes that must stay free on the disk: the write-ahead log grows while the copy is made."""


@contextmanager
def snapshot(
    database: Database, folder: Path, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Iterator[sa.Connection]:
    """Open a connection that sees the database as it is now, whatever is written later. For reading only.

    SQLite is copied into `folder` first; `progress` is called with how many bytes are copied, and how many there are.
    Raises INVALID if the copy has no room there.
    """
    if database.is_sqlite:
        path = folder / "snapshot.db"
        _copy(Path(database.engine.url.database or ""), path, progress)
        engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            path.unlink()
        return
    with database.snapshot() as connection:
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
        yield connection


def tables(connection: sa.Connection) -> list[sa.Table]:
    """Return which tables the database has, each after those that its rows refer to. If it is older than we are, they
    are read from it.
    """
    if revision(connection) == revisions.newest():
        return list(schema.METADATA.sorted_tables)
    metadata = sa.MetaData()
    metadata.reflect(connection)
    others = {*revisions.OURS, migrate.UNFINISHED.name}
    return [table for table in metadata.sorted_tables if table.name not in others and _is_whole(connection, table)]


def revision(connection: sa.Connection) -> str:
    """Return the revision of the database's schema."""
    return str(connection.execute(sa.select(revisions.VERSION.c.version_num)).scalar_one())


def _is_whole(connection: sa.Connection, table: sa.Table) -> bool:
    """Return False for a partition, whose rows are read through the table that it is a part of."""
    if connection.dialect.name != "postgresql":
        return True
    query = sa.text("SELECT NOT relispartition FROM pg_class WHERE oid = CAST(:name AS regclass)")
    return bool(connection.execute(query, {"name": f'"{table.name}"'}).scalar_one())


def _copy(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    need = sum(path.stat().st_size for path in (source, Path(f"{source}-wal")) if path.exists())
    free = shutil.disk_usage(target.parent).free
    if free < need + _ROOM:
        raise invalid(
            f"{target.parent} has {free:,} bytes free, and a copy of the database needs {need + _ROOM:,}: name another "
            "folder with --work-dir."
        )
    try:
        with closing(sqlite3.connect(source, isolation_level=None)) as reader, closing(sqlite3.connect(target)) as copy:
            page: int = reader.execute("PRAGMA page_size").fetchone()[0]
            copy.execute("PRAGMA synchronous=OFF")  # it is thrown away at the end
            # From here on the connection sees one state. Without a transaction, each step would see another one, and
            # begin anew after every write.
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM sqlite_schema").fetchone()
            reader.backup(
                copy, pages=_PAGES, progress=lambda _, left, total: progress(page * (total - left), page * total)
            )
            reader.execute("COMMIT")
            copy.execute("PRAGMA journal_mode=DELETE")  # the copy needs no log, and no second file
    except sqlite3.Error as error:
        raise _failed(error) from error


def _failed(error: sqlite3.Error) -> MltrailError:
    return unavailable(f"The database can't be copied ({error}). Nothing was changed; try again.")

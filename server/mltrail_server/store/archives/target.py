"""A database that is filled from elsewhere: it must be empty, and is marked until all of it is there."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from mltrail_server.domain.errors import conflict
from mltrail_server.store import schema
from mltrail_server.store.db import migrate
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.migrate import UNFINISHED
from mltrail_server.store.db.revisions import VERSION
from mltrail_server.store.tracking import usage

_LOCK = 0x6D6C726573746F72  # "mlrestor": any number that no other program locks in this database


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What was being brought into a database when it was interrupted: by which command, and from what."""

    command: str
    source: str


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """Keep a second restore out while the block runs, also after a kill of this process. Raises CONFLICT."""
    busy = conflict("Another process is filling this database. Wait until it is done.")
    if database.is_sqlite:
        path = Path(f"{database.engine.url.database}-restore")
        opened = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise busy from error
            yield
            path.unlink(missing_ok=True)
        finally:
            os.close(opened)
        return
    with database.engine.connect() as connection:  # of its own: the lock is the session's
        if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_LOCK))).scalar_one():
            raise busy
        connection.commit()
        yield


def unfinished(database: Database) -> Unfinished | None:
    """Return what was interrupted; None if nothing was."""
    with database.read() as connection:
        if not sa.inspect(connection).has_table(UNFINISHED.name):
            return None
        row = connection.execute(sa.select(UNFINISHED.c.command, UNFINISHED.c.source)).first()
        return Unfinished(*row) if row else None


def is_empty(database: Database) -> bool:
    """Return whether the database has no row of ours: a server may have set it up, but nobody has used it."""
    with database.read() as connection:
        there = set(sa.inspect(connection).get_table_names())
        for table in schema.METADATA.tables.values():
            query = sa.select(sa.literal(1)).select_from(table).limit(1).execution_options(all_projects=True)
            if table.name in there and connection.execute(query).first():
                return False
    return True


def begin(database: Database, what: Unfinished, revision: str) -> None:
    """Mark the database, and empty the tables that are there: they are empty or half filled. If they are not of this
    revision of the schema, they are removed; otherwise the operator's partitions stay.
    """
    fits = migrate.revision(database) == revision
    with database.write() as connection:
        migrate.alone(connection)
        inspector = sa.inspect(connection)
        if not inspector.has_table(UNFINISHED.name):
            UNFINISHED.create(connection)
        connection.execute(sa.delete(UNFINISHED))
        connection.execute(sa.insert(UNFINISHED).values(command=what.command, source=what.source))
        there = set(inspector.get_table_names())
        for table in reversed([*schema.METADATA.sorted_tables, VERSION]):
            if table.name in there and not (fits and table is VERSION):
                connection.exec_driver_sql(_emptying(table.name, is_sqlite=database.is_sqlite, fits=fits))


def _emptying(name: str, *, is_sqlite: bool, fits: bool) -> str:
    if not fits:
        return f'DROP TABLE "{name}"' if is_sqlite else f'DROP TABLE "{name}" CASCADE'
    return f'DELETE FROM "{name}"' if is_sqlite else f'TRUNCATE "{name}" CASCADE'  # noqa: S608 - our own names


def end(database: Database) -> None:
    """Remove the mark: from now on a server may open the database."""
    with database.write() as connection:
        UNFINISHED.drop(connection)
    if not database.is_sqlite:
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE")  # or the planner would not know these tables for a minute


def free_leases(connection: sa.Connection) -> None:
    """End the leases of processes that are not here: what is due is done as soon as a worker runs."""
    all_projects = {"all_projects": True}
    connection.execute(sa.update(schema.due).values(claimed_until_ms=None), execution_options=all_projects)
    request = schema.merge_request
    connection.execute(
        sa.update(request).values(note_lease=None, note_lease_until_ms=None).where(request.c.note_lease.is_not(None)),
        execution_options=all_projects,
    )


def count_bytes(connection: sa.Connection) -> None:
    """Count the bytes of files anew: a backup has no blobs that nothing points at."""
    blob, counter = schema.blob, schema.counter
    total = sa.select(sa.cast(sa.func.coalesce(sa.func.sum(blob.c.size), 0), sa.BigInteger))
    used = total.where(blob.c.project_id == counter.c.project_id).scalar_subquery()
    connection.execute(
        sa.update(counter).where(counter.c.name == usage.BYTES).values(value=used),
        execution_options={"all_projects": True},
    )


def in_order(table: sa.Table, names: list[str]) -> sa.Table | None:
    """Return the table with its stored columns in this order; None if it has others."""
    columns = {column.name: column for column in table.columns if column.computed is None}
    if set(columns) != set(names) or len(columns) != len(names):
        return None
    made = (sa.Column(name, columns[name].type, nullable=columns[name].nullable) for name in names)
    return sa.Table(table.name, sa.MetaData(), *made)

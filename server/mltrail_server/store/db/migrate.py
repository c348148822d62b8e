"""Alembic, called from code: no ini file, no second way to configure the database.

Alembic is loaded only when a schema is changed, neither at every start nor for a fresh database: it takes 10 MB and
150 ms, which is a fifth of a server's first start.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mltrail_server.domain.errors import conflict, unavailable
from mltrail_server.store.schema import METADATA, make_partial

from . import revisions
from .database import Database
from .revisions import FOLDER, VERSION, Migration, known, newest
from .sqlite import check_owner
from .statements import driver

if TYPE_CHECKING:
    from alembic.config import Config

_log = logging.getLogger(__name__)
_LOCK = 0x6D6C747261696C  # "mltrail": any number that no other program locks in this database
LOCK_SECONDS = 1.0
"""How long a migration waits for the lock on a table. On PostgreSQL everybody who wants to use that table queues behind
it meanwhile, so it soon gives up, lets them pass, and tries again.
"""
PATIENCE_SECONDS = 600.0
"""How long it tries again. A backup or a long query may hold the table."""
_PAUSE_SECONDS = 0.5
_TURN_SECONDS = 0.05
_LOCK_NOT_AVAILABLE = "55P03"

UNFINISHED = sa.Table(
    "unfinished_restore",
    sa.MetaData(),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
)
"""Is there only while the database is being filled from a backup or another database."""


def config(connection: sa.Connection | None = None) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see above

    made = Config()
    made.set_main_option("script_location", str(FOLDER))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def upgrade(
    database: Database,
    to: str | None = None,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    report: Callable[[str], None] = _log.warning,
) -> None:
    """Bring the schema up to date, or to the revision `to`; a fresh database gets all of it. Each migration is one
    transaction, which also writes the versions that can run from then on. A later version's schema that lets this
    version run is left as it is.

    `report` is called when a migration has to wait. Raises CONFLICT for a schema that this version can't bring up to
    date, and UNAVAILABLE if somebody holds a table for all of `patience_seconds`.
    """
    with _one_at_a_time(database):
        with database.read() as connection:
            found = revisions.state(connection)
        revisions.check_migratable(found)
        for migration in pending(found.revision, to):
            _patiently(database, lambda one=migration: _apply(database, one), patience_seconds, report)  # type: ignore[misc] # mypy knows no type for a lambda's default
        with database.write() as connection:
            there = revisions.state(connection).revision
            if there in known():
                revisions.record(connection, there)


def pending(current: str | None, to: str | None = None) -> list[Migration]:
    """Return the migrations that lead from one revision to another, by default to this version's."""
    return [one for one in revisions.migrations() if (current or "") < one.revision <= (to or one.revision)]


def _apply(database: Database, migration: Migration) -> None:
    from alembic import command  # noqa: PLC0415 - see above

    if migration.concurrently and not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            _drop_invalid(connection)
            command.upgrade(config(connection), migration.revision)
            connection.invalidate()  # its settings are not those of others
        return
    # Not `write()` on PostgreSQL, which would word an error for the caller of an API.
    with database.write() if database.is_sqlite else database.engine.begin() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(1000 * LOCK_SECONDS)}")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        if not connection.in_transaction():
            connection.begin()  # so that Alembic leaves the commit to us
        command.upgrade(config(connection), migration.revision)
        revisions.record(connection, migration.revision)


def _drop_invalid(connection: sa.Connection) -> None:
    """Remove what was left of indexes whose building was interrupted: they are kept up to date, but never read."""
    query = sa.text(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE NOT indisvalid AND relkind = 'i' AND relnamespace = current_schema()::regnamespace"
    )
    for name in connection.execute(query).scalars().all():
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def _patiently(
    database: Database, work: Callable[[], None], patience_seconds: float, report: Callable[[str], None]
) -> None:
    """Retry the work until it gets its locks. No attempt waits long for one."""
    until = time.monotonic() + patience_seconds
    pause = threading.Event()
    reported = False
    while True:
        try:
            work()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            holders = _holders(database)
            if time.monotonic() > until:
                raise unavailable(
                    f"The migration waited {patience_seconds:.0f} s for a table that others use, and has changed "
                    f"nothing. Wait until they are done, or end them, and run it again: {holders}"
                ) from error
            if not reported:
                report(
                    f"The migration is waiting for a table, without blocking others. Longest transactions: {holders}"
                )
                reported = True
            pause.wait(_PAUSE_SECONDS)
        else:
            return


def _holders(database: Database) -> str:
    """Say which transactions have been open for longest, without their statements, which may hold users' data."""
    query = sa.text(
        "SELECT pid, application_name, state, extract(epoch FROM clock_timestamp() - xact_start)::bigint"
        " FROM pg_stat_activity WHERE xact_start IS NOT NULL AND datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        " AND NOT EXISTS (SELECT 1 FROM pg_locks WHERE pg_locks.pid = pg_stat_activity.pid AND locktype = 'advisory')"
        " ORDER BY xact_start LIMIT 3"
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    found = (f"process {pid} ({name or 'no name'}, {state}) for {seconds} s" for pid, name, state, seconds in rows)
    return "; ".join(found) or "none that lasts"


@contextmanager
def _one_at_a_time(database: Database) -> Iterator[None]:
    """Keep other migrations out, also between two of them. SQLite has one writer anyway."""
    if database.is_sqlite:
        yield
        return
    with database.engine.begin() as connection:
        alone(connection)
        # After the query: its snapshot lasts until the next statement, and an index that is built concurrently would
        # wait for it for ever.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def create(database: Database) -> None:
    """Create all tables of a fresh database. A test compares them with the result of the migrations."""
    with database.write() as connection:
        alone(connection)
        if sa.inspect(connection).has_table(VERSION.name):
            return  # another server that started at the same time was faster
        make_partial(METADATA, connection.dialect.name)
        METADATA.create_all(connection, checkfirst=False)
        VERSION.create(connection)
        revision = newest()
        assert revision is not None  # noqa: S101 - there is a first schema
        connection.execute(sa.insert(VERSION).values(version_num=revision))
        revisions.record(connection, revision)


def alone(connection: sa.Connection) -> None:
    """Wait until nobody else is changing the schema: many servers may start at once. SQLite has one writer anyway. Must
    be the first in its transaction.

    It asks again and again, each time in a new transaction: whoever has the lock may be building an index concurrently,
    which waits for all open transactions.
    """
    if connection.dialect.name != "postgresql":
        return
    pause = threading.Event()
    while not connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))).scalar_one():
        driver(connection).rollback()
        pause.wait(_TURN_SECONDS)


def state(database: Database) -> revisions.State:
    """Return what the database says of its schema."""
    _check_owner(database)
    with database.read() as connection:
        return revisions.state(connection)


def revision(database: Database) -> str | None:
    """Return the schema's revision; None for a database that has never been set up."""
    return state(database).revision


def is_set_up(url: str) -> bool:
    """Return whether there is a database that a server has set up; creates none. Raises CONFLICT for an incomplete one,
    see `check_complete`.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        return False
    database = Database(url)
    try:
        check_complete(database)
        return revision(database) is not None
    finally:
        database.dispose()


def _check_owner(database: Database) -> None:
    if database.is_sqlite and database.engine.url.database:
        check_owner(database.engine.url.database)


def check_complete(database: Database) -> None:
    """Refuse a database that is still to be filled from a backup or another database. Raises CONFLICT."""
    _check_owner(database)
    with database.read() as connection:
        unfinished = sa.inspect(connection).has_table(UNFINISHED.name)
    if unfinished:
        raise conflict(
            "This database is incomplete: mltrail-server restore or move-database was interrupted. Run the same "
            "command again to complete it."
        )


def prepare(database: Database) -> None:
    """Set up a fresh database; refuse one whose schema this version can't run on.

    Upgrading is the operator's decision, who may want a backup first, so it is never done in passing.
    """
    check_complete(database)
    if revision(database) is None:
        create(database)
    else:
        check_can_run(database)


def check_can_run(database: Database) -> None:
    """Raise CONFLICT if this version can't run on the database's schema, or no longer can: a later version may have
    migrated it meanwhile.
    """
    revisions.check_can_run(state(database))

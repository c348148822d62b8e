"""Alembic, called from code: no ini file, no second way to configure the database.

Alembic is loaded only when a schema is changed, neither at every start nor for a fresh database: it takes 10 MB and
150 ms, which is a fifth of a server's first start.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mltrail_server.domain.errors import conflict
from mltrail_server.store.schema import METADATA

from .database import Database
from .sqlite import check_owner

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x6D6C747261696C  # "mltrail": any number that no other program locks in this database
VERSION = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""As Alembic creates it."""


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
    made.set_main_option("script_location", str(_FOLDER))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def upgrade(database: Database, to: str = "head") -> None:
    """Bring the schema up to date, or to the revision `to`; a fresh database gets all of it. Raises CONFLICT for the
    schema of a later version.
    """
    from alembic import command  # noqa: PLC0415 - see above

    _check_known(revision(database))
    with database.write() as connection:
        alone(connection)
        if not connection.in_transaction():
            connection.begin()  # so that Alembic leaves the commit to us
        command.upgrade(config(connection), to)


def create(database: Database) -> None:
    """Create all tables of a fresh database. A test compares them with the result of the migrations."""
    with database.write() as connection:
        alone(connection)
        if sa.inspect(connection).has_table(VERSION.name):
            return  # another server that started at the same time was faster
        METADATA.create_all(connection, checkfirst=False)
        VERSION.create(connection)
        connection.execute(sa.insert(VERSION).values(version_num=newest()))


def alone(connection: sa.Connection) -> None:
    """Wait until nobody else is changing the schema: many servers may start at once. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def revision(database: Database) -> str | None:
    """Return the schema's revision; None for a database that has never been set up."""
    _check_owner(database)
    with database.read() as connection:
        if not sa.inspect(connection).has_table(VERSION.name):
            return None
        found: str | None = connection.execute(sa.select(VERSION.c.version_num)).scalar()
        return found


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


def _check_known(current: str | None) -> None:
    if current is not None and current not in known():
        raise conflict(
            f"The database's schema is at revision {current}, which this version does not know: a later version of "
            "mltrail has migrated it. Install that version again, or restore a backup from before the upgrade into a "
            "new, empty database."
        )


def newest() -> str | None:
    """Return the revision of this version's schema. Migrations are named by their revision, in order."""
    return max(known(), default=None)


def known() -> set[str]:
    """Return the revisions that this version can bring up to date, and its own."""
    return {path.name.split("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.py")}


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
    """Set up a fresh database; refuse one whose schema is not this version's.

    Upgrading is the operator's decision, who may want a backup first, so it is never done in passing.
    """
    check_complete(database)
    current = revision(database)
    if current is None:
        create(database)
    elif current != newest():
        _check_known(current)
        raise conflict(
            f"The database's schema is at revision {current}, this version needs {newest()}. "
            "Make a backup, then run: mltrail-server migrate"
        )

"""Alembic, called from code: no ini file, no second way to configure the database."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from mltrail_server.domain.errors import conflict

from .db import Database

_FOLDER = Path(__file__).parent / "migrations"


def config(connection: sa.Connection | None = None) -> Config:
    made = Config()
    made.set_main_option("script_location", str(_FOLDER))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def upgrade(database: Database) -> None:
    """Bring the schema up to date; a fresh database gets all of it."""
    with database.write() as connection:
        command.upgrade(config(connection), "head")


def revision(database: Database) -> str | None:
    """Tell the schema's revision; None for a database that has never been set up."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    return ScriptDirectory.from_config(config()).get_current_head()


def prepare(database: Database) -> None:
    """Set up a fresh database; refuse one whose schema is not this version's.

    Upgrading is a decision of the operator, who may want a backup first, so it is never done on the way.
    """
    current = revision(database)
    if current is None:
        upgrade(database)
    elif current != newest():
        raise conflict(
            f"The database's schema is at revision {current}, this version needs {newest()}. "
            "Make a backup, then run: mltrail-server migrate"
        )

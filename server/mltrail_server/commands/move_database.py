"""`mltrail-server move-database`: from SQLite to PostgreSQL, to another PostgreSQL, or back."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail_server.domain.errors import invalid
from mltrail_server.settings import Settings

from .arguments import Commands, Parser
from .meter import Meter
from .opening import open_origin

if TYPE_CHECKING:
    from mltrail_server.services.backups.move import Moved

_EPILOG = (
    "Stop the servers first. Files stay where they are. Put the password in PGPASSWORD or ~/.pgpass rather than in "
    "the URL, which other users of this machine can see. Exit code 0: both databases have the same rows; 1: they "
    "differ, or the old one was written to meanwhile; 2: wrong use, or the command failed."
)


def add(commands: Commands, shared: Parser) -> None:
    parser = commands.add_parser(
        "move-database", parents=[shared], help="copy all rows into another, empty database", epilog=_EPILOG
    )
    parser.add_argument("--to", metavar="URL", required=True, help="postgresql://… or sqlite:////path/of/a/file")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    from mltrail_server.services.backups import move
    from mltrail_server.store.db.database import Database

    try:
        url = make_url(options.to)
        kind = url.get_backend_name()
        goal = Database(options.to) if kind in {"postgresql", "postgres", "sqlite"} and url.database else None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise invalid("--to must be the URL of a database, such as postgresql://user@host/mltrail.") from error
    if goal is None or not url.database:
        raise invalid(
            "--to must name a PostgreSQL database (postgresql://user@host/mltrail) or a file (sqlite:////path)."
        )
    if kind == "sqlite" and not Path(url.database).parent.is_dir():
        raise invalid(f"The folder of {url.database} does not exist: create it first.")
    origin = open_origin(settings)
    meter = Meter(quiet=options.quiet)
    try:
        moved = move.move(origin.database, goal, progress=meter)
    finally:
        meter.end()
        origin.database.dispose()
        goal.dispose()
    if kind == "sqlite":  # the server may be started in another folder
        url = url.set(database=str(Path(url.database).resolve()))
    shown = url.render_as_string(hide_password=True)
    if options.json:
        found = {"schema": moved.schema, "rows": sum(moved.tables.values()), "tables": moved.tables}
        print(json.dumps({**found, "different": moved.different, "source_changed": moved.changed, "to": shown}))
    else:
        _tell(moved, shown)
        if moved.done and settings.local_mode and kind != "sqlite":
            print("Local mode works only with SQLite: to serve from PostgreSQL, set MLTRAIL_GITLAB_URL, too.")
    return 0 if moved.done else 1


def _tell(moved: "Moved", shown: str) -> None:
    print(f"Copied {sum(moved.tables.values()):,} rows of {len(moved.tables)} tables to {shown}.")
    for name in moved.different:
        print(f"different: {name} does not have the same rows in the new database")
    if moved.changed:
        print(
            "The old database was written to meanwhile, and the new one lacks those changes: stop all servers and "
            "workers, then run this again."
        )
    if moved.done:
        print(
            "Both databases have the same rows, by count and digest. Set this for servers and commands, then start "
            "them:"
        )
        print(f"  MLTRAIL_DATABASE_URL={shown}")
        print("The old database is unchanged: keep it until you are sure.")

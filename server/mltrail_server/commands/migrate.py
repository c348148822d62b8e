"""`mltrail-server migrate`: update the database's schema, or say what that would mean."""

import argparse
import sys
from typing import TYPE_CHECKING

from mltrail_server.settings import Settings

from .arguments import Commands, Parser

if TYPE_CHECKING:
    from mltrail_server.store.db.revisions import Migration, State

GO_ON, STOP_FIRST = 3, 4
"""Exit codes of `--check` when there is something to do: servers can go on running, or must be stopped first."""


def add(commands: Commands, shared: Parser) -> None:
    parser = commands.add_parser(
        "migrate", parents=[shared], help="update the database's schema, before the new version starts"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check",
        action="store_true",
        help="change nothing; print what would be done, and whether servers can go on running (exit code 0: nothing to "
        "do, 3: they can, 4: stop them first)",
    )
    what.add_argument(
        "--while-serving",
        action="store_true",
        help="change nothing if servers must be stopped first, and exit with code 4: for automatic upgrades",
    )
    what.add_argument(
        "--partitions",
        type=int,
        metavar="N",
        help="on PostgreSQL, split the metric tables into N partitions by project (1: none); rewrites them",
    )
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.store.db import migrate, partitions, revisions
    from mltrail_server.store.db.database import Database

    if options.check and not migrate.is_set_up(settings.database):
        print(f"The database has no tables yet. mltrail-server migrate creates revision {revisions.newest()}.")
        return GO_ON
    settings.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    try:
        migrate.check_complete(database)
        before = migrate.state(database)
        revisions.check_migratable(before)
        if options.check:
            return _check(before, migrate.pending(before.revision))
        if revisions.can_run_on_later(before):
            print(_later(before))
            return 0
        if options.while_serving and before.revision:
            pending = migrate.pending(before.revision)
            if pending and _check(before, pending) == STOP_FIRST:
                return STOP_FIRST
        migrate.upgrade(database, report=lambda line: print(line, file=sys.stderr))
        after = migrate.state(database)
        was = f"it was at {before.revision}" if before.revision else "the database was empty"
        print(f"The schema is at revision {after.revision} ({was}).")
        if before.revision != after.revision and before.revision:
            print(f"Servers of revision {after.oldest} or later can run on it.")
        if options.partitions is not None:
            changed = partitions.partition(database, options.partitions)
            print(f"The metric tables have {options.partitions} partitions{'' if changed else ', as before'}.")
    finally:
        database.dispose()
    return 0


def _check(found: "State", pending: "list[Migration]") -> int:
    from mltrail_server.store.db import revisions

    if revisions.can_run_on_later(found):
        print(_later(found))
        return 0
    if not pending:
        print(f"The schema is at revision {found.revision}: there is nothing to do.")
        return 0
    print(f"The schema is at revision {found.revision}. mltrail-server migrate would apply:")
    for one in pending:
        print(f"  {one.revision} ({one.kind}) {one.title}")
    oldest = revisions.oldest_for(pending[-1].revision)
    if oldest <= (found.revision or ""):
        print(
            f"Servers of revision {oldest} or later can go on running: migrate, then replace them one after the other."
        )
        return GO_ON
    print(
        f"Only servers of revision {oldest} or later can run on it: stop all others first. To keep serving, upgrade "
        f"to a version of revision {oldest} first, and to this one after that."
    )
    return STOP_FIRST


def _later(found: "State") -> str:
    from mltrail_server.store.db import revisions

    return (
        f"The schema is at revision {found.revision}, by {found.migrated_by}. This version, of revision "
        f"{revisions.newest()}, can run on it: there is nothing to do."
    )

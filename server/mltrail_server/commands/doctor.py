"""`mltrail-server doctor`: look at a server's surroundings, and say what to do."""

import argparse
import json
from dataclasses import asdict

from mltrail_server.settings import Settings

from .arguments import Commands, Parser

_EPILOG = (
    "It needs no project and writes nothing. Exit code 0: nothing is FAILED (there may be warnings); 1: something is; "
    "2: wrong use, or a setting is refused. To test tokens and comments in a project, use selftest."
)


def add(commands: Commands, shared: Parser) -> None:
    parser = commands.add_parser(
        "doctor",
        parents=[shared],
        help="check settings, database, file store, GitLab and proxy, and say what to do",
        epilog=_EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.app import create_files
    from mltrail_server.domain.clock import system_clock
    from mltrail_server.domain.errors import MltrailError, conflict
    from mltrail_server.domain.terminal import plain
    from mltrail_server.services.admin.checks import FAILED
    from mltrail_server.services.admin.doctor import Doctor
    from mltrail_server.store.db import migrate
    from mltrail_server.store.db.database import Database

    database, problem = None, None
    try:
        if migrate.is_set_up(settings.database):
            database = Database(settings.database, sqlite_synchronous=settings.sqlite_synchronous)
    except MltrailError as error:
        problem = error
    except ImportError:
        problem = conflict("PostgreSQL's driver is missing: install mltrail[server,postgres]")
    doctor = Doctor(settings, database, problem, create_files(settings), system_clock)
    try:
        if not options.json:
            for name, value in doctor.settings().items():
                print(plain(f"{'set':8}{name}: {value}"))
        results = []
        for one in doctor.run():
            results.append(one)
            if not options.json:
                print(one.line(), flush=True)
    finally:
        if database is not None:
            database.dispose()
    failed = any(one.outcome == FAILED for one in results)
    if options.json:
        print(json.dumps({"settings": doctor.settings(), "checks": [asdict(one) for one in results]}, indent=2))
    else:
        print("FAILED: fix what the lines say, then run it again" if failed else "passed")
    return 1 if failed else 0

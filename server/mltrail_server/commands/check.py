"""`mltrail-server check`: find missing, damaged and orphaned files."""

import argparse
import json

from mltrail_server.settings import Settings

from .arguments import Commands, Parser
from .opening import open_server


def add(commands: Commands, shared: Parser) -> None:
    check = commands.add_parser("check", parents=[shared], help="find missing, damaged and orphaned files")
    check.add_argument("--digests", action="store_true", help="read every file and compare its SHA-256: slow")
    check.add_argument("--json", action="store_true", help="one JSON object per line, the totals last")
    check.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.services.admin import store_check

    def report(problem: store_check.FileProblem) -> None:
        print(json.dumps(problem.as_json()) if options.json else problem.line(), flush=True)

    totals = store_check.check(open_server(settings), report, with_digests=options.digests)
    print(json.dumps(totals.as_json()) if options.json else totals.line())
    return 1 if totals.lost else 0

"""`mltrail-server restore`: restore a backup into an empty database and an empty file store."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail_server.domain.numbers import count
from mltrail_server.settings import Settings

from .arguments import Commands, Parser
from .meter import Meter
from .opening import SIGNING_KEY, check_apart, open_decryption

if TYPE_CHECKING:
    from mltrail_server.services.backups.restore import Restored

_EPILOG = (
    "It restores to the places in the settings, the same ones that serve uses. Exit code 0: everything was restored, "
    "and every file's digest is right; 1: files are lost, and each is listed; 2: wrong use, or the command failed. "
    "If it was interrupted, run it again."
)


def add(commands: Commands, shared: Parser) -> None:
    parser = commands.add_parser(
        "restore", parents=[shared], help="restore a backup into an empty database and file store", epilog=_EPILOG
    )
    parser.add_argument(
        "--from",
        dest="place",
        metavar="PLACE",
        required=True,
        help="the folder, or s3://bucket/prefix, with the backups",
    )
    parser.add_argument(
        "--backup", metavar="NAME", help="the backup to restore (default: the newest); see backup --list"
    )
    parser.add_argument(
        "--start-over",
        action="store_true",
        help="remove what an interrupted restore has written, instead of resuming it",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.app import create_deps, create_files
    from mltrail_server.artifacts.destinations import open_destination
    from mltrail_server.services.admin import store_check
    from mltrail_server.services.backups import restore, shelf
    from mltrail_server.services.promotion import provenance
    from mltrail_server.store.db.database import Database

    def report(problem: str) -> None:
        print(json.dumps({"problem": problem}) if options.json else problem, flush=True)

    check_apart(settings, options.place)
    endpoint = settings.backup_s3_endpoint_url or settings.s3_endpoint_url
    destination = open_destination(options.place, endpoint_url=endpoint)
    reader = shelf.Reader.of(destination, options.backup, open_decryption(settings))
    settings.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = restore.Place(
        Database(settings.database, sqlite_synchronous=settings.sqlite_synchronous), create_files(settings)
    )
    meter = Meter(quiet=options.quiet)
    try:
        restored = restore.restore(
            reader, place, provenance.signer(settings), report, start_over=options.start_over, progress=meter
        )
    finally:
        meter.end()
        place.database.dispose()
    remarks = [restored.remark] if restored.remark else []
    remarks += _bring_secrets(settings, restored)
    deps = create_deps(settings)
    totals = store_check.check(deps, lambda problem: report(problem.line()), with_digests=True)
    deps.db.dispose()
    if options.json:
        found = {"name": restored.manifest.name, "rows": restored.manifest.rows, "files": restored.files}
        print(json.dumps({**found, "lost": restored.lost, "remarks": remarks, "check": totals.as_json()}))
    else:
        manifest = restored.manifest
        print(f"Restored {manifest.name}: {manifest.rows:,} rows and {count(restored.files, 'file')}.")
        print("\n".join([*remarks, totals.line()]))
    return 1 if restored.lost or totals.lost else 0


def _bring_secrets(settings: Settings, restored: "Restored") -> list[str]:
    """Keep the secrets of an encrypted backup where none are, and return what the operator should know."""
    from mltrail_server.settings import kept_secrets

    said = []
    for name, secret in sorted(restored.secrets.items()):
        path = settings.data_path / name
        if not kept_secrets.bring_back(settings.data_path, name, secret) and path.read_text().strip() != secret.strip():
            said.append(f"{path} differs from the one in the backup and was not replaced.")
        elif name == SIGNING_KEY and (not settings.signing_key or Path(settings.signing_key) != path):
            said.append(f"The signing key is in {path}: set MLTRAIL_SIGNING_KEY to it.")
    if not restored.manifest.encrypted:
        said.append("The backup had no secrets: restore your own copies of them, or people must sign in again.")
    return said

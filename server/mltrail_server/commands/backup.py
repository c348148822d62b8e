"""`mltrail-server backup`: save everything, list what was saved, check it."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.numbers import count
from mltrail_server.settings import Settings

from .arguments import Commands, Parser
from .meter import Meter
from .opening import check_apart, check_is_set_up, open_decryption, open_origin

if TYPE_CHECKING:
    from mltrail_server.artifacts.destination import Destination
    from mltrail_server.services.backups.backup import Made
    from mltrail_server.services.backups.manifest import Manifest

_EPILOG = (
    "With MLTRAIL_BACKUP_RECIPIENTS, it is encrypted. Exit code 0: everything was saved or is intact; 1: something "
    "is damaged, and each item is listed; 2: wrong use, or the command failed."
)


def add(commands: Commands, shared: Parser) -> None:
    parser = commands.add_parser(
        "backup",
        parents=[shared],
        help="back up database and files to a folder or S3, while the server runs",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--to", metavar="PLACE", required=True, help="a folder, or s3://bucket/prefix; it can hold many backups"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the backups there instead of making one")
    what.add_argument(
        "--verify",
        metavar="NAME",
        nargs="?",
        const="",
        help="read a backup (default: the newest) and check all digests instead of making one",
    )
    what.add_argument(
        "--keep",
        type=int,
        metavar="N",
        help="afterwards, keep only the newest N backups and the files that they need",
    )
    parser.add_argument(
        "--work-dir",
        metavar="DIR",
        type=Path,
        help="folder for a copy of an SQLite database (default: the data folder)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.artifacts.destinations import open_destination

    if options.keep is not None and options.keep < 1:
        raise invalid("--keep must be 1 or more.")
    endpoint = settings.backup_s3_endpoint_url or settings.s3_endpoint_url
    destination = open_destination(options.to, endpoint_url=endpoint)
    if options.list:
        return _list(destination, options)
    if options.verify is not None:
        return _verify(settings, destination, options)
    return _make(settings, destination, options)


def _make(settings: Settings, destination: "Destination", options: argparse.Namespace) -> int:
    from mltrail_server.artifacts.encryption import Encryption
    from mltrail_server.services.backups import backup, prune
    from mltrail_server.store.admin import overview

    recipients = settings.recipients
    encryption = Encryption(recipients) if recipients else None
    check_apart(settings, options.to)
    check_is_set_up(settings)  # before a secret is kept, perhaps in a misspelt folder
    secret = settings.with_kept_secrets().secret_key if encryption else ""
    origin = open_origin(settings)
    began, meter = time.monotonic(), Meter(quiet=options.quiet)
    try:
        made = backup.make(
            origin,
            destination,
            encryption,
            work_place=options.work_dir or settings.data_path,
            names_secret=secret,
            progress=meter,
        )
        if not made.damaged:
            with origin.database.write() as connection:
                overview.keep_backup(connection, ended_ms=origin.clock())  # for /metrics, which tells its age
    finally:
        meter.end()
        origin.database.dispose()
    removed = None
    # An older backup may be the only one that has a good copy of what is damaged now.
    if options.keep is not None and not made.damaged:
        removed = prune.keep(destination, options.keep)
    seconds = time.monotonic() - began
    if options.json:
        print(json.dumps({**_as_json(made.manifest), "removed": removed.backups if removed else []}))
    else:
        _tell(made, seconds, settings)
        if removed:
            files = count(removed.files, "file")
            print(f"Removed {count(len(removed.backups), 'older backup')}, and {files} that no other backup needs.")
        elif options.keep is not None:
            print("No older backup was removed, because one of them may have a good copy of what is damaged now.")
    return 1 if made.damaged else 0


def _tell(made: "Made", seconds: float, settings: Settings) -> None:
    from mltrail_server.settings import kept_secrets

    for one in made.damaged:
        print(one.line())
    found = made.manifest
    print(
        f"Saved {found.name}: {found.rows:,} rows, {count(found.files, 'file')} ({found.file_bytes:,} bytes); "
        f"{count(found.new_files, 'new file')}. It took {seconds:.1f} s and {found.new_bytes:,} bytes."
    )
    if made.damaged:
        print(f"{count(len(made.damaged), 'file')} could not be saved: run mltrail-server check --digests for details.")
    if made.secrets_left_out:
        kept = [
            name
            for name in (kept_secrets.SECRET_KEY, kept_secrets.LOCAL_TOKEN)
            if (settings.data_path / name).is_file()
        ]
        names = ", ".join([*(str(settings.data_path / name) for name in kept), *_signing_file(settings)])
        print(
            "It is not encrypted, so it has no secrets. Keep copies of these yourself, or set "
            f"MLTRAIL_BACKUP_RECIPIENTS: {names}"
        )


def _signing_file(settings: Settings) -> list[str]:
    key = settings.signing_key
    return [key] if key and not key.startswith("-----BEGIN") else []


def _list(destination: "Destination", options: argparse.Namespace) -> int:
    from mltrail_server.domain.terminal import plain
    from mltrail_server.services.backups import shelf

    names = shelf.complete(destination)
    if not names and not options.quiet:
        print(f"There is no complete backup in {options.to}.", file=sys.stderr)
    for name in names:
        found = shelf.read_manifest(destination, name)
        if options.json:
            print(json.dumps(_as_json(found)))
        else:
            sealed = ", encrypted" if found.encrypted else ""
            damaged = f", {count(found.damaged, 'file')} not saved" if found.damaged else ""
            text = (
                f"{name}: {found.rows:,} rows, {count(found.files, 'file')} ({found.file_bytes:,} bytes), "
                f"schema {found.schema}, mltrail {found.mltrail}{sealed}{damaged}"
            )
            print(plain(text))
    return 0


def _verify(settings: Settings, destination: "Destination", options: argparse.Namespace) -> int:
    from mltrail_server.services.backups import verify
    from mltrail_server.services.promotion import provenance

    meter = Meter(quiet=options.quiet)
    found = verify.verify(
        destination,
        options.verify or None,
        open_decryption(settings),
        provenance.signer(settings),
        lambda problem: print(json.dumps({"damaged": problem}) if options.json else f"damaged: {problem}", flush=True),
        progress=meter,
    )
    meter.end()
    if options.json:
        print(json.dumps(found.as_json()))
    else:
        print(found.line())
    return 1 if found.damaged else 0


def _as_json(found: "Manifest") -> dict[str, object]:
    names = ("name", "created_ms", "ended_ms", "mltrail", "schema", "encrypted", "rows", "files", "file_bytes")
    return {name: getattr(found, name) for name in (*names, "new_files", "new_bytes", "damaged")}

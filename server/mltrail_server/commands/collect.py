"""`mltrail-server gc`: remove files that nothing refers to, and for good what was deleted."""

import argparse
import re
from typing import TYPE_CHECKING

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.numbers import count
from mltrail_server.settings import Settings

from .arguments import Commands, Parser
from .opening import open_server

if TYPE_CHECKING:
    from mltrail_server.services.context.deps import Deps

_SPAN = re.compile(r"(?:([\d.]+)w)?(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?", re.ASCII)
_UNITS = (604_800, 86_400, 3_600, 60, 1)


def add(commands: Commands, shared: Parser) -> None:
    collect = commands.add_parser("gc", parents=[shared], help="remove files that nothing has referred to for a day")
    collect.add_argument("--dry-run", action="store_true", help="show what would be removed, and change nothing")
    collect.add_argument(
        "--orphans", action="store_true", help="also files that the database does not know (see check); can't be undone"
    )
    collect.add_argument(
        "--deleted",
        action="store_true",
        help="first permanently remove deleted runs, logged models and experiments",
    )
    collect.add_argument(
        "--older-than",
        metavar="TIME",
        default="",
        help="with --deleted: only what was deleted this long ago, such as 30d or 2d8h5m20s",
    )
    collect.add_argument("--run-ids", metavar="IDS", default="", help="with --deleted: only these runs")
    collect.add_argument(
        "--experiment-ids", metavar="IDS", default="", help="with --deleted: only these experiments and their runs"
    )
    collect.add_argument(
        "--project", metavar="PATH", default="", help="with --deleted: only this project, by path or ID"
    )
    collect.add_argument(
        "--force",
        action="store_true",
        help="with --deleted: also runs that a protected branch or an open merge request is judged by",
    )
    collect.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.services.admin import garbage, store_check

    chosen = options.run_ids or options.experiment_ids or options.older_than or options.project or options.force
    if chosen and not options.deleted:
        raise invalid("--older-than, --run-ids, --experiment-ids, --project and --force choose what --deleted removes.")
    deps = open_server(settings)
    if options.deleted:
        _purge(deps, options)
    done = garbage.collect(deps, dry_run=options.dry_run)
    would = "Would remove" if options.dry_run else "Removed"
    print(f"{would} {count(done.files, 'file')} that nothing refers to ({done.size:,} bytes).")
    print(f"{would} {done.uploads:,} uploads in parts and {done.leftovers:,} others that were never finished.")
    if done.traces:
        print(f"{would} {done.traces:,} traces that were too old.")
    for loser in done.losers:
        name = f"run {loser.iid} ({loser.name!r}) of project {loser.project_id}"
        print(f"{would} the files of {name}, which lost: {loser.files:,} files, {loser.size:,} bytes.")
    if done.noticed:
        print(f"{done.noticed:,} more were found that nothing refers to; they are removed in a day.")
    if options.orphans and not options.dry_run:
        orphans = store_check.remove_orphans(deps)
        print(f"Removed {orphans.files:,} files that the database does not know ({orphans.size:,} bytes).")
    return 0


def _purge(deps: "Deps", options: argparse.Namespace) -> None:
    from mltrail_server.services.admin import purge

    would = "Would remove" if options.dry_run else "Removed"
    wanted = purge.PurgeRequest(
        older_than_ms=_span_ms(options.older_than),
        project=options.project,
        run_ids=[one.strip() for one in options.run_ids.split(",") if one.strip()],
        experiment_ids=_numbers(options.experiment_ids),
        force=options.force,
        dry_run=options.dry_run,
    )
    found = gone = 0
    for one in purge.purge(deps, wanted):
        found += 1
        name = f"{one.kind} {one.name} of project {one.project_id}"
        print(f"Kept {name}: {one.kept}." if one.kept else f"{would} {name} for good.")
        gone += not one.kept
    print(f"{would} {gone:,} deleted things for good.")
    if not found and (wanted.run_ids or wanted.experiment_ids):
        print("None of what you named was deleted here, or not that long ago: delete it first.")


def _span_ms(text: str) -> int:
    """Read a time as `mlflow gc` does, such as 30d or 2d8h5m20s, in milliseconds; "" is 0."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise invalid(f"--older-than must be a time such as 30d, 12h or 2d8h5m20s, not {text!r}.")
    return round(1000 * sum(_number(part) * unit for part, unit in zip(match.groups("0"), _UNITS, strict=True)))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise invalid(f"--older-than contains {text!r}, which is not a number.") from error


def _numbers(text: str) -> list[int]:
    parts = [one.strip() for one in text.split(",") if one.strip()]
    if not all(one.isascii() and one.isdigit() and len(one) < 19 for one in parts):
        raise invalid(f"--experiment-ids must be numbers, separated by commas, not {text!r}.")
    return [int(one) for one in parts]

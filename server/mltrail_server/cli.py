"""The `mltrail-server` command."""

import argparse
import gc
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from .domain.errors import MltrailError, invalid
from .settings import Settings

if TYPE_CHECKING:
    from .services.context.deps import Deps

_SPAN = re.compile(r"(?:([\d.]+)w)?(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?", re.ASCII)
_UNITS = (604_800, 86_400, 3_600, 60, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.from_environment(data_dir=options.data_dir)
        exit_code: int = options.run(settings, options)
    except MltrailError as error:
        print(f"mltrail-server: {error.message}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        # A folder that is not writable, or a full disk, is not a bug of this program.
        print(f"mltrail-server: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return exit_code


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    gc.disable()  # what is loaded now stays: looking for garbage in it would take a fifth of the start-up time
    from .ops import shared_metrics  # noqa: PLC0415 - commands load only what they need

    # granian's allocator reads this when it is loaded: one arena for all threads, and the memory of a large response is
    # returned after half a second. This saves 6 MB in each web process.
    os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:500,muzzy_decay_ms:0")
    with shared_metrics.shared_metrics_folder():
        from .serve import serve  # noqa: PLC0415 - it loads prometheus_client

        alone = options.no_worker
        serve(settings, host=options.host, port=options.port, workers=options.workers, with_worker=not alone)
    return 0


def _worker(settings: Settings, options: argparse.Namespace) -> int:
    from .app import create_deps  # noqa: PLC0415
    from .ops.metrics import Instruments  # noqa: PLC0415
    from .serve import log_to_stderr, name_process  # noqa: PLC0415
    from .worker import run_once, run_until_signalled  # noqa: PLC0415

    log_to_stderr()

    deps = create_deps(settings.with_kept_secrets())
    Instruments().attach(deps)
    if options.once:
        run_once(deps)
        return 0
    name_process("mltrail-worker")
    run_until_signalled(deps, parent=options.parent)
    return 0


def _migrate(settings: Settings, options: argparse.Namespace) -> int:
    from .store.db import migrate, partitions  # noqa: PLC0415
    from .store.db.database import Database  # noqa: PLC0415

    settings.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    try:
        before = migrate.revision(database)
        migrate.upgrade(database)
        print(f"The schema is at revision {migrate.revision(database)} (it was at {before or 'nothing'}).")
        if options.partitions is not None:
            changed = partitions.partition(database, options.partitions)
            print(f"The metric tables have {options.partitions} partitions{'' if changed else ', as before'}.")
    finally:
        database.dispose()
    return 0


def _of_a_server(settings: Settings) -> "Deps":
    """Open what a server has set up. In a new, empty database nothing would be wrong, or every file an orphan."""
    from .app import create_deps  # noqa: PLC0415
    from .domain.errors import conflict  # noqa: PLC0415
    from .store.db import migrate  # noqa: PLC0415

    if not migrate.is_set_up(settings.database):
        where = "MLTRAIL_DATABASE_URL" if settings.database_url else settings.data_path.resolve()
        raise conflict(
            f"No server has set up the database of {where}. Give this command what `mltrail-server serve` has: "
            "the same variables, or --data-dir."
        )
    return create_deps(settings)


def _gc(settings: Settings, options: argparse.Namespace) -> int:
    from .services.admin import garbage, store_check  # noqa: PLC0415

    chosen = options.run_ids or options.experiment_ids or options.older_than or options.project or options.force
    if chosen and not options.deleted:
        raise invalid("--older-than, --run-ids, --experiment-ids, --project and --force choose what --deleted removes.")
    deps = _of_a_server(settings)
    if options.deleted:
        _purge(deps, options)
    done = garbage.collect(deps, dry_run=options.dry_run)
    would = "Would remove" if options.dry_run else "Removed"
    print(f"{would} {done.files:,} files that nothing refers to ({done.size:,} bytes).")
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
    from .services.admin import purge  # noqa: PLC0415

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
        print("Nothing that was named has been deleted here, or not for that long: delete it first.")


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


def _check(settings: Settings, options: argparse.Namespace) -> int:
    from .services.admin import store_check  # noqa: PLC0415

    def report(problem: store_check.FileProblem) -> None:
        print(json.dumps(problem.as_json()) if options.json else problem.line(), flush=True)

    totals = store_check.check(_of_a_server(settings), report, with_digests=options.digests)
    print(json.dumps(totals.as_json()) if options.json else totals.line())
    return 1 if totals.lost else 0


def _selftest(settings: Settings, options: argparse.Namespace) -> int:
    from .domain.clock import system_clock  # noqa: PLC0415
    from .services.admin.selftest import SelfTest, SelfTestInput  # noqa: PLC0415

    if settings.local_mode:
        raise invalid(
            "The self-test needs a GitLab: set MLTRAIL_GITLAB_URL, and the other variables as for the server."
        )
    given = SelfTestInput(
        options.project,
        options.merge_request,
        id_token=os.environ.get(options.id_token_variable, ""),
        job_token=os.environ.get("CI_JOB_TOKEN", ""),
        webhook_listen=options.webhook_listen,
        webhook_url=options.webhook_url,
    )
    test = SelfTest(settings, given, system_clock)
    print(f"mltrail {metadata.version('mltrail')} against {settings.gitlab_url}, Python {platform.python_version()}")
    for line in test.run():
        print(f"{line.outcome:8}{line.name}: {line.detail}")
    reached = test.lines[0].outcome != "FAILED"
    help_wanted = (
        "fix what the lines say, then run it again; if that does not help, send this report: it contains no secrets"
        if reached
        else "fix what the first line says, then run it again"
    )
    print("passed" if test.passed else f"FAILED: {help_wanted}")
    return 0 if test.passed else 1


class _Parser(argparse.ArgumentParser):
    """Accepts only whole option names: an abbreviation could mean something else once there are more options."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as argparse has it
        super().__init__(**{"allow_abbrev": False, **options})


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) < 65_536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; a port is a number from 0 to 65535")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mltrail-server",
        description="Model tracking for GitLab pipelines. Settings are environment variables: see docs/reference.",
    )
    version = f"mltrail-server {metadata.version('mltrail')}"
    parser.add_argument("-V", "--version", action="version", version=version, help="print the version, and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = _Parser(add_help=False)
    shared.add_argument("--data-dir", metavar="DIR", help="folder for the embedded database and the files")

    serve = commands.add_parser("serve", parents=[shared], help="serve tracking, registry, files and pages")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=_port, default=5000, help="port to listen on (default %(default)s)")
    serve.add_argument("--workers", type=int, default=2, help="web processes (default %(default)s)")
    serve.add_argument(
        "--no-worker", action="store_true", help="run no worker here; start it with mltrail-server worker"
    )
    serve.set_defaults(run=_serve)

    worker = commands.add_parser(
        "worker", parents=[shared], help="keep jobs, comments and statuses up to date with GitLab"
    )
    worker.add_argument("--once", action="store_true", help="do everything that is due once, then exit")
    worker.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # exit when this process has ended
    worker.set_defaults(run=_worker)

    migrate = commands.add_parser("migrate", parents=[shared], help="update the database's schema")
    migrate.add_argument(
        "--partitions",
        type=int,
        metavar="N",
        help="on PostgreSQL, distribute the metric tables over N partitions by project (1: none); rewrites them",
    )
    migrate.set_defaults(run=_migrate)

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
    collect.set_defaults(run=_gc)

    check = commands.add_parser("check", parents=[shared], help="find missing, damaged and orphaned files")
    check.add_argument("--digests", action="store_true", help="read every file and compare its SHA-256: slow")
    check.add_argument("--json", action="store_true", help="one JSON object per line, the totals last")
    check.set_defaults(run=_check)

    selftest = commands.add_parser(
        "selftest", parents=[shared], help="test tokens, roles, claims and comments against your GitLab, and report"
    )
    selftest.add_argument("--project", required=True, metavar="PATH", help="a sandbox project, by path or ID")
    selftest.add_argument(
        "--merge-request", type=int, metavar="IID", help="an open merge request, to write a comment on"
    )
    selftest.add_argument(
        "--id-token-variable",
        metavar="NAME",
        default="MLFLOW_TRACKING_TOKEN",
        help="variable with the job's ID token (default %(default)s)",
    )
    selftest.add_argument(
        "--webhook-listen",
        metavar="HOST:PORT",
        default="",
        help="create a webhook to this address, have GitLab send it, and remove it; the bot needs the Maintainer role",
    )
    selftest.add_argument(
        "--webhook-url",
        metavar="URL",
        default="",
        help="URL by which GitLab reaches that address (default http://HOST:PORT/)",
    )
    selftest.set_defaults(run=_selftest)
    return parser


if __name__ == "__main__":
    sys.exit(main())

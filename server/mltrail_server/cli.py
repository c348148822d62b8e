"""The `mltrail-server` command."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from .domain.errors import MltrailError
from .settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.from_environment(data_dir=options.data_dir)
        exit_code: int = options.run(settings, options)
    except MltrailError as error:
        print(f"mltrail-server: {error.message}", file=sys.stderr)
        return 2
    return exit_code


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    from .serve import serve  # noqa: PLC0415 - commands load only what they need

    serve(settings, host=options.host, port=options.port, workers=options.workers, worker=not options.no_worker)
    return 0


def _worker(settings: Settings, options: argparse.Namespace) -> int:
    from .app import create_deps  # noqa: PLC0415
    from .serve import log_to_stderr  # noqa: PLC0415
    from .worker import run, run_once  # noqa: PLC0415

    log_to_stderr()

    deps = create_deps(settings.with_kept_secrets())
    if options.once:
        run_once(deps)
        return 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(deps, stop=stop, parent=options.parent)
    return 0


def _migrate(settings: Settings, _: argparse.Namespace) -> int:
    from .store import migrate  # noqa: PLC0415
    from .store.db import Database  # noqa: PLC0415

    settings.data_path.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    before = migrate.revision(database)
    migrate.upgrade(database)
    print(f"The schema is at revision {migrate.revision(database)} (it was at {before or 'nothing'}).")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mltrail-server", description="Model tracking beside a GitLab. Settings are variables: see docs/reference."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data-dir", metavar="DIR", help="folder for the embedded database and the files")

    serve = commands.add_parser("serve", parents=[shared], help="serve tracking, registry, files and pages")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=int, default=5000, help="port to listen on (default %(default)s)")
    serve.add_argument("--workers", type=int, default=2, help="web processes (default %(default)s)")
    serve.add_argument(
        "--no-worker", action="store_true", help="reconcile with GitLab elsewhere: mltrail-server worker"
    )
    serve.set_defaults(run=_serve)

    worker = commands.add_parser("worker", parents=[shared], help="reconcile with GitLab: links, notes")
    worker.add_argument("--once", action="store_true", help="one pass over all that is due, then leave")
    worker.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # leave when this process has gone
    worker.set_defaults(run=_worker)

    migrate = commands.add_parser("migrate", parents=[shared], help="bring the database's schema up to date")
    migrate.set_defaults(run=_migrate)
    return parser


if __name__ == "__main__":
    sys.exit(main())

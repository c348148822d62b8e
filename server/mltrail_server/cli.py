"""The `mltrail-server` command."""

import argparse
import errno
import gc
import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import metadata

from .commands import (
    archives,
    backup,
    check,
    collect,
    doctor,
    export,
    import_,
    init,
    migrate,
    move_database,
    ready,
    restore,
    selftest,
)
from .commands.arguments import Parser, address, port
from .domain.errors import Code, MltrailError, invalid
from .domain.terminal import plain_lines
from .settings import Settings
from .telemetry import logs

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


def main(arguments: Sequence[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know all letters of a name
    options = parser_of_all().parse_args(arguments)
    try:
        settings = Settings.from_environment(data_dir=options.data_dir)
        logs.configure(layout=settings.log_format, level=settings.log_level, secrets=settings.secret_values)
        exit_code: int = options.run(settings, options)
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk or a closed pipe is noticed here, not as Python ends
    except MltrailError as error:
        return _failed(error.message + _cause(error))
    except KeyboardInterrupt:
        return _failed("stopped.")
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough. Python would fail once more as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 2
    except OSError as error:
        if error.filename is None and error.errno not in _NO_ROOM:
            raise
        # A folder that is not writable, or a full disk, is not a bug of this program.
        return _failed(f"{error.filename or 'a file'}: {error.strerror}")
    except Exception as error:
        if not _is_of_database(error):
            raise
        said = str(getattr(error, "orig", error)).partition("\n")[0]
        return _failed(f"the database can't be opened, read or written: {said}")
    return exit_code


def _is_of_database(error: Exception) -> bool:
    """Return whether a database is out of order: there is no connection, or it is none. Wrong SQL is a bug."""
    kind = type(error)  # not imported: most commands do without it
    if kind.__module__ != "sqlalchemy.exc":
        return False
    if kind.__name__ == "ProgrammingError":
        from .store.db import failures  # noqa: PLC0415

        return failures.is_no_right(error)
    return kind.__name__ in {"OperationalError", "DatabaseError"}


def _cause(error: MltrailError) -> str:
    """Say what the database has said, such as that a password is wrong. Callers of the API are not told."""
    if error.code is not Code.UNAVAILABLE or error.__cause__ is None:
        return ""
    from .store.db import failures  # noqa: PLC0415 - loaded by now, if it was the database

    return f" ({words})" if (words := failures.words_of(error)) else ""


def _failed(message: str) -> int:
    print(f"mltrail-server: {plain_lines(message)}", file=sys.stderr)
    return 2


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
    from .ops.instruments import Instruments  # noqa: PLC0415
    from .ops.worker_port import listening  # noqa: PLC0415
    from .serve import begin_traces, configure_logs, name_process  # noqa: PLC0415
    from .worker import PROGRESS, run_once, run_until_signalled  # noqa: PLC0415

    if options.once and options.listen:
        raise invalid("worker --once ends at once, so it can't --listen; choose one.")
    deps = create_deps(settings)
    configure_logs(deps.settings)
    instruments = Instruments()
    instruments.attach(deps)
    begin_traces()
    if options.once:
        run_once(deps)
        return 0
    name_process("mltrail-worker")
    with listening(deps, instruments, options.listen, PROGRESS) if options.listen else nullcontext():
        run_until_signalled(deps, parent=options.parent)
    return 0


def parser_of_all() -> argparse.ArgumentParser:
    parser = Parser(
        prog="mltrail-server",
        description="Model tracking for GitLab pipelines. Settings are environment variables: see docs/reference.",
    )
    version = f"mltrail-server {metadata.version('mltrail')}"
    parser.add_argument("-V", "--version", action="version", version=version, help="print the version, and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = Parser(add_help=False)
    shared.add_argument("--data-dir", metavar="DIR", help="folder for the embedded database and the files")

    serve = commands.add_parser("serve", parents=[shared], help="serve tracking, registry, files and pages")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=port, default=5000, help="port to listen on (default %(default)s)")
    serve.add_argument("--workers", type=int, default=2, help="web processes (default %(default)s)")
    serve.add_argument(
        "--no-worker", action="store_true", help="run no worker here; start it with mltrail-server worker"
    )
    serve.set_defaults(run=_serve)

    worker = commands.add_parser(
        "worker", parents=[shared], help="keep jobs, comments and statuses up to date with GitLab"
    )
    worker.add_argument("--once", action="store_true", help="do everything that is due once, then exit")
    worker.add_argument(
        "--listen",
        type=address,
        metavar="HOST:PORT",
        help="answer /healthz and /metrics there, for what watches the worker",
    )
    worker.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # exit when this process has ended
    worker.set_defaults(run=_worker)

    migrate.add(commands, shared)
    ready.add(commands, shared)
    collect.add(commands, shared)
    check.add(commands, shared)
    doctor.add(commands, shared)
    backup.add(commands, shared)
    restore.add(commands, shared)
    move_database.add(commands, shared)
    import_.add(commands, shared)
    archives.add(commands, shared)
    export.add(commands, shared)

    selftest.add(commands, shared)
    init.add(commands, shared)
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""The `mltrail-server` command."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module

from .commands.arguments import Parser
from .domain.errors import Code, MltrailError
from .domain.terminal import plain_lines
from .settings import Settings
from .telemetry import logs

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
_COMMANDS = {
    "serve": "serve",
    "worker": "worker",
    "migrate": "migrate",
    "ready": "ready",
    "gc": "collect",
    "check": "check",
    "doctor": "doctor",
    "backup": "backup",
    "restore": "restore",
    "move-database": "move_database",
    "import": "import_",
    "move-project": "archives",
    "export": "export",
    "selftest": "selftest",
    "init": "init",
}
"""Each command's module, in the order in which the help lists the commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know all letters of a name
    options = _parsed(sys.argv[1:] if arguments is None else arguments)
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
    """Return the database's own message, such as that a password is wrong. The API never shows it."""
    if error.code is not Code.UNAVAILABLE or error.__cause__ is None:
        return ""
    from .store.db import failures  # noqa: PLC0415 - loaded by now, if it was the database

    return f" ({words})" if (words := failures.words_of(error)) else ""


def _failed(message: str) -> int:
    print(f"mltrail-server: {plain_lines(message)}", file=sys.stderr)
    return 2


class _Version(argparse.Action):
    """Like argparse's own, which wants the version at every start: that reads the whole of the package's metadata."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata  # noqa: PLC0415 - see above

        parser.exit(message=f"mltrail-server {metadata.version('mltrail')}\n")


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    # A command's module imports what its parser needs: importing all of them would add 20 ms to a server's start.
    named = [one for one in arguments[:1] if one in _COMMANDS]
    return _parser_of(named or _COMMANDS).parse_args(arguments)


def parser_of_all() -> argparse.ArgumentParser:
    return _parser_of(_COMMANDS)


def _parser_of(names: Iterable[str]) -> argparse.ArgumentParser:
    """Create a parser that knows only these commands."""
    parser = Parser(
        prog="mltrail-server",
        description="Model tracking for GitLab pipelines. Settings are environment variables: see docs/reference.",
    )
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="print the version, and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = Parser(add_help=False)
    shared.add_argument("--data-dir", metavar="DIR", help="folder for the embedded database and the files")
    for name in names:
        import_module(f"{__package__}.commands.{_COMMANDS[name]}").add(commands, shared)
    return parser


if __name__ == "__main__":
    sys.exit(main())

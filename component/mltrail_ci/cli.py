"""The `mltrail` command, which jobs run. Exit codes are in errors.py and in docs/reference/cli.md."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from . import __version__, errors, redaction, settings
from .api import Api
from .outputs import console, text

# Each command is a module of the same name, loaded only when it is called, so that the command starts fast.
COMMANDS = {
    "report": "compare this pipeline's models with the target branch's",
    "promote": "make this pipeline's best candidate a model version with an alias",
    "rollback": "point an alias back at the version before",
    "verify": "check files and signature of a promoted version",
    "card": "print the model card of a version",
    "runs": "list the runs of this pipeline",
    "winner": "print the parameters of this pipeline's best candidate",
    "detach": "let a run outlive this job, for a training that runs elsewhere",
    "contract": "check the contract file, or try it on a pipeline",
    "names": "print what a model is called in variables, environments and tags",
    "doctor": "find mistakes in this job's set-up",
}


def module_of(command: str) -> Any:  # noqa: ANN401 - a module with `arguments` and `run`
    return importlib.import_module(f".{command}", __package__)


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    console.prepare()
    try:
        try:
            exit_code = _run(words)
        except errors.CommandError as error:
            exit_code = _report(error)
        finally:
            console.flush()
    except errors.CommandError as error:
        return _report(error)
    except BrokenPipeError:  # the reader has closed the pipe, as `| head` does
        return 141
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - otherwise a traceback exits with 1, which means "no"
        return _failed(error)
    return exit_code


def _run(words: Sequence[str]) -> int:
    if any(not _is_text(word) for word in words):
        raise errors.usage("An option is not UTF-8. Set the matching locale, or write the option in UTF-8.")
    options = parser(next((word for word in words if word in COMMANDS), "")).parse_args(words)
    module = module_of(options.command)
    if options.command in {"contract", "names"}:  # they need no server
        return int(module.run(options))
    if options.command == "verify" and module.is_offline(options):
        return int(module.run(None, options))
    read = settings.read(options, os.environ)
    if options.command != "doctor":  # which says more about a missing token
        settings.require_token(read, options.command)
    return int(module.run(Api(read, for_doctor=options.command == "doctor"), options))


def _is_text(word: str) -> bool:
    """Whether a word could be decoded: Python turns undecodable bytes into lone surrogates."""
    return word.isascii() or not any("\ud800" <= character <= "\udfff" for character in word)


def _report(error: errors.CommandError) -> int:
    console.log("\n".join(map(text.clean, f"mltrail: {error}".splitlines())))
    return error.exit_code


def _failed(error: Exception) -> int:
    console.log(
        f"mltrail: could not continue ({type(error).__name__}). This is a bug in the command, not a verdict of the "
        "gate. MLTRAIL_DEBUG=1 shows where it is; please report it."
    )
    if os.environ.get("MLTRAIL_DEBUG"):
        import traceback  # noqa: PLC0415

        console.log("".join(traceback.format_exception(error)))
    return errors.FAILED


class _Parser(argparse.ArgumentParser):
    """Hides credentials: error messages quote what was typed, which may contain a password."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as in argparse
        # An abbreviation could mean something else once another option begins the same way.
        super().__init__(**{"allow_abbrev": False, **options})

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ANN401 - as in argparse
        super()._print_message(redaction.hidden(message), file)


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line. With `only`, it knows no other command's options."""
    made = _Parser(prog="mltrail", description="Models in a GitLab pipeline: compare and promote them.")
    made.add_argument(
        "-V", "--version", action="version", version=f"mltrail {__version__}", help="print the version, and exit"
    )
    commands = made.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=f"{what.capitalize()}.")
        if only not in (None, name):
            continue
        module_of(name).arguments(command)
        shared = command.add_argument_group("server, project and pipeline (in a job, its variables set them)")
        shared.add_argument("--server", metavar="URL", help="the mltrail server; MLTRAIL_SERVER or MLFLOW_TRACKING_URI")
        shared.add_argument("--project", metavar="ID", help="ID or path; CI_PROJECT_ID")
        shared.add_argument("--pipeline", metavar="ID", help="ID; CI_PIPELINE_ID")
        shared.add_argument("--json", action="store_true", help="print JSON")
    return made


if __name__ == "__main__":
    sys.exit(main())

"""The `mltrail` command: what a job calls. Exit codes are in errors.py and in docs/reference/cli.md."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from . import __version__, errors, redaction, settings
from .api import Api
from .outputs import console, text

# Each command is a module of its name, which is loaded when it is called: a job has no time for the others.
COMMANDS = {
    "report": "compare this pipeline's models with the target branch's",
    "promote": "make this pipeline's best candidate a model version with an alias",
    "rollback": "point an alias back at the version before",
    "verify": "check files and signature of a promoted version",
    "card": "print the model card of a version",
    "runs": "list the runs of this pipeline",
    "winner": "print the parameters of this pipeline's best candidate",
    "detach": "let a run outlive this job, which launches its training elsewhere",
    "contract": "check the contract file, and tell what it would say of a pipeline",
    "names": "print what a model is called in variables, environments and tags",
    "doctor": "look for mistakes in this job's set-up",
}


def module_of(command: str) -> Any:  # noqa: ANN401 - a module with `arguments` and `run`
    return importlib.import_module(f".{command}", __package__)


def main(arguments: Sequence[str] | None = None) -> int:
    told = sys.argv[1:] if arguments is None else arguments
    console.prepare()
    try:
        try:
            exit_code = _called(told)
        except errors.CommandError as error:
            exit_code = _told(error)
        finally:
            console.flush()
    except errors.CommandError as error:
        return _told(error)
    except BrokenPipeError:  # whoever read has left, as `| head` does
        return 141
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: a traceback exits with 1, which means "the answer is no"
        return _failed(error)
    return exit_code


def _called(told: Sequence[str]) -> int:
    if any(not _is_text(word) for word in told):
        raise errors.usage("An option is not UTF-8. Set the locale that it is written in, or spell it in UTF-8.")
    options = parser(next((word for word in told if word in COMMANDS), "")).parse_args(told)
    module = module_of(options.command)
    if options.command in {"contract", "names"}:  # which need no server
        return int(module.run(options))
    if options.command == "verify" and module.is_offline(options):
        return int(module.run(None, options))
    read = settings.read(options, os.environ)
    if options.command != "doctor":  # which tells more about a missing token
        settings.require_token(read, options.command)
    return int(module.run(Api(read, for_doctor=options.command == "doctor"), options))


def _is_text(word: str) -> bool:
    """Whether a word is what its bytes say: Python takes others for halves of characters."""
    return word.isascii() or not any("\ud800" <= character <= "\udfff" for character in word)


def _told(error: errors.CommandError) -> int:
    console.complain("\n".join(map(text.clean, f"mltrail: {error}".splitlines())))
    return error.exit_code


def _failed(error: Exception) -> int:
    console.complain(
        f"mltrail: could not go on ({type(error).__name__}). That is a fault of this command, not a verdict of the "
        "gate. MLTRAIL_DEBUG=1 shows where it is; please report it."
    )
    if os.environ.get("MLTRAIL_DEBUG"):
        import traceback  # noqa: PLC0415

        console.complain("".join(traceback.format_exception(error)))
    return errors.FAILED


class _Parser(argparse.ArgumentParser):
    """Its complaints quote what was typed, which may hold a password."""

    def __init__(self, **told: Any) -> None:  # noqa: ANN401 - as argparse has it
        # Half a name would mean something else once there is another option that begins so.
        super().__init__(**{"allow_abbrev": False, **told})

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ANN401 - as argparse has it
        super()._print_message(redaction.hidden(message), file)


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Answer what reads the command line. With `only`, the options of no other command are known."""
    made = _Parser(prog="mltrail", description="Models in a GitLab pipeline: compare and promote them.")
    made.add_argument(
        "-V", "--version", action="version", version=f"mltrail {__version__}", help="print the version, and leave"
    )
    commands = made.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=f"{what.capitalize()}.")
        if only not in (None, name):
            continue
        module_of(name).arguments(command)
        shared = command.add_argument_group("where, and about what (in a job its variables say it)")
        shared.add_argument("--server", metavar="URL", help="the mltrail server; MLTRAIL_SERVER or MLFLOW_TRACKING_URI")
        shared.add_argument("--project", metavar="ID", help="number or path; CI_PROJECT_ID")
        shared.add_argument("--pipeline", metavar="ID", help="number; CI_PIPELINE_ID")
        shared.add_argument("--json", action="store_true", help="print JSON")
    return made


if __name__ == "__main__":
    sys.exit(main())

"""The `mltrail` command: what a job calls. Exit codes are in errors.py and in docs/reference/cli.md."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from . import __version__, errors, settings
from .api import Api

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
    "doctor": "look for mistakes in this job's set-up",
}


def module_of(command: str) -> Any:  # noqa: ANN401 - a module with `arguments` and `run`
    return importlib.import_module(f".{command}", __package__)


def main(arguments: Sequence[str] | None = None) -> int:
    told = sys.argv[1:] if arguments is None else arguments
    options = parser(next((word for word in told if word in COMMANDS), "")).parse_args(told)
    module = module_of(options.command)
    try:
        if options.command == "contract":  # which needs no server
            return int(module.run(options))
        if options.command == "verify" and module.is_offline(options):
            return int(module.run(None, options))
        read = settings.read(options, os.environ)
        if options.command != "doctor":  # which tells more about a missing token
            settings.require_token(read)
        exit_code: int = module.run(Api(read, for_doctor=options.command == "doctor"), options)
        sys.stdout.flush()
    except errors.CommandError as error:
        print(f"mltrail: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read has left, as `| head` does. Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    return exit_code


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Answer what reads the command line. With `only`, the options of no other command are known."""
    made = argparse.ArgumentParser(prog="mltrail", description="Models in a GitLab pipeline: compare and promote them.")
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

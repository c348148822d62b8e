"""The `mltrail` command: what a job calls. Exit codes are in errors.py and in docs/reference/cli.md."""

import argparse
import os
import sys
from collections.abc import Sequence

from . import __version__, card, contract, detach, doctor, errors, promote, report, rollback, runs, settings, verify
from .api import Api

COMMANDS = {
    "report": report,
    "promote": promote,
    "rollback": rollback,
    "verify": verify,
    "card": card,
    "runs": runs,
    "detach": detach,
    "contract": contract,
    "doctor": doctor,
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        if options.command == "contract":  # which needs no server
            return contract.run(options)
        if options.command == "verify" and verify.is_offline(options):
            return verify.run(None, options)
        read = settings.read(options, os.environ)
        if options.command != "doctor":  # which tells more about a missing token
            settings.require_token(read)
        exit_code: int = COMMANDS[options.command].run(Api(read), options)
    except errors.CommandError as error:
        print(f"mltrail: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return exit_code


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="mltrail", description="Models in a GitLab pipeline: compare and promote them.")
    made.add_argument(
        "-V", "--version", action="version", version=f"mltrail {__version__}", help="print the version, and leave"
    )
    commands = made.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=f"{module.HELP.capitalize()}.")
        module.arguments(command)
        shared = command.add_argument_group("where, and about what (in a job its variables say it)")
        shared.add_argument("--server", metavar="URL", help="the mltrail server; MLTRAIL_SERVER or MLFLOW_TRACKING_URI")
        shared.add_argument("--project", metavar="ID", help="number or path; CI_PROJECT_ID")
        shared.add_argument("--pipeline", metavar="ID", help="number; CI_PIPELINE_ID")
        shared.add_argument("--json", action="store_true", help="print JSON")
    return made


if __name__ == "__main__":
    sys.exit(main())

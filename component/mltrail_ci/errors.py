"""What can go wrong in a job, and the exit code that tells it.

The codes are documented in docs/reference/cli.md, since a job's `allow_failure: exit_codes` builds on them.
"""

from collections.abc import Sequence

DONE = 0
NO = 1  # the answer is no: a gate that was asked for fails, or `doctor` found a problem
USAGE = 2  # an option or a variable is missing or wrong; argparse exits with it too
SERVER = 3  # the server can't be reached, or answers with an error
TIME_IS_UP = 4  # what was waited for did not come
FAILED = 5  # the command itself could not go on: a fault of its own, or nowhere to print to


class CommandError(Exception):
    """Ends the command. The message says what is wrong and what to do."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def usage(message: str) -> CommandError:
    return CommandError(message, USAGE)


def together(failures: Sequence[CommandError]) -> None:
    """Raise what went wrong as one error, with the first one's exit code. Do nothing where nothing did."""
    if failures:
        raise CommandError("\nmltrail: ".join(dict.fromkeys(map(str, failures))), failures[0].exit_code)


def server(message: str) -> CommandError:
    return CommandError(message, SERVER)

"""What can go wrong in a job, and the exit codes.

The codes are documented in docs/reference/cli.md, because a job's `allow_failure: exit_codes` relies on them.
"""

from collections.abc import Sequence

DONE = 0
NO = 1  # the verdict is no: the gate fails, or `doctor` found a problem
USAGE = 2  # an option or a variable is missing or wrong; argparse uses this code too
SERVER = 3  # the server can't be reached, or returns an error
TIMED_OUT = 4  # runs did not end in time
FAILED = 5  # the command itself could not continue: a bug, or nowhere to print to


class CommandError(Exception):
    """Ends the command. The message says what is wrong and what to do."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def usage(message: str) -> CommandError:
    return CommandError(message, USAGE)


def together(failures: Sequence[CommandError]) -> None:
    """Raise all failures as one error, with the first one's exit code. Do nothing if there are none."""
    if failures:
        raise CommandError("\nmltrail: ".join(dict.fromkeys(map(str, failures))), failures[0].exit_code)


def server(message: str) -> CommandError:
    return CommandError(message, SERVER)

"""What can go wrong in a job, and the exit code that tells it.

The codes are documented in docs/reference/cli.md, since a job's `allow_failure: exit_codes` builds on them.
"""

DONE = 0
NO = 1  # the answer is no: a gate that was asked for fails, or `doctor` found a problem
USAGE = 2  # an option or a variable is missing or wrong; argparse exits with it too
SERVER = 3  # the server can't be reached, or answers with an error
TIME_IS_UP = 4  # what was waited for did not come


class CommandError(Exception):
    """Ends the command. The message says what is wrong and what to do."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def usage(message: str) -> CommandError:
    return CommandError(message, USAGE)


def server(message: str) -> CommandError:
    return CommandError(message, SERVER)

"""The command that docs/how-to/operate.md shows."""

import shlex
from pathlib import Path

from tests.team_server import COMMAND

PAGE = Path(__file__).parents[2] / "docs/how-to/operate.md"


def documented() -> list[str]:
    """The line of the page, for the port of the test."""
    line = next(line for line in PAGE.read_text().splitlines() if line.startswith("gunicorn "))
    command = shlex.split(line.replace("127.0.0.1:5000", "127.0.0.1:{port}"))
    return [str(COMMAND.parent / command[0]), *command[1:]]

"""What `mltrail doctor` checks inside the job: one module per subject."""

from typing import NamedTuple


class Check(NamedTuple):
    """`message` says what was found and why it matters; `fix` is the line that fixes it, to be typed or copied."""

    name: str
    ok: bool
    message: str
    fix: str = ""

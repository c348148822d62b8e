"""What `mltrail doctor` looks at inside the job: one module a subject."""

from typing import NamedTuple


class Check(NamedTuple):
    """`message` says what was found and why it matters; `mend` is the line that mends it, to be typed or copied."""

    name: str
    ok: bool
    message: str
    mend: str = ""

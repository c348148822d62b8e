"""What `mltrail doctor` looks at inside the job: one module a subject."""

from typing import NamedTuple


class Check(NamedTuple):
    """`message` says what was found, and where that is a problem what to do."""

    name: str
    ok: bool
    message: str

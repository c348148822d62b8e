"""Time is an argument. All times in mltrail are integers: milliseconds since the Unix epoch, UTC."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]
"""Returns the current time in milliseconds since the epoch."""


def system_clock() -> int:
    return time.time_ns() // 1_000_000


_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_000


def iso(milliseconds: int) -> str:
    """Render a time as GitLab's API does, for example `2026-11-21T12:00:00.000Z`.

    Clients say when a run began, so a time outside the years 1 to 9999 is shown as their first or last second.
    """
    milliseconds = min(max(milliseconds, _FIRST_MS), _LAST_MS)
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

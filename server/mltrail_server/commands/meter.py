"""Progress on standard error: how much is done, how fast, and how long the rest will take."""

import sys
import time

_EVERY_SECONDS = 1.0
_EVERY_SECONDS_IN_A_LOG = 30.0


class Meter:
    """Call it with what is done, and with how much of it is done and there is in all; 0 if that is not known."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._every = _EVERY_SECONDS if self._terminal else _EVERY_SECONDS_IN_A_LOG
        self._last = time.monotonic()
        self._what = ""
        self._began = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._began = what, now
        if self._quiet or now - self._last < self._every:
            return
        self._last = now
        rate = done / max(now - self._began, 0.001)
        unit = "" if what == "rows" else " bytes"
        text = f"{what}: {done:,}{f' of {total:,}' if total else ''}{unit}, {rate:,.0f} a second"
        if total and rate:
            text += f", {_span((total - done) / rate)} left"
        print(
            f"\r{text}\x1b[K" if self._terminal else text,
            end="" if self._terminal else "\n",
            file=sys.stderr,
            flush=True,
        )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"

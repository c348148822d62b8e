"""Progress of a backup on standard error: how much is done, how fast, and how long the rest will take."""

import sys
import time

from mltrail_server.domain import quantities

_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0


class Meter:
    """Call it with what is being done, how much of it is done, and how much there is in all (0 if that is not known).
    `rows` are counted, everything else is in bytes. On a terminal it is the same line again and again.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._every = _TERMINAL_SECONDS if self._terminal else _LOG_SECONDS
        self._shown = self._began = time.monotonic()
        self._what = ""
        self._open_line = False

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._began = what, now
        if self._quiet or now - self._shown < self._every:
            return
        self._shown = now
        rate = done / max(now - self._began, 0.001)
        spelled = "{:,.0f}".format if what == "rows" else quantities.size
        parts = [f"{what}: {spelled(done)}{f' of {spelled(total)}' if total > done else ''}", f"{spelled(rate)}/s"]
        if total > done and rate:
            parts.append(f"{quantities.duration((total - done) / rate)} left")
        text = " · ".join(parts)
        print(
            f"\r{text}\x1b[K" if self._terminal else text,
            end="" if self._terminal else "\n",
            file=sys.stderr,
            flush=True,
        )
        self._open_line = self._terminal

    def end(self) -> None:
        """Leave the last line on the terminal."""
        if self._open_line:
            print(file=sys.stderr)

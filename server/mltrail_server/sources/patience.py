"""How long a reader waits for a server that has trouble."""

import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from mltrail_server.domain.clock import Clock, system_clock


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried, and how long is waited in between.

    A server's own error (500) passes less often than one of a proxy or a network, so it is tried `tries_of_500` times.
    `chance` returns a number from 0 to 1.
    """

    tries: int = 7
    tries_of_500: int = 4
    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    longest_asked_seconds: float = 600.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    clock: Clock = system_clock

    def is_over(self, attempts: int, status: int) -> bool:
        """Whether a call that has failed this many times, at last with this HTTP status, is not tried again."""
        return attempts >= (self.tries_of_500 if status == 500 else self.tries)

    def wait(self, attempts: int, retry_after: str = "") -> None:
        """Wait after a number of attempts: as long as the server asks for in `Retry-After`, else twice as long each
        time. Up to half of that is chance, so that threads do not come back at the same time.
        """
        asked = self._asked(retry_after)
        longest = min(self.first_seconds * 2.0 ** (attempts - 1), self.longest_seconds)
        self.sleep(longest * (0.5 + self.chance() / 2) if asked is None else asked)

    def _asked(self, retry_after: str) -> float | None:
        """Read `Retry-After`, which is a number of seconds or a date."""
        text = retry_after.strip()
        if text.isascii() and text.isdigit():
            return min(float(text), self.longest_asked_seconds)
        try:
            until = email.utils.parsedate_to_datetime(text).timestamp()
        except ValueError:
            return None
        return min(max(until - self.clock() / 1000, 0.0), self.longest_asked_seconds)

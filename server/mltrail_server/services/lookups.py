"""How many tokens may be looked up in GitLab at once.

Whoever sends a token that nobody knows has us ask GitLab, and hold a web thread until it answers. Without a bound an
outsider could hold all of them while GitLab is slow. What is known already, and ID tokens, need no look-up.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mltrail_server.domain.errors import unavailable

AT_ONCE = 8


class Lookups:
    """Of one process."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Look one token up while the block runs. Raises UNAVAILABLE while many others are being looked up."""
        if not self._free.acquire(blocking=False):
            raise unavailable("Many new tokens are being looked up in GitLab just now; try again.", retry_after=1)
        try:
            yield
        finally:
            self._free.release()

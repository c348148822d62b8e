"""A clock that stands still until a test moves it."""

START = 1_790_000_000_000
HOUR = 60 * 60 * 1000
DAY = 24 * HOUR


class FrozenClock:
    """Time stands still until a test moves it."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds

"""What happens below the edges and is worth counting: `ops/instruments.py` receives it, or nobody does."""


class Receiver:
    """Ignores everything. Its methods are what can be measured."""

    def published(self, outcome: str) -> None:
        """An object in GitLab, such as a note, was `written` or `refused`."""

    def passed(self, *, failed: bool) -> None:
        """The worker's loop has gone through what was due."""

    def looked(self, kind: str, outcome: str) -> None:
        """The worker has looked at something: `ok` or `failed`."""

    def s3_call(self, operation: str, status: str, seconds: float) -> None:
        """A call to S3 has ended; `error` is one without a response."""

    def keys_fetched(self, *, failed: bool) -> None:
        """The issuer was asked for its keys."""

    def connections(self, used: int) -> None:
        """`used` of this process's connections to PostgreSQL are in use."""

    def connections_limit(self, most: int) -> None:
        """A connection is being opened; this process may have `most` of them."""

    def waited_for_connection(self) -> None:
        """All of them were in use when one more was needed."""


class Measured:
    def __init__(self) -> None:
        self.to = Receiver()


MEASURED = Measured()
"""Of this process."""

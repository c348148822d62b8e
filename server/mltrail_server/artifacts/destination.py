"""A place that backups are kept in: a folder, or a bucket of S3 with a prefix."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from mltrail_server.domain.errors import Code, MltrailError

OWN = ("backups/", "blobs/")
"""Where backups are in a destination. Whatever else is there belongs to others."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is at a name in a destination; `size` is in bytes."""

    name: str
    size: int


class Sink(Protocol):
    """Takes the bytes of an object that is being written."""

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


class Lock(Protocol):
    """The right to change a destination."""

    def check(self) -> None:
        """Raise CONFLICT if the right was lost, because this process stood still for too long."""
        ...


class Destination(Protocol):
    """Keeps objects by name, such as `blobs/ab/abcd…`. Names are relative paths with slashes."""

    address: str
    """Where it is, as the operator has written it."""

    def create(self, name: str, *, size: int = 0) -> AbstractContextManager[Sink]:
        """Write an object: it is there, as a whole, once the block has ended without an error. `size` is roughly how
        large it will be, in bytes.
        """
        ...

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Read an object. Raises NOT_FOUND if there is none."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """List the objects whose names begin with `prefix`, which ends with a slash, by name."""
        ...

    def delete(self, name: str) -> None:
        """Delete an object, if it exists."""
        ...

    def settle(self) -> None:
        """Wait until all that has been written would survive a power failure."""
        ...

    def drop_unfinished(self) -> None:
        """Remove what interrupted writers have left. Only for who holds the lock."""
        ...

    def lock(self) -> AbstractContextManager[Lock]:
        """Keep others from changing the destination while the block runs. Raises CONFLICT if somebody else does."""
        ...


def in_use(address: str) -> MltrailError:
    return MltrailError(
        Code.CONFLICT, f"Another backup, or a removal of old ones, is running in {address}. Wait until it is done."
    )

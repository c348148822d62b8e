"""Bytes on their way, with their number and their SHA-256."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Self

from .destination import Sink

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 1 << 16


class HashingReader(io.RawIOBase):
    """Reads what comes in chunks, as file stores return it. `size` and `digest` are of what was read so far."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self._chunks = iter(chunks)
        self._left = memoryview(b"")
        self.digest = hashlib.sha256()
        self.size = 0

    @classmethod
    def of(cls, stream: BinaryIO) -> Self:
        """Read a stream, which its owner closes."""
        return cls(iter(lambda: stream.read(_CHUNK), b""))

    def buffered(self) -> io.BufferedReader:
        return io.BufferedReader(self, _CHUNK)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        room = memoryview(buffer).cast("B")
        part = self._left[: len(room)]
        self._left = self._left[len(part) :]
        room[: len(part)] = part
        self.digest.update(part)
        self.size += len(part)
        return len(part)

    def drain(self) -> None:
        """Read what is left, for its digest."""
        while self.read(_CHUNK):
            pass


@dataclass(slots=True)
class HashingWriter:
    """Passes on what is written, if there is a `sink`."""

    sink: Sink | None = None
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def write(self, data: bytes, /) -> int:
        if self.sink is not None:
            self.sink.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the sink is flushed by whoever has made it."""

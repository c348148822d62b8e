"""Bytes on their way, with errors as sentences and a check that all have come."""

import io
from typing import BinaryIO, Protocol

from mltrail_server.domain.errors import unavailable

CHUNK = 1 << 16


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> object: ...


class Checked(io.RawIOBase):
    """Reads a stream; fewer bytes than expected, or one of `errors`, is a `MltrailError` that names the file."""

    def __init__(self, name: str, stream: Readable, size: int | None, errors: tuple[type[Exception], ...]) -> None:
        super().__init__()
        self._name = name
        self._stream = stream
        self._size = size
        self._errors = errors
        self._got = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override] # what BufferedReader gives
        try:
            chunk = self._stream.read(len(buffer))
        except self._errors as error:
            raise unavailable(f"The file {self._name} broke off after {self._got} bytes. Import again.") from error
        self._got += len(chunk)
        if not chunk and self._size is not None and self._got < self._size:
            raise unavailable(
                f"The file {self._name} ended after {self._got} of {self._size} bytes. Import again, and check that "
                "it is complete at the source."
            )
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def checked(name: str, stream: Readable, size: int | None, *errors: type[Exception]) -> BinaryIO:
    """Wrap a stream. Its reader closes it."""
    return io.BufferedReader(Checked(name, stream, size, errors), CHUNK)

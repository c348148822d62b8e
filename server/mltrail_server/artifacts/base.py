"""What a place for bytes can do."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from mltrail_server.domain.ids import ProjectId


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of an upload: size in bytes and the SHA-256 of the content in hexadecimal."""

    blob_id: str
    size: int
    sha256: str


class FileStore(Protocol):
    """Keeps immutable blobs. Every call streams: memory does not grow with the size of a file."""

    def put(self, project_id: ProjectId, stream: BinaryIO, *, limit: int | None = None) -> Stored:
        """Store what `stream` gives, whole or not at all. Raises TOO_LARGE past `limit` bytes."""
        ...

    def get(
        self, project_id: ProjectId, blob_id: str, *, start: int = 0, length: int | None = None
    ) -> Generator[bytes, None, None]:
        """Read a blob in chunks. Raises NOT_FOUND at once when the bytes are gone."""
        ...

    def local_path(self, project_id: ProjectId, blob_id: str) -> str | None:
        """Name the file that holds the blob, for sending it without copying; None where files are kept elsewhere.

        Raises NOT_FOUND when the bytes are gone.
        """
        ...

    def delete(self, project_id: ProjectId, blob_id: str) -> None: ...

    def ping(self) -> None:
        """Raise UNAVAILABLE when files can't be stored now."""
        ...

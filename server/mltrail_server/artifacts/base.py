"""What a place for bytes can do."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from mltrail_server.domain.ids import ProjectId


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What came of an upload: size in bytes and the SHA-256 of the content in hexadecimal.

    None for a digest that nobody knows, since the bytes went straight to the store.
    """

    blob_id: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """Bytes that lie in the store, whether or not anybody knows them."""

    blob_id: str
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """An upload in parts that a client sends straight to the store."""

    blob_id: str
    store_id: str


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A part that a client has sent: its number, from 1, and the tag that the store gave for it."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class AbandonedUpload:
    """What an upload has left that never came to its end. `name` is the store's."""

    project_id: ProjectId
    blob_id: str
    name: str


class FileStore(Protocol):
    """Keeps immutable blobs. Every call streams: memory does not grow with the size of a file."""

    def put(
        self, project_id: ProjectId, stream: BinaryIO, *, size: int | None = None, limit: int | None = None
    ) -> StoredBlob:
        """Store what `stream` gives, whole or not at all. Raises TOO_LARGE past `limit` bytes.

        `size` is what the stream is said to give, where that is known.
        """
        ...

    def get(self, project_id: ProjectId, blob_id: str, *, start: int = 0, length: int) -> Generator[bytes, None, None]:
        """Read `length` bytes of a blob in chunks. Raises NOT_FOUND at once when the bytes are gone."""
        ...

    def local_path(self, project_id: ProjectId, blob_id: str) -> str | None:
        """Name the file that holds the blob, for sending it without copying; None where files are kept elsewhere.

        Raises NOT_FOUND when the bytes are gone.
        """
        ...

    def delete(self, project_id: ProjectId, blob_id: str) -> None:
        """Forget the bytes; what is not there is no error."""
        ...

    def size(self, project_id: ProjectId, blob_id: str) -> int | None:
        """Tell how many bytes lie there; None when none do."""
        ...

    def ping(self) -> None:
        """Raise UNAVAILABLE when files can't be stored now."""
        ...

    def projects(self) -> list[ProjectId]:
        """List the projects that have bytes here."""
        ...

    def stored(self, project_id: ProjectId) -> Iterator[ListedBlob]:
        """List what a project has here, by id."""
        ...

    def leftovers(self, *, before_ms: int) -> Iterator[AbandonedUpload]:
        """List what uploads have left that were last heard of before this moment."""
        ...

    def drop(self, leftover: AbandonedUpload) -> None: ...

    # Clients that send or fetch the bytes themselves. A store that can't raises NOT_IMPLEMENTED, and clients fall back.

    def begin(self, project_id: ProjectId) -> MultipartUpload: ...

    def part_url(self, project_id: ProjectId, begun: MultipartUpload, number: int) -> str:
        """Make a URL that takes one part by PUT, for an hour, without a token."""
        ...

    def complete(self, project_id: ProjectId, begun: MultipartUpload, parts: Iterable[UploadPart]) -> int:
        """Put the parts together, and tell how many bytes that is. Asked again, it answers the same.

        Raises INVALID when parts are missing or are not those that the store has.
        """
        ...

    def abort(self, project_id: ProjectId, begun: MultipartUpload) -> None: ...

    def download_url(self, project_id: ProjectId, blob_id: str, *, disposition: str) -> str:
        """Make a URL that gives the bytes of one blob as a download, for five minutes, without a token."""
        ...

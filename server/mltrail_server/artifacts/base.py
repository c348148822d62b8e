"""What a store for the bytes of files can do."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId

CHUNK = 127 << 10
"""How many bytes are read and sent at once. From 128 KiB on, glibc gets new pages from the operating system for each
chunk, and gives them back, see `serve._keep_memory_small`. Measured with granian, a download in such chunks took twice
the processor time; one in chunks of 64 KiB, which are sent one by one, took a third more.
"""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """The result of an upload: size in bytes and the SHA-256 of the content in hexadecimal.

    The digest is None if it is not known, since the bytes went straight to the store.
    """

    blob_id: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """A blob in the store, whether or not the database knows it."""

    blob_id: str
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """An upload in parts that a client sends directly to the store."""

    blob_id: str
    store_id: str


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A part that a client has sent: its number, from 1, and the ETag that the store returned for it."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class AbandonedUpload:
    """What is left of an upload that was never finished. `name` is the store's name for it."""

    project_id: ProjectId
    blob_id: str
    name: str


class FileStore(Protocol):
    """Keeps immutable blobs. Every call streams, so memory does not grow with the size of a file."""

    def put(
        self,
        project_id: ProjectId,
        stream: BinaryIO,
        *,
        size: int | None = None,
        limit: int | None = None,
        blob_id: str | None = None,
    ) -> StoredBlob:
        """Store all of `stream`, or nothing. Raises TOO_LARGE after `limit` bytes.

        `size` is the announced size of the stream, if known. `blob_id` is given only for a blob that comes from another
        store with its id, checked by `domain.ids.is_blob_id`; what has that id here is overwritten.
        """
        ...

    def get(self, project_id: ProjectId, blob_id: str, *, start: int = 0, length: int) -> Generator[bytes, None, None]:
        """Read `length` bytes of a blob in chunks. Raises NOT_FOUND before the first chunk if the bytes are gone."""
        ...

    def local_path(self, project_id: ProjectId, blob_id: str) -> str | None:
        """Return the path of the blob's file, for sending it without copying; None if blobs are not local files.

        Raises NOT_FOUND if the bytes are gone.
        """
        ...

    def delete(self, project_id: ProjectId, blob_id: str) -> None:
        """Delete a blob, if it exists."""
        ...

    def size(self, project_id: ProjectId, blob_id: str) -> int | None:
        """Return the size of a blob in bytes; None if there is no such blob."""
        ...

    def ping(self) -> None:
        """Raise UNAVAILABLE if files can't be stored at present."""
        ...

    def hints(self) -> list[str]:
        """Say what an operator should look at in this store, in words. Reads only."""
        ...

    def projects(self) -> list[ProjectId]:
        """List the projects that have blobs here."""
        ...

    def stored(self, project_id: ProjectId) -> Iterator[ListedBlob]:
        """List the blobs of a project, by id."""
        ...

    def leftovers(self, *, before_ms: int) -> Iterator[AbandonedUpload]:
        """List the uploads that were abandoned before this time."""
        ...

    def drop(self, leftover: AbandonedUpload) -> None: ...

    # For clients that send or fetch the bytes directly. A store that can't do this raises NOT_IMPLEMENTED, and clients
    # fall back.

    def begin(self, project_id: ProjectId) -> MultipartUpload: ...

    def part_url(self, project_id: ProjectId, begun: MultipartUpload, number: int) -> str:
        """Return a URL that accepts one part by PUT, for an hour and without a token."""
        ...

    def complete(self, project_id: ProjectId, begun: MultipartUpload, parts: Iterable[UploadPart]) -> int:
        """Join the parts, and return the size in bytes. Calling it again returns the same.

        Raises INVALID if parts are missing or differ from those in the store.
        """
        ...

    def abort(self, project_id: ProjectId, begun: MultipartUpload) -> None: ...

    def download_url(self, project_id: ProjectId, blob_id: str, *, disposition: str) -> str:
        """Return a URL that downloads one blob, for five minutes and without a token."""
        ...


def check_size(size: int, limit: int | None) -> None:
    """Raise TOO_LARGE if `size` exceeds the limit, both in bytes."""
    if limit is not None and size > limit:
        raise MltrailError(Code.TOO_LARGE, f"The file is larger than the {limit} bytes allowed here.")

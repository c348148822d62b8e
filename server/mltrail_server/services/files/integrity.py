"""Whether stored files are still what was uploaded, and the digests of those that went directly to the object store.

Such a digest is unknown until somebody reads the file.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from threading import BoundedSemaphore

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.files import blobs
from mltrail_server.store.files.files import File

LARGE_BYTES = 256 << 20
"""Only a few larger models are read at the same time, so that promotions leave a server's threads to others."""
reading = BoundedSemaphore(4)


def broken(deps: Deps, project_id: ProjectId, files: Sequence[File]) -> str:
    """Read files completely, and return the path of the first that is not what was uploaded; "" if there is none.

    Call it outside a transaction, since a large model takes long. Raises LIMIT while several others are read.
    """
    if sum(file.size for file in files) <= LARGE_BYTES:
        return _first_broken(deps, project_id, files)
    if not reading.acquire(blocking=False):
        wait = "Several large models are being read for their promotion already; ask again in a moment."
        raise MltrailError(Code.LIMIT, wait, retry_after=15)
    try:
        return _first_broken(deps, project_id, files)
    finally:
        reading.release()


def with_digests(deps: Deps, project_id: ProjectId, files: Iterable[File]) -> list[File]:
    """Return the files with all their digests. Reads those that nobody has read yet, and keeps their digests.

    Call it outside a transaction, since large files take long. Raises NOT_FOUND when bytes are missing.
    """
    return [
        file
        if file.sha256 is not None
        else replace(file, sha256=learn_digest(deps, project_id, file.blob_id, file.size))
        for file in files
    ]


def learn_digest(deps: Deps, project_id: ProjectId, blob_id: str, size: int) -> str:
    """Read a blob, and keep its SHA-256 where none was known."""
    digest = computed_digest(deps, project_id, blob_id, size)
    with deps.project(project_id).write() as tx:
        blobs.set_digest(tx, blob_id, digest)
    return digest


def computed_digest(deps: Deps, project_id: ProjectId, blob_id: str, size: int) -> str:
    digest = hashlib.sha256()
    for chunk in deps.files.get(project_id, blob_id, length=size):
        digest.update(chunk)
    return digest.hexdigest()


def content(deps: Deps, project_id: ProjectId, file: File, *, most: int) -> bytes:
    """Read the beginning of a small file."""
    return b"".join(deps.files.get(project_id, file.blob_id, length=min(file.size, most)))


def _first_broken(deps: Deps, project_id: ProjectId, files: Sequence[File]) -> str:
    for file in files:
        try:
            digest = computed_digest(deps, project_id, file.blob_id, file.size)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            return file.path
        if file.sha256 not in (None, digest):
            return file.path
    return ""

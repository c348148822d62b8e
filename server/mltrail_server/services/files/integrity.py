"""Digests of what clients have sent straight to the store: unknown until somebody reads it.

Are the stored bytes still those that were uploaded?
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

LARGE = 256 << 20
"""Models of more bytes are read a few at a time, so that promotions leave a server's threads to others."""

reading = BoundedSemaphore(4)


def broken(deps: Deps, project_id: ProjectId, held: Sequence[File]) -> str:
    """Read files whole and name the first whose bytes are not what was uploaded; "" when all are as they were.

    Call it outside of a transaction: a large model takes its time. Raises LIMIT while several others are read.
    """
    if sum(file.size for file in held) <= LARGE:
        return _first_broken(deps, project_id, held)
    if not reading.acquire(blocking=False):
        told = "Several large models are being read for their promotion already; ask again in a moment."
        raise MltrailError(Code.LIMIT, told, retry_after=15)
    try:
        return _first_broken(deps, project_id, held)
    finally:
        reading.release()


def _first_broken(deps: Deps, project_id: ProjectId, held: Sequence[File]) -> str:
    for file in held:
        try:
            digest = hashlib.sha256()
            for piece in deps.files.get(project_id, file.blob_id, length=file.size):
                digest.update(piece)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            return file.path
        if file.sha256 is not None and digest.hexdigest() != file.sha256:
            return file.path
    return ""


def content(deps: Deps, project_id: ProjectId, file: File, *, most: int) -> bytes:
    """Read the beginning of a small file."""
    return b"".join(deps.files.get(project_id, file.blob_id, length=min(file.size, most)))


def with_digests(deps: Deps, project_id: ProjectId, files: Iterable[File]) -> list[File]:
    """Answer the files with all their digests: reads those that nobody has read, and keeps what it finds.

    Large files take their time, so don't call it in a transaction. Raises NOT_FOUND when bytes are gone.
    """
    return [
        file
        if file.sha256 is not None
        else replace(file, sha256=learn_digest(deps, project_id, file.blob_id, file.size))
        for file in files
    ]


def learn_digest(deps: Deps, project_id: ProjectId, blob_id: str, size: int) -> str:
    """Read a blob, and keep its SHA-256 where none was known."""
    found = computed_digest(deps, project_id, blob_id, size)
    with deps.project(project_id).write() as tx:
        blobs.set_digest(tx, blob_id, found)
    return found


def computed_digest(deps: Deps, project_id: ProjectId, blob_id: str, size: int) -> str:
    digest = hashlib.sha256()
    for chunk in deps.files.get(project_id, blob_id, length=size):
        digest.update(chunk)
    return digest.hexdigest()

"""Digests of what clients have sent straight to the store: unknown until somebody reads it."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import blobs
from mltrail_server.store.files import File

from .deps import Deps


def known(deps: Deps, project_id: ProjectId, files: Iterable[File]) -> list[File]:
    """Answer the files with all their digests: reads those that nobody has read, and keeps what it finds.

    Large files take their time, so don't call it in a transaction. Raises NOT_FOUND when bytes are gone.
    """
    return [
        file if file.sha256 is not None else replace(file, sha256=learn(deps, project_id, file.blob_id, file.size))
        for file in files
    ]


def learn(deps: Deps, project_id: ProjectId, blob_id: str, size: int) -> str:
    """Read a blob, and keep its SHA-256 where none was known."""
    found = computed(deps, project_id, blob_id, size)
    with deps.db.write() as connection:
        blobs.set_digest(connection, project_id, blob_id, found)
    return found


def computed(deps: Deps, project_id: ProjectId, blob_id: str, size: int) -> str:
    digest = hashlib.sha256()
    for chunk in deps.files.get(project_id, blob_id, length=size):
        digest.update(chunk)
    return digest.hexdigest()

"""Files in a folder: `<project>/<first two digits>/<blob id>`."""

import hashlib
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mltrail_server.domain.errors import Code, MltrailError, not_found, unavailable
from mltrail_server.domain.ids import ProjectId, new_blob_id

from .base import Stored

CHUNK = 1 << 20

_log = logging.getLogger(__name__)


class LocalFiles:
    """See `base.FileStore`. An upload is written aside and renamed into place, so that half a file is never seen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, project_id: ProjectId, stream: BinaryIO, *, limit: int | None = None) -> Stored:
        blob_id = new_blob_id()
        path = self._path(project_id, blob_id)
        aside = path.with_suffix(".part")
        digest, size = hashlib.sha256(), 0
        try:
            with _told():
                path.parent.mkdir(parents=True, exist_ok=True)
                file = aside.open("wb")
            with file:
                while chunk := stream.read(CHUNK):
                    size += len(chunk)
                    _check_size(size, limit)
                    digest.update(chunk)
                    with _told():
                        file.write(chunk)
                with _told():
                    file.flush()
            aside.rename(path)
        except BaseException:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        return Stored(blob_id, size, digest.hexdigest())

    def get(
        self, project_id: ProjectId, blob_id: str, *, start: int = 0, length: int | None = None
    ) -> Generator[bytes, None, None]:
        path = self._path(project_id, blob_id)
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise _missing() from error
        return _chunks(file, start, length)

    def local_path(self, project_id: ProjectId, blob_id: str) -> str | None:
        path = self._path(project_id, blob_id)
        if not path.is_file():
            raise _missing()
        return str(path.resolve())

    def delete(self, project_id: ProjectId, blob_id: str) -> None:
        self._path(project_id, blob_id).unlink(missing_ok=True)

    def ping(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unavailable("Files can't be stored just now.") from error
        if not os.access(self._folder, os.W_OK):
            raise unavailable("Files can't be stored just now: the folder is not writable.")

    def _path(self, project_id: ProjectId, blob_id: str) -> Path:
        return self._folder / str(project_id) / blob_id[:2] / blob_id


def _missing() -> MltrailError:
    return not_found("The file's content is missing from the store; tell the operator.")


def _check_size(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise MltrailError(Code.TOO_LARGE, f"The file is larger than the {limit} bytes allowed here.")


def _chunks(file: BinaryIO, start: int, length: int | None) -> Generator[bytes, None, None]:
    with file:
        file.seek(start)
        left = length
        while left is None or left > 0:
            chunk = file.read(CHUNK if left is None else min(CHUNK, left))
            if not chunk:
                return
            if left is not None:
                left -= len(chunk)
            yield chunk


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the file system refuses, a full disk for one, into words for the client; the log holds the rest."""
    try:
        yield
    except OSError as error:
        _log.exception("the file store can't be written to")
        raise unavailable(
            f"The server can't store files just now ({error.strerror}). Nothing of this one was kept; try again later, "
            "or tell whoever runs the server."
        ) from error

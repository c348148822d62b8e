"""Files in a folder: `<project>/<first two digits>/<blob id>`."""

import hashlib
import io
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mltrail_server.domain.errors import MltrailError, not_found, unavailable
from mltrail_server.domain.ids import ProjectId, new_blob_id

from .base import CHUNK, AbandonedUpload, ListedBlob, StoredBlob, check_size
from .whole_files import WholeFiles

_ASIDE = ".part"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

_log = logging.getLogger(__name__)


class LocalFiles(WholeFiles):
    """See `base.FileStore`.

    A new blob has an id that nobody knows until a database row names it, so a small one is written in place. If the
    process dies before that row is committed, its bytes are an orphan, as they would be with any order. A large upload
    may take minutes and often breaks off, so it is written to another name and then renamed: what is left of it is
    found by that name. So is what comes with a given id, which may have a row already.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        """`durable`: wait until files are on disk, so that a power failure loses nothing that was confirmed."""
        self._folder = folder
        self._durable = durable

    def put(
        self,
        project_id: ProjectId,
        stream: BinaryIO,
        *,
        size: int | None = None,
        limit: int | None = None,
        blob_id: str | None = None,
    ) -> StoredBlob:
        given, blob_id = blob_id, blob_id or new_blob_id()
        path = self._path(project_id, blob_id)
        first = stream.read(CHUNK)
        if given is None and len(first) == size:
            check_size(size, limit)
            with _removing_at_error(path), _translating_errors():
                self._write_whole(path, first)
            return StoredBlob(blob_id, len(first), hashlib.sha256(first).hexdigest())
        aside = path + _ASIDE
        if given is not None:
            Path(aside).unlink(missing_ok=True)  # of an attempt that was killed
        with _removing_at_error(aside):
            stored = self._write_aside(aside, blob_id, first, stream, limit)
            with _translating_errors():
                Path(aside).rename(path)
                self._sync_name(path)
        return stored

    def _write_whole(self, path: str, content: bytes) -> None:
        file = self._create(path)
        try:
            _write(file, content)
            if self._durable:
                os.fsync(file)
        finally:
            os.close(file)
        self._sync_name(path)

    def _write_aside(self, aside: str, blob_id: str, chunk: bytes, stream: BinaryIO, limit: int | None) -> StoredBlob:
        digest, total = hashlib.sha256(), 0
        with _translating_errors():
            file = self._create(aside)
        try:
            while chunk:
                total += len(chunk)
                check_size(total, limit)
                digest.update(chunk)
                with _translating_errors():
                    _write(file, chunk)
                chunk = stream.read(CHUNK)
            if self._durable:
                with _translating_errors():
                    os.fsync(file)
        finally:
            os.close(file)
        return StoredBlob(blob_id, total, digest.hexdigest())

    def _create(self, path: str) -> int:
        """Open a new file for writing, and create its folder if it is missing, which is rare."""
        try:
            return os.open(path, _NEW, 0o666)
        except FileNotFoundError:
            folder = Path(path).parent
            folder.mkdir(parents=True, exist_ok=True)
            if self._durable:
                _sync_folder(folder.parent)
                _sync_folder(self._folder)
            return os.open(path, _NEW, 0o666)

    def _sync_name(self, path: str) -> None:
        if self._durable:
            _sync_folder(Path(path).parent)

    def get(self, project_id: ProjectId, blob_id: str, *, start: int = 0, length: int) -> Generator[bytes, None, None]:
        try:
            file = io.FileIO(self._path(project_id, blob_id))
        except FileNotFoundError as error:
            raise _missing() from error
        return _chunks(file, start, length)

    def local_path(self, project_id: ProjectId, blob_id: str) -> str | None:
        path = Path(self._path(project_id, blob_id))
        if not path.is_file():
            raise _missing()
        return str(path.resolve())

    def delete(self, project_id: ProjectId, blob_id: str) -> None:
        Path(self._path(project_id, blob_id)).unlink(missing_ok=True)

    def size(self, project_id: ProjectId, blob_id: str) -> int | None:
        try:
            return Path(self._path(project_id, blob_id)).stat().st_size
        except FileNotFoundError:
            return None

    def projects(self) -> list[ProjectId]:
        return [ProjectId(int(one.name)) for one in _folders(self._folder) if one.name.isascii() and one.name.isdigit()]

    def stored(self, project_id: ProjectId) -> Iterator[ListedBlob]:
        for path in self._files(project_id):
            if path.suffix != _ASIDE:
                with suppress(FileNotFoundError):  # it may be deleted while the folder is read
                    stat = path.stat()
                    yield ListedBlob(path.name, stat.st_size, stat.st_mtime_ns // 1_000_000)

    def leftovers(self, *, before_ms: int) -> Iterator[AbandonedUpload]:
        for project_id in self.projects():
            for path in self._files(project_id):
                with suppress(FileNotFoundError):
                    if path.suffix == _ASIDE and path.stat().st_mtime_ns // 1_000_000 <= before_ms:
                        yield AbandonedUpload(project_id, path.stem, str(path))

    def drop(self, leftover: AbandonedUpload) -> None:
        Path(leftover.name).unlink(missing_ok=True)

    def _files(self, project_id: ProjectId) -> Iterator[Path]:
        """List the files of a project by name, one small folder at a time."""
        for folder in _folders(self._folder / str(project_id)):
            yield from sorted(folder.iterdir())

    def ping(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unavailable("Files can't be stored at present.") from error
        if not os.access(self._folder, os.W_OK):
            raise unavailable("Files can't be stored at present: the folder is not writable.")

    def hints(self) -> list[str]:
        return []

    def _path(self, project_id: ProjectId, blob_id: str) -> str:
        """Join a path as a text: pathlib takes as long for it as the operating system for a small file."""
        return f"{self._folder}/{project_id}/{blob_id[:2]}/{blob_id}"


def _write(file: int, chunk: bytes) -> None:
    """Write all of a chunk: when the disk is nearly full, the operating system may write only a part of it."""
    left = memoryview(chunk)
    while left:
        left = left[os.write(file, left) :]


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _folders(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def _missing() -> MltrailError:
    return not_found("The file's content is missing from the store; tell the operator.")


def _chunks(file: io.FileIO, start: int, length: int) -> Generator[bytes, None, None]:
    with file:
        if start:
            file.seek(start)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk


@contextmanager
def _removing_at_error(path: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            Path(path).unlink()
        raise


@contextmanager
def _translating_errors() -> Iterator[None]:
    """Translate errors of the file system, such as a full disk, for the client; the log has the details."""
    try:
        yield
    except OSError as error:
        _log.exception("the file store can't be written to")
        raise unavailable(
            f"The server can't store files at present ({error.strerror}). Nothing of this file was kept; try again "
            "later, or tell whoever runs the server."
        ) from error

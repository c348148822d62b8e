"""Backups in a folder, which may be on another machine's disk."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mltrail_server.domain.errors import MltrailError, not_found, unavailable

from .destination import OWN, Sink, Stored, in_use

_LOCK = "lock"
_ASIDE = ".part"


class FolderDestination:
    """See `destination.Destination`."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self._folder = folder
        self._changed: set[Path] = set()  # folders whose names may not be on the disk

    @contextmanager
    def create(self, name: str, *, size: int = 0) -> Iterator[Sink]:
        del size
        path = self._folder / name
        aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_ASIDE}")
        with self._translating_errors():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        try:
            try:
                yield _Translated(self, file)
                with self._translating_errors():
                    file.flush()
                    os.fsync(file.fileno())  # so that a name is never that of half a file
            finally:
                with suppress(OSError):  # on a full disk it tries to write the rest once more
                    file.close()
            with self._translating_errors():
                aside.rename(path)
            self._changed.add(path.parent)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        try:
            with self._translating_errors():
                file = (self._folder / name).open("rb")
        except MltrailError as error:
            if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                raise not_found(f"{name} is missing in {self.address}.") from error
            raise
        with file:
            try:
                yield file
            except OSError as error:
                if error.errno is None:  # of who reads it, not of the file system
                    raise
                raise self._failed(error) from error

    def list(self, prefix: str) -> Iterator[Stored]:
        with self._translating_errors():
            yield from self._walk(self._folder / prefix, prefix)

    def _walk(self, folder: Path, prefix: str) -> Iterator[Stored]:
        """List files as S3 would: by name, a folder with its slash."""
        try:
            entries = sorted(os.scandir(folder), key=lambda one: f"{one.name}/" if one.is_dir() else one.name)
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_dir():
                yield from self._walk(folder / entry.name, f"{prefix}{entry.name}/")
            elif not entry.name.endswith(_ASIDE):
                with suppress(FileNotFoundError):
                    yield Stored(prefix + entry.name, entry.stat().st_size)

    def delete(self, name: str) -> None:
        path = self._folder / name
        with self._translating_errors():
            path.unlink(missing_ok=True)
        with suppress(OSError):  # other files are in it
            while path.parent != self._folder:
                path = path.parent
                path.rmdir()

    def settle(self) -> None:
        """The contents are on the disk already. Only our own folders are waited for: `sync` would make every program on
        this machine wait, the server first.
        """
        changed, self._changed = self._changed, set()
        for folder in sorted({above for path in changed for above in (path, *path.parents) if self._is_ours(above)}):
            with self._translating_errors(), suppress(FileNotFoundError):
                _sync(folder)

    def _is_ours(self, folder: Path) -> bool:
        return folder == self._folder or self._folder in folder.parents

    def drop_unfinished(self) -> None:
        with self._translating_errors():
            for folder in OWN:
                for path in (self._folder / folder).rglob(f"*{_ASIDE}"):
                    path.unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator["_FolderLock"]:
        with self._translating_errors():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            opened = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise in_use(self.address) from error
            yield _FolderLock()
        finally:
            os.close(opened)

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> MltrailError:
        name = error.filename or self.address
        return unavailable(f"The backups can't be read or written ({name}: {error.strerror}).")


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class _FolderLock:
    def check(self) -> None:
        """Do nothing: the kernel keeps the lock for as long as this process lives."""


class _Translated:
    """Writes to a file, and says in words why it can't."""

    def __init__(self, destination: FolderDestination, file: BinaryIO) -> None:
        self._destination = destination
        self._file = file

    def write(self, data: bytes, /) -> int:
        with self._destination._translating_errors():  # noqa: SLF001 - it is its own
            return self._file.write(data)

    def flush(self) -> None:
        """Do nothing: what matters is done at the end."""

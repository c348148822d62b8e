"""Files in folders of this machine."""

import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from mltrail_server.domain.errors import not_found
from mltrail_server.domain.transfer import Entity, FileRecord, Findings, Loss

from .streams import checked


class LocalFiles:
    """Lists and opens files at or below the given folders, and nothing else, whatever symbolic links say."""

    def __init__(self, findings: Findings, roots: Sequence[Path]) -> None:
        self._findings = findings
        self._roots = [os.path.realpath(root).rstrip("/") for root in roots]

    def files(self, address: str, owner: str) -> Iterator[FileRecord]:
        """List the files in a folder and its subfolders, by name; none if there is no such folder."""
        folder = os.path.realpath(address)
        if not self._may_read(folder):
            raise not_found(
                f"its folder {address} is a symbolic link to a place that the import may not read: {folder}"
            )
        if os.path.isdir(folder):  # noqa: PTH112 - once for each run: a Path takes several times as long
            yield from self._below(Path(folder), "", owner, (folder,))

    def _below(self, folder: Path, path: str, owner: str, above: tuple[str, ...]) -> Iterator[FileRecord]:
        try:
            entries = sorted(os.scandir(folder), key=lambda one: one.name)
        except OSError as error:
            self._miss(owner, path or ".", error)
            return
        for entry in entries:
            name = f"{path}{entry.name}"
            if not _is_text(name):
                self._refuse(owner, ascii(name), "its name is not UTF-8: rename it and import again")
                continue
            real = Path(os.path.realpath(entry.path))
            if entry.is_symlink() and not self._may_read(str(real)):
                self._refuse(owner, name, "it is a symbolic link that points outside the folder, so it is not read")
                continue
            yield from self._one(real, name, owner, above)

    def _one(self, real: Path, name: str, owner: str, above: tuple[str, ...]) -> Iterator[FileRecord]:
        """Return the file, or the files of the folder, that has this path."""
        try:
            facts = real.stat()
        except OSError as error:
            self._miss(owner, name, error)
            return
        if stat.S_ISDIR(facts.st_mode):
            if str(real) in above:
                self._refuse(owner, name, "it is a symbolic link to a folder that contains it, so it is not read")
            else:
                yield from self._below(real, f"{name}/", owner, (*above, str(real)))
        elif stat.S_ISREG(facts.st_mode):
            yield FileRecord(name, f"file://{quote(str(real))}", facts.st_size)
        else:
            self._refuse(owner, name, "it is a device, pipe or socket, not a file")

    def open(self, uri: str, size: int | None) -> BinaryIO:
        """Open a file. It may have changed since it was listed, so its size is not compared."""
        del size
        path = os.path.realpath(uri)
        if not self._may_read(path):
            raise not_found(f"The file {uri} is a symbolic link that points outside the folder.")
        try:
            opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                os.close(opened)
                raise not_found(f"{uri} is not a file.")
        except OSError as error:
            raise not_found(f"The file {uri} can't be read ({error.strerror}).") from error
        return checked(uri, io.FileIO(opened), None, OSError)

    def _may_read(self, real: str) -> bool:
        return any(real == root or real.startswith(f"{root}/") for root in self._roots)

    def _refuse(self, owner: str, name: str, why: str) -> None:
        self._findings.add(Loss.REFUSED, Entity.FILE, owner, f"file {name}: {why}")

    def _miss(self, owner: str, name: str, error: OSError) -> None:
        self._findings.add(Loss.MISSING, Entity.FILE, owner, f"{name} can't be read ({error.strerror})")


def _is_text(name: str) -> bool:
    with suppress(UnicodeEncodeError):
        name.encode()
        return True
    return False

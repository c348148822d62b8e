"""The backups of a destination: which there are, and the objects of one."""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, cast

import msgspec

from mltrail_server.artifacts.destination import Destination
from mltrail_server.artifacts.encryption import Decryption, Encryption
from mltrail_server.artifacts.hashing import HashingReader, HashingWriter
from mltrail_server.domain.errors import Code, MltrailError, invalid, not_found
from mltrail_server.store.archives.blob_index import StoredBlob

from . import manifest
from .manifest import Contents, Manifest, StoredPart

FOLDER = "backups/"
BLOBS = "blobs/"
_MANIFEST = "manifest.json"
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z(-\d+)?", re.ASCII)
_STEM = len("2026-11-29T205907Z")
_PART = re.compile(r"[\w-]+(\.[\w-]+)*(/[\w-]+(\.[\w-]+)*)*", re.ASCII)
"""No name that comes from a manifest leads out of the backup's folder."""
_CHUNK = 1 << 16
_LEVEL = 4
"""gzip's level: the default takes three times as long, to save a tenth."""


def complete(destination: Destination) -> list[str]:
    """List the names of the backups that are complete, the oldest first."""
    names = (one.name.removeprefix(FOLDER).partition("/") for one in destination.list(FOLDER))
    found = (name for name, _, rest in names if rest == _MANIFEST and _NAME.fullmatch(name))
    return sorted(found, key=_order)


def _order(name: str) -> tuple[str, int]:
    stem, number = name[:_STEM], name[_STEM + 1 :]
    return stem, int(number or 1)


def interrupted(destination: Destination) -> Iterator[str]:
    """List the objects of backups that did not end."""
    ended = set(complete(destination))
    for one in destination.list(FOLDER):
        name = one.name.removeprefix(FOLDER).partition("/")[0]
        if _NAME.fullmatch(name) and name not in ended:
            yield one.name


def chosen(destination: Destination, name: str | None) -> str:
    """Return the backup of that name, or else the newest. Raises NOT_FOUND if there is none."""
    names = complete(destination)
    if name is None and not names:
        raise not_found(f"There is no complete backup in {destination.address}.")
    if name is not None and name not in names:
        raise not_found(f"There is no complete backup {name} in {destination.address}; see backup --list.")
    return name or names[-1]


def new_name(destination: Destination, now_ms: int) -> str:
    """Name a backup by the time at which it began, or so that it follows the newest, which may have been named while
    the clock was wrong: the order of names decides which one is restored, and which are removed.
    """
    stem = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H%M%SZ")
    newest, number = max(map(_order, complete(destination)), default=("", 0))
    return stem if stem > newest else f"{newest}-{number + 1}"


def manifest_name(backup: str) -> str:
    return f"{FOLDER}{backup}/{_MANIFEST}"


def read_manifest(destination: Destination, backup: str) -> Manifest:
    """Read the manifest of a backup. Raises INVALID, with its name, if it is damaged."""
    with destination.open(manifest_name(backup)) as opened:
        content = opened.read()
    try:
        found = manifest.decoded(content)
    except MltrailError as error:
        raise invalid(f"The manifest of the backup {backup} can't be used. {error.message}") from error
    if not all(_PART.fullmatch(part.name) for part in found.objects):
        raise invalid(f"The manifest of the backup {backup} can't be used. It names objects elsewhere.")
    return found


def write_manifest(destination: Destination, made: Manifest) -> None:
    """Write the manifest of a backup, which is complete from then on."""
    with destination.create(manifest_name(made.name)) as sink:
        sink.write(manifest.encoded(made))


def save(
    destination: Destination, name: str, source: BinaryIO, encryption: Encryption | None, *, size: int = 0
) -> AbstractContextManager[HashingWriter]:
    """Write an object, encrypted if need be. The block may check it, and an error there undoes the writing."""
    return _saving(destination, name, source, encryption, size)


@contextmanager
def _saving(
    destination: Destination, name: str, source: BinaryIO, encryption: Encryption | None, size: int
) -> Iterator[HashingWriter]:
    with destination.create(name, size=size) as sink:
        hashing = HashingWriter(sink)
        if encryption is None:
            while data := source.read(_CHUNK):
                hashing.write(data)
        else:
            encryption.encrypt(source, hashing)
        yield hashing


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the objects of one backup."""

    destination: Destination
    backup: str
    encryption: Encryption | None

    def part(self, name: str, chunks: Iterable[bytes], *, compress: bool, sealed: bool = True) -> StoredPart:
        """Write an object, compressed and encrypted; `sealed=False` for what everybody may read."""
        encryption = self.encryption if sealed else None
        name = f"{name}{'.gz' if compress else ''}{'.age' if encryption else ''}"
        source = cast("BinaryIO", HashingReader(_compressed(chunks) if compress else chunks))
        with save(self.destination, f"{FOLDER}{self.backup}/{name}", source, encryption) as written:
            return StoredPart(name, written.size, written.digest.hexdigest())


def _compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for chunk in chunks:
        if data := packer.compress(chunk):
            yield data
    yield packer.flush()


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one backup. Whatever is damaged raises INVALID, with the object's name, once it has been read."""

    destination: Destination
    manifest: Manifest
    decryption: Decryption | None

    @classmethod
    def of(cls, destination: Destination, backup: str | None, decryption: Decryption | None) -> "Reader":
        """Open the backup of that name, or else the newest. Raises NOT_FOUND if there is none, and INVALID if it is
        damaged, or is encrypted and there is no key.
        """
        found = read_manifest(destination, chosen(destination, backup))
        if found.encrypted and decryption is None:
            raise invalid(
                f"The backup {found.name} is encrypted: set MLTRAIL_BACKUP_IDENTITY to the file with the private key."
            )
        return cls(destination, found, decryption if found.encrypted else None)

    def contents(self) -> Contents:
        """Read what is in the backup."""
        with self.opened(self.manifest.contents) as opened:
            content = opened.read()
        try:
            return msgspec.json.decode(content, type=Contents)
        except msgspec.MsgspecError as error:
            raise invalid(f"{self.manifest.contents.name} of the backup {self.manifest.name} is damaged.") from error

    def lines(self, name: str) -> Iterator[bytes]:
        """Read an object line by line."""
        part = next((part for part in self.manifest.objects if part.name == name), None)
        if part is None:
            raise invalid(f"The backup {self.manifest.name} has no {name}, which its contents list.")
        with self.opened(part) as opened:
            yield from opened

    @contextmanager
    def opened(self, part: StoredPart) -> Iterator[BinaryIO]:
        """Read an object of this backup, decrypted and unpacked."""
        place = f"{FOLDER}{self.manifest.name}/{part.name}"
        try:
            with self.destination.open(place) as stored:
                raw = HashingReader.of(stored)
                checked = raw.buffered()
                key = self.decryption if part.name.endswith(".age") else None
                with key.opened(checked) if key else nullcontext(checked) as plain:
                    packed = part.name.removesuffix(".age").endswith(".gz")
                    yield cast("BinaryIO", gzip.GzipFile(fileobj=plain)) if packed else plain
                raw.drain()
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise invalid(f"{place} is damaged.") from error
        except MltrailError as error:
            raise invalid(f"{place}: {error.message}") if error.code is Code.INVALID else error from error
        if raw.digest.hexdigest() != part.sha256:
            raise invalid(f"{place} is damaged: its digest is not the one in the manifest.")

    def blobs(self) -> Iterator[StoredBlob]:
        """List the objects with the bytes of files that this backup needs, by name."""
        return listed_blobs(self.destination, self.manifest)


def listed_blobs(destination: Destination, of: Manifest) -> Iterator[StoredBlob]:
    """Read the list of the objects that a backup needs; it is never encrypted. Raises INVALID if it is damaged."""
    place = f"{FOLDER}{of.name}/{of.blobs.name}"
    with destination.open(place) as stored:
        raw = HashingReader.of(stored)
        try:
            for line in gzip.GzipFile(fileobj=raw.buffered()):
                name, size, sha256 = json.loads(line)
                yield StoredBlob(name, size, sha256)
        except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
            raise invalid(f"{place} is damaged.") from error
        raw.drain()
    if raw.digest.hexdigest() != of.blobs.sha256:
        raise invalid(f"{place} is damaged.")

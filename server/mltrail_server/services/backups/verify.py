"""Check a backup without restoring it: every object, and with the private key also what is in it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mltrail_server.artifacts.destination import Destination
from mltrail_server.artifacts.encryption import Decryption
from mltrail_server.artifacts.hashing import HashingReader, HashingWriter
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.promotion.provenance import Signer
from mltrail_server.store.archives.blob_index import StoredBlob

from . import manifest, shelf
from .backup import Progress
from .manifest import Contents, Manifest, Table
from .parallel import in_parallel


@dataclass(slots=True)
class Verified:
    """What was read. `decrypted` is False if there was no key, so that only what is stored was checked."""

    manifest: Manifest
    decrypted: bool
    remark: str
    objects: int = 0
    size: int = 0  # bytes
    damaged: int = 0

    def line(self) -> str:
        whole = f"{self.damaged:,} are damaged" if self.damaged else "all are intact"
        sealed = (
            ""
            if self.decrypted
            else " Encrypted content was not decrypted, because MLTRAIL_BACKUP_IDENTITY is not set."
        )
        remark = f" {self.remark}" if self.remark else ""
        return f"Read {self.objects:,} objects of {self.manifest.name} ({self.size:,} bytes): {whole}.{sealed}{remark}"

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.manifest.name,
            "objects": self.objects,
            "bytes": self.size,
            "damaged": self.damaged,
            "decrypted": self.decrypted,
            "remark": self.remark,
        }


def verify(
    destination: Destination,
    name: str | None,
    decryption: Decryption | None,
    signer: Signer | None,
    report: Callable[[str], None],
    *,
    progress: Progress,
) -> Verified:
    """Read all objects of a backup (the newest if `name` is None), and `report` each that is damaged or missing.

    Without a key, what is stored is compared with the digests that were noted when it was written. Raises INVALID if
    the manifest itself is damaged.
    """
    found = shelf.read_manifest(destination, shelf.chosen(destination, name))
    key = decryption if found.encrypted else None
    reader = shelf.Reader(destination, found, key)
    result = Verified(found, not found.encrypted or key is not None, manifest.check_signature(found, signer))
    contents = _contents(reader) if result.decrypted else None
    problems = chain(
        _damaged_parts(reader, result),
        _wrong_tables(reader, contents.tables if contents else ()),
        _damaged_blobs(reader, contents, result, progress),
    )
    for problem in problems:
        result.damaged += 1
        report(problem)
    return result


def _contents(reader: shelf.Reader) -> Contents | None:
    """Return what is in the backup; None if that is damaged, which is reported with the other objects."""
    try:
        return reader.contents()
    except MltrailError as error:
        _damage(error)
        return None


def _damaged_parts(reader: shelf.Reader, result: Verified) -> Iterator[str]:
    folder = f"{shelf.FOLDER}{reader.manifest.name}/"
    for part in reader.manifest.objects:
        result.objects += 1
        result.size += part.size
        try:
            _compare(reader.destination, StoredBlob(folder + part.name, part.size, part.sha256))
        except MltrailError as error:
            yield _damage(error)


def _damaged_blobs(
    reader: shelf.Reader, contents: Contents | None, result: Verified, progress: Progress
) -> Iterator[str]:
    check = _Blobs(reader.destination, reader.decryption, contents)
    try:
        for blob, problem in in_parallel(check.problem, reader.blobs()):
            result.objects += 1
            result.size += blob.size
            progress("objects", result.size, reader.manifest.file_bytes)
            if problem:
                yield problem
    except MltrailError as error:
        _damage(error)  # the list is damaged, which is reported with the other objects


def _damage(error: MltrailError) -> str:
    """Return what is damaged. A destination that does not answer is no damage, and neither is a wrong key."""
    if error.code not in {Code.INVALID, Code.NOT_FOUND}:
        raise error
    return error.message


def _compare(destination: Destination, stored: StoredBlob) -> None:
    """Raise INVALID for an object that is not what was written."""
    with destination.open(stored.name) as opened:
        raw = HashingReader.of(opened)
        raw.drain()
    if (raw.size, raw.digest.hexdigest()) != (stored.size, stored.sha256):
        raise MltrailError(Code.INVALID, f"{stored.name} is damaged: its digest is not the recorded one.")


def _wrong_tables(reader: shelf.Reader, tables: Iterable[Table]) -> Iterable[str]:
    """Compare the lines of each table with what the contents say of them."""
    for table in tables:
        for part in table.parts:
            digest, count = hashlib.sha256(), 0
            try:
                for line in reader.lines(part.name):
                    digest.update(line)
                    count += 1
            except MltrailError as error:
                if error.code is not Code.INVALID and error.code is not Code.NOT_FOUND:
                    raise
                continue  # it was reported with the objects
            if (count, digest.hexdigest()) != (part.rows, part.sha256):
                yield f"{part.name} does not have the rows that the contents list."


class _Blobs:
    """Checks the objects with the bytes of files. An encrypted one is also decrypted, to be sure that the key fits."""

    def __init__(self, destination: Destination, decryption: Decryption | None, contents: Contents | None) -> None:
        self._destination = destination
        self._opened = (decryption, contents.names_key) if decryption and contents and contents.names_key else None

    def problem(self, blob: StoredBlob) -> str:
        try:
            if self._opened is None:
                _compare(self._destination, blob)
                return ""
            return self._problem_inside(blob, *self._opened)
        except MltrailError as error:
            return _damage(error)

    def _problem_inside(self, blob: StoredBlob, decryption: Decryption, names_key: str) -> str:
        plain = HashingWriter()
        try:
            with self._destination.open(blob.name) as opened:
                decryption.decrypt(opened, plain)
        except MltrailError as error:
            if error.code is Code.INVALID:
                return f"{blob.name} is damaged: it can't be decrypted."
            raise
        named = manifest.blob_name(plain.digest.hexdigest(), names_key)
        return "" if named == blob.name else f"{blob.name} is damaged: it has the content of another file."

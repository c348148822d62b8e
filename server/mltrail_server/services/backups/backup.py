"""Make a backup while the server keeps running.

The tables are read as of one moment. Then the contents of files are copied, which may take hours: blobs never change,
and a blob is kept for a day after its last name is gone. What the destination has is not
copied again. The manifest is written last, so that a backup is complete or is none.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import sqlalchemy as sa

from mltrail_server.artifacts.base import FileStore
from mltrail_server.artifacts.destination import Destination
from mltrail_server.artifacts.encryption import Encryption
from mltrail_server.artifacts.hashing import HashingReader
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.promotion.provenance import Signer
from mltrail_server.store.archives import blob_index, rows, snapshot, spelling
from mltrail_server.store.archives.blob_index import BlobIndex, NeededBlob, StoredBlob
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.project import Project
from mltrail_server.store.db.statements import Tuple
from mltrail_server.store.files import blobs

from . import manifest, shelf
from .manifest import Contents, DamagedBlob, Manifest, StoredPart, Table, TablePart
from .parallel import in_parallel
from .work_folder import work_folder

_ROWS_OF_A_PART = 500_000
_BYTES_OF_A_PART = 64 << 20


@dataclass(frozen=True, slots=True)
class Origin:
    """What is backed up. `secrets` are the kept secrets by file name; only encrypted backups have them."""

    database: Database
    files: FileStore
    clock: Clock
    secrets: dict[str, str]
    signer: Signer | None = None


@dataclass(slots=True)
class Made:
    """What was saved."""

    manifest: Manifest
    damaged: list[DamagedBlob]
    secrets_left_out: bool


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is in all (0 if that is not known)."""


@dataclass(slots=True)
class _Copied:
    stored: StoredBlob | None
    damaged: list[DamagedBlob] = field(default_factory=list)


def make(
    origin: Origin,
    destination: Destination,
    encryption: Encryption | None,
    *,
    work_place: Path,
    names_secret: str,
    progress: Progress,
) -> Made:
    """Make a backup. Files that are missing or damaged are left out, and returned; everything else is saved.

    `names_secret` is what encrypted blobs are named by: if it changes, all of them are copied again. Raises CONFLICT
    while another process changes the destination.
    """
    origin.files.ping()
    began = origin.clock()
    with destination.lock() as lock, work_folder(work_place) as work, blob_index.blob_index(work) as index:
        destination.drop_unfinished()
        for name in list(shelf.interrupted(destination)):
            destination.delete(name)
        writer = shelf.Writer(destination, shelf.new_name(destination, began), encryption)
        key = _names_key(encryption, names_secret) if encryption else None
        with snapshot.snapshot(origin.database, work, lambda done, total: progress("database", done, total)) as seen:
            tables = snapshot.tables(seen)
            schema = snapshot.revision(seen)
            saved = _Tables(writer, progress)
            blob_table = next(table for table in tables if table.name == "blob")
            for table in tables:
                if table.name not in {*rows.LEFT_OUT, "blob"}:
                    saved.add(table, rows.read(seen, table))
            _note_blobs(index, blob_index.named_blobs(seen, blob_table, tables), blob_table)
        copying = _Copying(origin, destination, encryption, index, key, progress)
        copying.run(_known(destination))
        saved.add(blob_table, _blob_rows(index, blob_table))
        order = [table.name for table in tables]
        contents = Contents(
            tables=sorted(saved.done, key=lambda one: order.index(one.name)),
            names_key=key,
            damaged=copying.damaged,
            secrets=origin.secrets if encryption else {},
        )
        count, size = index.counts()
        listed = (json.dumps([blob.name, blob.size, blob.sha256]).encode() + b"\n" for blob in index.saved())
        made = Manifest(
            name=writer.backup,
            created_ms=began,
            ended_ms=origin.clock(),
            mltrail=metadata.version("mltrail"),
            schema=schema,
            encrypted=encryption is not None,
            rows=sum(table.rows for table in contents.tables),
            files=count,
            file_bytes=size,
            new_files=copying.new_files,
            new_bytes=copying.new_bytes + sum(part.size for part in saved.parts),
            damaged=len(copying.damaged),
            contents=writer.part("contents.json", [msgspec.json.encode(contents)], compress=False),
            blobs=writer.part("blobs.jsonl", listed, compress=True, sealed=False),
            parts=saved.parts,
        )
        destination.settle()
        lock.check()
        shelf.write_manifest(destination, made := manifest.signed(made, origin.signer))
        destination.settle()
    return Made(made, copying.damaged, secrets_left_out=bool(origin.secrets) and encryption is None)


def _names_key(encryption: Encryption, secret: str) -> str:
    """Make the key that blobs are named by: another one for other recipients, who can't read the earlier objects."""
    text = "\n".join(("mltrail backup names", secret, *encryption.recipients))
    return hashlib.sha256(text.encode()).hexdigest()


def _known(destination: Destination) -> Iterator[StoredBlob]:
    """Return what the newest backup says of its blobs. An object that is not as it says is written anew."""
    if names := shelf.complete(destination):
        yield from shelf.listed_blobs(destination, shelf.read_manifest(destination, names[-1]))


class _Tables:
    """Writes tables in parts of a moderate size."""

    def __init__(self, writer: shelf.Writer, progress: Progress) -> None:
        self._writer = writer
        self._progress = progress
        self._rows = 0
        self.done: list[Table] = []
        self.parts: list[StoredPart] = []

    def add(self, table: sa.Table, batches: Iterable[list[Tuple]]) -> None:
        parts: list[TablePart] = []
        left = iter(batches)
        while first := next(left, []):
            part = _Lines(table, first, left)
            stored = self._writer.part(f"tables/{table.name}-{len(parts) + 1}.jsonl", part.chunks(), compress=True)
            self.parts.append(stored)
            parts.append(TablePart(stored.name, part.rows, part.digest.hexdigest()))
            self._rows += part.rows
            self._progress("rows", self._rows, 0)
        columns = [str(column.name) for column in rows.columns(table)]
        self.done.append(Table(str(table.name), columns, sum(part.rows for part in parts), parts))


class _Lines:
    """The lines of one part of a table."""

    def __init__(self, table: sa.Table, first: list[Tuple], following: Iterator[list[Tuple]]) -> None:
        self._table = table
        self._first = first
        self._following = following
        self.rows = 0
        self.digest = hashlib.sha256()

    def chunks(self) -> Iterator[bytes]:
        batch, size = self._first, 0
        while batch:
            data = spelling.lines(self._table, batch)
            self.digest.update(data)
            self.rows += len(batch)
            size += len(data)
            yield data
            if self.rows >= _ROWS_OF_A_PART or size >= _BYTES_OF_A_PART:
                return
            batch = next(self._following, [])


def _note_blobs(index: BlobIndex, found: Iterable[sa.Row[tuple[object, ...]]], table: sa.Table) -> None:
    def noted() -> Iterator[tuple[NeededBlob, str]]:
        for row in found:
            blob = NeededBlob(row.project_id, row.id, row.size, row.sha256)
            yield blob, spelling.lines(table, [tuple(row)]).decode()

    index.need(noted())


def _blob_rows(index: BlobIndex, table: sa.Table) -> Iterator[list[Tuple]]:
    """Return the rows of blobs in batches, with the digests that were learnt meanwhile."""
    read = spelling.reader(table)
    place = [column.name for column in rows.columns(table)].index("sha256")
    batch: list[Tuple] = []
    for blob, line in index.all():
        row = list(read(line.encode()))
        row[place] = blob.sha256
        batch.append(tuple(row))
        if len(batch) == 1000:
            yield batch
            batch = []
    if batch:
        yield batch


class _Copying:
    """Copies the blobs that the destination lacks."""

    def __init__(
        self,
        origin: Origin,
        destination: Destination,
        encryption: Encryption | None,
        index: BlobIndex,
        names_key: str | None,
        progress: Progress,
    ) -> None:
        self._origin = origin
        self._destination = destination
        self._encryption = encryption
        self._index = index
        self._names_key = names_key
        self._progress = progress
        self.damaged: list[DamagedBlob] = []
        self.new_files = 0
        self.new_bytes = 0

    def run(self, known: Iterable[StoredBlob]) -> None:
        self._learn_digests()
        self._index.name(
            (blob, manifest.blob_name(blob.sha256, self._names_key))
            for blob, _ in self._index.all()
            if blob.sha256 is not None
        )
        self._index.list_stored(StoredBlob(one.name, one.size, None) for one in self._destination.list(shelf.BLOBS))
        self._index.know_stored(known)
        self._look_at_unverified()
        total, done = self._index.missing_bytes(), 0
        for (_, candidates), copied in in_parallel(self._copy, self._index.missing()):
            self.damaged += copied.damaged
            if copied.stored:
                self._index.list_stored([copied.stored])
                self.new_files += 1
                self.new_bytes += copied.stored.size
            done += candidates[0].size
            self._progress("files", done, total)

    def _learn_digests(self) -> None:
        """Read the blobs that clients have sent straight to S3, and keep their digests in the database, too."""
        for blob, digest in in_parallel(self._learn, self._index.unread()):
            if digest:
                self._index.learn(blob, digest)
            else:
                self.damaged.append(DamagedBlob(blob.project_id, blob.id, "missing"))

    def _learn(self, blob: NeededBlob) -> str:
        digest, size = hashlib.sha256(), 0
        try:
            for chunk in self._origin.files.get(blob.project_id, blob.id, length=blob.size):
                digest.update(chunk)
                size += len(chunk)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            return ""
        if size != blob.size:
            return ""
        with Project(self._origin.database, blob.project_id, self._origin.clock).write() as tx:
            blobs.set_digest(tx, blob.id, digest.hexdigest())
        return digest.hexdigest()

    def _look_at_unverified(self) -> None:
        """Look at what an unfinished backup has left: it is reused if it is intact."""
        for name, stored in in_parallel(self._digest_of, self._index.unverified()):
            if self._encryption is None and stored.sha256 != name.rpartition("/")[2]:
                self._index.forget_stored(name)
            else:
                self._index.list_stored([stored])

    def _digest_of(self, name: str) -> StoredBlob:
        with self._destination.open(name) as stored:
            raw = HashingReader.of(stored)
            raw.drain()
        return StoredBlob(name, raw.size, raw.digest.hexdigest())

    def _copy(self, item: tuple[str, list[NeededBlob]]) -> _Copied:
        """Copy one content. If one blob's bytes are missing, those of another blob with the same content are used."""
        name, candidates = item
        copied = _Copied(None)
        for blob in candidates:
            try:
                copied.stored = copied.stored or self._copy_from(name, blob)
            except _NotAsStoredError as error:
                copied.damaged.append(DamagedBlob(blob.project_id, blob.id, error.problem))
        return copied if copied.stored is None else _Copied(copied.stored)

    def _copy_from(self, name: str, blob: NeededBlob) -> StoredBlob:
        try:
            chunks = self._origin.files.get(blob.project_id, blob.id, length=blob.size)
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                raise _NotAsStoredError("missing") from error
            raise
        source = HashingReader(chunks)
        with shelf.save(self._destination, name, cast("BinaryIO", source), self._encryption, size=blob.size) as written:
            if source.digest.hexdigest() != blob.sha256:
                raise _NotAsStoredError("digest")
        return StoredBlob(name, written.size, written.digest.hexdigest())


class _NotAsStoredError(Exception):
    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

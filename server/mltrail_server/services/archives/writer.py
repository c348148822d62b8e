"""Write a project into a folder: rows as lines of JSON in compressed parts, and the contents of its files."""

import hashlib
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

import msgspec

from mltrail_server.domain.errors import Code, MltrailError, conflict, not_found, unavailable
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.promotion import provenance
from mltrail_server.store import schema
from mltrail_server.store.archives import rows, spelling
from mltrail_server.store.db import migrate, revisions
from mltrail_server.store.identity import projects

from .manifest import (
    FORMAT,
    MANIFEST,
    SIGNATURE,
    VERSION,
    Blobs,
    Manifest,
    Part,
    Project,
    Server,
    TableParts,
    blob_name,
    blobs_part_name,
    part_name,
    signed,
    written,
)

PART_BYTES = 64 << 20
"""How many bytes of lines a part has at most, so that a damaged part can be copied again alone."""

COUNTED = {
    "experiments": "experiment",
    "runs": "candidate",
    "parameters": "param",
    "tags": "candidate_tag",
    "metric points": "metric",
    "datasets": "dataset",
    "logged models": "logged_model",
    "traces": "trace",
    "assessments": "assessment",
    "scorer versions": "scorer_version",
    "evaluation datasets": "evaluation_dataset",
    "rows of evaluation datasets": "evaluation_record",
    "registered models": "model",
    "versions": "model_version",
    "aliases": "model_alias",
    "stamps": "candidate_job",
    "promotions": "promotion",
    "files": "file",
}
"""What an archive holds in a reader's words, by the table whose rows are counted."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lost:
    """A blob whose bytes are not what the database says, and the names that point at it."""

    blob_id: str
    names: tuple[str, ...]
    why: str

    def line(self) -> str:
        return f"missing: {', '.join(self.names) or f'blob {self.blob_id}, which nothing refers to'}: {self.why}"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `lost` are the blobs whose content is missing from the archive."""

    manifest: Manifest
    signed: bool
    lost: list[Lost]


def export(deps: Deps, project_id: ProjectId, folder: Path, *, progress: Progress = lambda _: None) -> Exported:
    """Write a project into a folder that is new or empty; the manifest comes last.

    Rows are those of one moment, however long it takes. Raises NOT_FOUND for a project that has not been used here, and
    CONFLICT for a folder with something in it.
    """
    signer = provenance.signer(deps.settings)
    _check_schema(deps)
    _prepare(folder)
    with deps.project(project_id).read() as tx:
        path = projects.path_of(tx)
    if path is None:
        raise not_found(f"Project {project_id} has no data here.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "tables").mkdir(exist_ok=True)
    tables = []
    with deps.db.snapshot() as connection, _writing(folder):
        created_ms = deps.clock()
        for table in rows.ARCHIVED:
            made = Parts(folder, lambda number, name=table.name: part_name(name, number))  # type: ignore[misc] # a default
            for batch in rows.read(connection, table, only=project_id):
                made.add(spelling.lines(table, batch), len(batch))
            names = [str(column.name) for column in rows.columns(table)]
            tables.append(TableParts(str(table.name), names, made.rows, made.closed()))
            if made.rows:
                progress(f"{table.name}: {made.rows:,} rows")
    copied = _Contents(deps, project_id, folder)
    blobs = copied.of(lambda: _blobs_in(folder, tables))
    progress(f"{blobs.count:,} files, {blobs.bytes:,} bytes")
    of_table = {one.name: one.rows for one in tables}
    manifest = Manifest(
        format=FORMAT,
        version=VERSION,
        schema=revisions.newest() or "",
        mltrail=metadata.version("mltrail"),
        created_ms=created_ms,
        project=Project(project_id, path),
        server=Server(deps.settings.external_url.rstrip("/"), deps.settings.gitlab_url.rstrip("/")),
        counts={name: of_table[table] for name, table in COUNTED.items()},
        tables=tables,
        blobs=blobs,
    )
    content = written(manifest)
    if signer is not None:
        (folder / SIGNATURE).write_bytes(signed(content, signer))
    (folder / MANIFEST).write_bytes(content)
    return Exported(manifest, signer is not None, copied.lost)


def _check_schema(deps: Deps) -> None:
    """Refuse where a later version has migrated: what only that version knows would be missing."""
    if migrate.revision(deps.db) != revisions.newest():
        raise conflict("A later version of mltrail has migrated the database: export the project with that version.")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Say that it is the folder that is full: within a transaction it would be taken for the database's disk."""
    try:
        yield
    except OSError as error:
        raise unavailable(f"{error.filename or folder} can't be written: {error.strerror}.") from error


def _prepare(folder: Path) -> None:
    """Make room for an archive: an export that was interrupted begins anew, with the contents that it has copied."""
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    parts = [name for name in names if fnmatch(name, "blobs-*.jsonl.gz")]
    if MANIFEST in names:
        raise conflict(f"{folder} already has an archive: give a new folder.")
    if names - {"tables", "blobs", "content.part", SIGNATURE, *parts}:
        raise conflict(f"{folder} is not empty: give a new folder, or empty this one.")
    shutil.rmtree(folder / "tables", ignore_errors=True)
    for name in (*parts, "content.part", SIGNATURE):
        (folder / name).unlink(missing_ok=True)


class Parts:
    """Lines in compressed parts of bounded size."""

    def __init__(self, folder: Path, name_of: Callable[[int], str]) -> None:
        self.rows = 0
        self._folder, self._name_of = folder, name_of
        self._done: list[Part] = []
        self._open: _OpenPart | None = None

    def add(self, lines: bytes, count: int) -> None:
        """Add `count` lines; a new part begins after `PART_BYTES`."""
        if self._open is None:
            self._open = _OpenPart((self._folder / self._name_of(len(self._done) + 1)).open("wb"))
        self._open.add(lines, count)
        self.rows += count
        if self._open.unpacked >= PART_BYTES:
            self._close()

    def closed(self) -> list[Part]:
        """End the last part, and return all parts."""
        self._close()
        return self._done

    def _close(self) -> None:
        if self._open is not None:
            self._done.append(self._open.closed())
            self._open = None


@dataclass(slots=True)
class _OpenPart:
    file: BinaryIO
    rows: int = 0
    packed: int = 0
    unpacked: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    # Level 1 is three times as fast as gzip's default and makes 10% more bytes.
    gzip: "zlib._Compress" = field(default_factory=lambda: zlib.compressobj(1, wbits=31))

    def add(self, lines: bytes, count: int) -> None:
        self.rows += count
        self.unpacked += len(lines)
        self._write(self.gzip.compress(lines))

    def closed(self) -> Part:
        self._write(self.gzip.flush())
        self.file.close()
        return Part(self.rows, self.packed, self.unpacked, self.digest.hexdigest())

    def _write(self, packed: bytes) -> None:
        self.packed += len(packed)
        self.digest.update(packed)
        self.file.write(packed)


@dataclass(slots=True)
class _Contents:
    """Copies the contents of blobs, each once."""

    deps: Deps
    project_id: ProjectId
    folder: Path
    lost: list[Lost] = field(default_factory=list)

    def of(self, known: Callable[[], Iterator[tuple[str, int, str | None]]]) -> Blobs:
        """Copy the contents, and then list them. What is missing may be there under another blob's id."""
        digests: dict[str, str] = {}  # of those whose digest the database does not have
        lost: dict[str, str] = {}
        for blob_id, expected, digest in known():
            if digest is None or not self._is_there(digest):
                found = self._copied(blob_id, expected, digest, lost)
                if found is not None and digest is None:
                    digests[blob_id] = found
        listed = Parts(self.folder, blobs_part_name)
        contents: set[bytes] = set()
        count = size = missing = 0
        for blob_id, expected, given in known():
            digest = given or digests.get(blob_id)
            if digest is not None and not self._is_there(digest):
                digest = None
            listed.add(msgspec.json.encode((blob_id, digest, expected)) + b"\n", 1)
            count += 1
            if digest is None:
                missing += 1
                self._lose(blob_id, lost[blob_id])
            elif bytes.fromhex(digest) not in contents:
                contents.add(bytes.fromhex(digest))
                size += expected
        self._remove_others(contents)
        return Blobs(count, size, missing, len(contents), listed.closed())

    def _remove_others(self, contents: set[bytes]) -> None:
        """Remove contents that an interrupted export has copied and that no name refers to any more."""
        for path in (self.folder / "blobs").glob("*/*"):
            if bytes.fromhex(path.name) not in contents:
                path.unlink()

    def _is_there(self, digest: str) -> bool:
        return (self.folder / blob_name(digest)).exists()

    def _copied(self, blob_id: str, size: int, digest: str | None, lost: dict[str, str]) -> str | None:
        """Copy the content of a blob, and return its SHA-256; None if it is lost."""
        aside = self.folder / "content.part"
        try:
            found, length = self._written(blob_id, size, aside)
            if length != size or (digest is not None and found != digest):
                lost[blob_id] = "its content differs from what was stored"
                return None
            place = self.folder / blob_name(found)
            place.parent.mkdir(parents=True, exist_ok=True)
            aside.rename(place)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            lost[blob_id] = "its content is missing"
            return None
        finally:
            with suppress(FileNotFoundError):
                aside.unlink()
        return found

    def _written(self, blob_id: str, size: int, aside: Path) -> tuple[str, int]:
        computed, length = hashlib.sha256(), 0
        with aside.open("wb") as file:
            for chunk in self.deps.files.get(self.project_id, blob_id, length=size):
                computed.update(chunk)
                length += len(chunk)
                file.write(chunk)
        return computed.hexdigest(), length

    def _lose(self, blob_id: str, why: str) -> None:
        from mltrail_server.store.files import blobs  # noqa: PLC0415 - only here

        with self.deps.project(self.project_id).read() as tx:
            names = tuple(blobs.names_of(tx, blob_id, limit=3))
        self.lost.append(Lost(blob_id, names, why))


def _blobs_in(folder: Path, tables: list[TableParts]) -> Iterator[tuple[str, int, str | None]]:
    """Read id, size and SHA-256 of each blob from the rows that were just written: they are of the same moment."""
    from .reader import lines_of  # noqa: PLC0415 - only here

    (of_blobs,) = (one for one in tables if one.name == schema.blob.name)
    read = spelling.reader(schema.blob)
    places = [of_blobs.columns.index(name) for name in ("id", "size", "sha256")]
    for number, part in enumerate(of_blobs.parts, start=1):
        for batch in lines_of(folder, part_name(of_blobs.name, number), part):
            for line in batch:
                row = read(line)
                blob_id, size, digest = (row[place] for place in places)
                yield blob_id, size, digest

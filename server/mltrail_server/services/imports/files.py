"""Import the files of runs, logged models, versions and traces: copy them with digests, or record where they are."""

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from mltrail_server.artifacts.base import StoredBlob
from mltrail_server.domain import paths
from mltrail_server.domain.artifact_location import allowed
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.transfer import (
    Entity,
    FileOwner,
    FileRecord,
    GoneError,
    Loss,
    TraceRecord,
)
from mltrail_server.services.traces import trace_files
from mltrail_server.services.tracking import quotas
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.files.files import File
from mltrail_server.store.tracking import usage

from .fit_to_limits import Fit
from .plan import FilesMode
from .target import Target
from .written_values import WrittenValues


@dataclass(slots=True)
class Brought:
    """The files of one owner. `new` are copied, and get their names with `store`; `there` counts those at the source;
    `elsewhere` is where they stay.
    """

    folder: str
    new: list[tuple[str, StoredBlob]] = field(default_factory=list)
    there: dict[Entity, int] = field(default_factory=dict)
    written: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: str | None = None

    @property
    def copied(self) -> int:
        """How many bytes were copied."""
        return sum(blob.size for _, blob in self.new)


@dataclass(frozen=True, slots=True)
class Before:
    """What an earlier import wrote: files by their paths in the folder, and other values. With `again`, they may have
    changed since, even if their sizes are the same.
    """

    files: Mapping[str, File] = field(default_factory=dict)
    written: WrittenValues = field(default_factory=lambda: WrittenValues(""))
    again: bool = False


def bring(target: Target, owner: FileOwner, fit: Fit, *, uri: str, folder: str, before: Before) -> Brought:
    """Copy an owner's new files as the plan says. `folder` is their folder here."""
    brought = Brought(folder)
    mode = target.plan.files
    if mode is FilesMode.IN_PLACE and uri:
        brought.elsewhere = in_place(target, fit, uri)
    elif mode is FilesMode.COPY:
        _copy_all(target, owner, fit, brought, before)
    return brought


def bring_attachments(target: Target, trace: TraceRecord, fit: Fit, *, folder: str, before: Before) -> Brought:
    """Copy the attachments of a trace, unless files are left out: clients look for them beside its spans only."""
    brought = Brought(folder)
    if target.plan.files is not FilesMode.LEAVE:
        _copy_all(target, trace, fit, brought, before)
    return brought


def in_place(target: Target, fit: Fit, uri: str) -> str | None:
    """Return where files stay, if the operator allows it."""
    place = allowed(uri, target.scope.deps.settings.locations)
    if place is None:
        fit.say(
            Loss.REFUSED,
            Entity.FILE,
            f"its files can't stay at {_without_login(uri)}: name the prefix in MLTRAIL_ARTIFACT_LOCATIONS, or copy "
            "them (--files copy)",
        )
    return place


def here(tx: Transaction, folder: str) -> dict[str, File]:
    """Return the files in a folder by their paths in it."""
    return {file.path.removeprefix(f"{folder}/"): file for file in files.below(tx, folder)}


def store(tx: Transaction, target: Target, brought: Brought) -> None:
    """Give copied files their names."""
    for inner, blob in brought.new:
        path = f"{brought.folder}/{inner}"
        files.put(tx, path=path, blob_id=blob.blob_id, size=blob.size, sha256=blob.sha256)
    if brought.new:
        quotas.take(tx, target.scope, usage.BYTES, brought.copied)


def discard(target: Target, some: Iterable[Brought]) -> None:
    """Delete copied files that can't get their names after all."""
    for brought in some:
        for _, blob in brought.new:
            target.scope.deps.files.delete(target.scope.project_id, blob.blob_id)


def _copy_all(target: Target, owner: FileOwner, fit: Fit, brought: Brought, before: Before) -> None:
    names = _Names()
    count = size = 0
    for file in target.source.files(owner):
        count += 1
        inner = _name(fit, names, brought.folder, file)
        if inner is not None:
            size += _bring_one(target, fit, brought, before, file, inner)
        else:
            size += file.size or 0
        target.progress.advance(Entity.FILE)
    brought.there = {Entity.FILE: count, Entity.BYTES: size}


def _bring_one(target: Target, fit: Fit, brought: Brought, before: Before, file: FileRecord, inner: str) -> int:
    """Copy a file unless it is here. Returns its size at the source."""
    known = before.files.get(inner)
    if target.dry_run:
        target.progress.advance(Entity.BYTES, file.size or 0)
        return file.size or 0
    field_name = f"file:{inner}"
    if known is not None and _is_same(file, known, again=before.again):
        brought.written.append((field_name, known.sha256 or ""))
        target.progress.advance(Entity.BYTES, known.size)
        return known.size
    blob = _copied(target, fit, file, inner)
    if blob is None:
        return file.size or 0
    if known is not None and known.sha256 == blob.sha256:
        target.scope.deps.files.delete(target.scope.project_id, blob.blob_id)
    elif known is not None and not before.written.has(field_name, known.sha256 or ""):
        target.scope.deps.files.delete(target.scope.project_id, blob.blob_id)
        fit.say(Loss.CHANGED, Entity.FILE, f"{inner} was changed here since the import, and is kept")
        return blob.size
    else:
        brought.new.append((inner, blob))
    brought.written.append((field_name, blob.sha256 or ""))
    return blob.size


def _copied(target: Target, fit: Fit, file: FileRecord, inner: str) -> StoredBlob | None:
    """Copy the bytes of a file; None if the source can't give them, which is then listed."""
    store, project_id = target.scope.deps.files, target.scope.project_id
    reading: _Metered | None = None
    try:
        with target.source.open(file) as stream:
            reading = _Metered(stream, lambda size: target.progress.advance(Entity.BYTES, size))
            blob = store.put(project_id, cast("BinaryIO", reading))
    except GoneError:
        raise
    except (MltrailError, OSError) as error:
        if reading is not None and not reading.failed:
            raise  # it is our own store that fails
        why = error.message if isinstance(error, MltrailError) else (error.strerror or "it can't be read")
        fit.say(Loss.MISSING, Entity.FILE, f"{inner}: {why}")
        return None
    wrong = ""
    if file.size not in (None, blob.size):
        wrong = f"it has {file.size:,} bytes at the source, but {blob.size:,} arrived"
    elif file.sha256 and blob.sha256 and file.sha256.lower() != blob.sha256:
        wrong = "its content does not match the SHA-256 that the source states"
    if wrong:
        store.delete(project_id, blob.blob_id)
        fit.say(Loss.MISSING, Entity.FILE, f"{inner}: {wrong}; import again to try once more")
        return None
    return blob


def _is_same(file: FileRecord, known: File, *, again: bool) -> bool:
    if file.sha256 and known.sha256:
        return file.sha256.lower() == known.sha256
    return not again and file.size == known.size


def _name(fit: Fit, names: "_Names", folder: str, file: FileRecord) -> str | None:
    """Return a file's path in its folder; None if it can't have it here, which is then listed."""
    found: list[str] = []

    def clean() -> None:
        inner = paths.clean(file.path)
        place = paths.trace_file_of(f"{folder}/{inner}")
        if place is not None:
            trace_files.check_attachment(place, file.size)
        if not inner:
            raise invalid("it has no name")
        found.append(inner)

    if not fit.passes(Entity.FILE, f"the file {file.path[:80]!r}", clean):
        return None
    if not names.take(found[0]):
        fit.say(Loss.REFUSED, Entity.FILE, f"the file {found[0]!r}: another file or folder has the same name")
        return None
    return found[0]


class _Names:
    """The files and folders of an owner: none can be both."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def take(self, path: str) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts))]
        if path in self._files or path in self._folders or not self._files.isdisjoint(above):
            return False
        self._files.add(path)
        self._folders.update(above)
        return True


class _Metered(io.RawIOBase):
    """Passes on what is read from a stream, and notes how much it was, and whether it failed."""

    def __init__(self, stream: BinaryIO, count: Callable[[int], None]) -> None:
        super().__init__()
        self._stream, self._count = stream, count
        self.failed = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self._stream.read(size)
        except (MltrailError, OSError):
            self.failed = True
            raise
        self._count(len(data))
        return data


def _without_login(uri: str) -> str:
    head, at, tail = uri.partition("@")
    return f"{head.partition('://')[0]}://{tail}" if at and "://" in head else uri

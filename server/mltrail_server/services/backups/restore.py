"""Restore a backup into an empty database and an empty file store, whatever it was made of.

The database is marked until it is complete, so no server opens half of it. The same command, given again, resumes:
files that are already there are not copied again.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import sqlalchemy as sa

from mltrail_server.artifacts.base import FileStore
from mltrail_server.domain.errors import Code, MltrailError, conflict, invalid
from mltrail_server.domain.ids import ProjectId, is_blob_id
from mltrail_server.services.promotion.provenance import Signer
from mltrail_server.store.archives import rows, snapshot, spelling, target
from mltrail_server.store.archives.blob_index import NeededBlob
from mltrail_server.store.archives.target import Unfinished
from mltrail_server.store.db import migrate, revisions
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.statements import Tuple

from . import manifest, shelf
from .backup import Progress
from .manifest import Contents, Manifest, Table
from .parallel import in_parallel

COMMAND = "restore"


@dataclass(slots=True)
class Restored:
    """What was restored. `secrets` are the kept secrets by file name."""

    manifest: Manifest
    secrets: dict[str, str]
    remark: str
    files: int = 0
    lost: int = 0  # files that the backup does not have, or only damaged


@dataclass(frozen=True, slots=True)
class Place:
    """Where a backup is restored to."""

    database: Database
    files: FileStore


@dataclass(slots=True)
class _Work:
    reader: shelf.Reader
    contents: Contents
    place: Place
    goes_on: bool
    progress: Progress
    problems: list[str] = field(default_factory=list)


def restore(
    reader: shelf.Reader,
    place: Place,
    signer: Signer | None,
    report: Callable[[str], None],
    *,
    start_over: bool,
    progress: Progress,
) -> Restored:
    """Restore all of a backup, and `report` each file that could not be. `start_over` removes what an interrupted
    restore has left, instead of going on with it.

    Raises CONFLICT if there is anything in the database or the file store, and INVALID for a backup that is damaged or
    newer than this version.
    """
    found = reader.manifest
    if found.schema not in revisions.known():
        raise invalid(
            f"The backup {found.name} has the schema {found.schema}, which this version does not know: it was made by "
            f"mltrail {found.mltrail}. Install that version, or a later one."
        )
    remark = manifest.check_signature(found, signer)
    contents = reader.contents()
    place.files.ping()
    source = Unfinished(COMMAND, f"{found.name} {found.sha256}")
    with target.alone(place.database):
        before = target.unfinished(place.database)
        goes_on = before == source and not start_over
        if not goes_on:
            _make_room(place, before, start_over=start_over)
        target.begin(place.database, source, found.schema)
        work = _Work(reader, contents, place, goes_on, progress)
        _bring_rows(work)
        result = Restored(found, contents.secrets, remark)
        for problem in _bring_files(work, result):
            report(problem)
        if found.schema != revisions.newest():
            migrate.upgrade(place.database)
        with place.database.write() as connection:
            target.free_leases(connection)
            target.count_bytes(connection)
        target.end(place.database)
    return result


def _make_room(place: Place, before: Unfinished | None, *, start_over: bool) -> None:
    """Make sure that a restore overwrites nothing. What an interrupted one has left is removed only if the operator
    says so.
    """
    if before is None:
        if not target.is_empty(place.database):
            url = place.database.engine.url
            shown = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)
            raise conflict(
                f"The database is not empty ({shown}): a backup can only be restored into an empty one. Nothing was "
                "changed."
            )
        if any(True for project in place.files.projects() for _ in place.files.stored(project)):
            raise conflict(
                "The file store (MLTRAIL_ARTIFACTS, or the folder artifacts in the data folder) is not empty: a backup "
                "can only be restored into an empty one. Nothing was changed."
            )
        return
    if not start_over:
        raise conflict(
            f"This database is incomplete: {before.command} of {before.source.split()[0]} was interrupted. Run that "
            "again to resume it; or use --start-over, which first removes what it has written."
        )
    if before.command == COMMAND:  # it began with an empty file store
        for project in place.files.projects():
            for blob in list(place.files.stored(project)):
                place.files.delete(project, blob.blob_id)


def _bring_rows(work: _Work) -> None:
    database = work.place.database
    revision = work.reader.manifest.schema
    if migrate.revision(database) is None:
        if revision == revisions.newest():
            migrate.create(database)
        else:
            migrate.upgrade(database, to=revision)
    with database.read() as connection:
        tables = {table.name: table for table in snapshot.tables(connection)}
    done = 0
    for saved in work.contents.tables:
        table = target.in_order(tables[saved.name], saved.columns) if saved.name in tables else None
        if table is None:
            raise invalid(f"The backup has a table {saved.name} that does not match its schema {revision}.")
        for part in saved.parts:
            with database.write() as connection:
                written = rows.write_all(connection, table, _rows(work.reader, table, part.name))
            if written != part.rows:
                raise invalid(f"{part.name} has {written:,} rows instead of {part.rows:,}: the backup is damaged.")
            done += written
            work.progress("rows", done, work.reader.manifest.rows)


def _rows(reader: shelf.Reader, table: sa.Table, name: str) -> Iterator[Tuple]:
    read = spelling.reader(table)
    return (read(line) for line in reader.lines(name))


def _bring_files(work: _Work, result: Restored) -> Iterator[str]:
    """Copy the files, and return what is lost."""
    saved = next((table for table in work.contents.tables if table.name == "blob"), None)
    total, done = work.reader.manifest.file_bytes, 0
    not_saved = {(one.project_id, one.blob_id) for one in work.contents.damaged}
    wanted = (blob for blob in _blobs(work, saved) if (blob.project_id, blob.id) not in not_saved)
    for one in work.contents.damaged:
        result.lost += 1
        yield one.line()
    for blob, problem in in_parallel(lambda blob: _bring_file(work, blob), wanted):
        result.files += not problem
        result.lost += bool(problem)
        done += blob.size
        work.progress("files", done, total)
        if problem:
            yield f"lost: project {blob.project_id}, {blob.id}: {problem}"


def _blobs(work: _Work, saved: Table | None) -> Iterator[NeededBlob]:
    if saved is None:
        return
    places = [saved.columns.index(name) for name in ("project_id", "id", "size", "sha256")]
    with work.place.database.read() as connection:
        table = next(table for table in snapshot.tables(connection) if table.name == "blob")
    ordered = target.in_order(table, saved.columns)
    for part in saved.parts:
        for row in _rows(work.reader, ordered if ordered is not None else table, part.name):
            blob = NeededBlob(*(row[place] for place in places))
            if not is_blob_id(blob.id):
                raise invalid(f"The backup names a file {blob.id!r}: it is damaged.")
            yield blob


def _bring_file(work: _Work, blob: NeededBlob) -> str:
    """Copy a file under its id, and return why it can't be; "" if it is there."""
    files, project_id = work.place.files, ProjectId(blob.project_id)
    if blob.sha256 is None:
        return "the backup does not have it"
    if work.goes_on and files.size(project_id, blob.id) == blob.size:
        return ""  # all files are read once more at the end
    name = manifest.blob_name(blob.sha256, work.contents.names_key)
    key = work.reader.decryption
    try:
        with work.reader.destination.open(name) as opened, key.opened(opened) if key else nullcontext(opened) as plain:
            stored = files.put(project_id, plain, size=blob.size, blob_id=blob.id)
    except MltrailError as error:
        if error.code not in {Code.NOT_FOUND, Code.INVALID}:
            raise
        return f"{name} is missing in the backup" if error.code is Code.NOT_FOUND else f"{name} is damaged"
    if stored.sha256 != blob.sha256:
        files.delete(project_id, blob.id)
        return f"{name} is damaged"
    return ""

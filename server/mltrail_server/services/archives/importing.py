"""Import a project's archive into an empty project: first its files, then all of its rows or none.

What is trusted depends on who signed it, see `store/archives/changes.py`.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain import artifact_location
from mltrail_server.domain.errors import conflict, invalid, unavailable
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity.projects import NamedProject
from mltrail_server.services.promotion import provenance
from mltrail_server.store import schema
from mltrail_server.store.archives import projects, rows
from mltrail_server.store.archives.changes import LEFT_BEHIND, NOT_BELIEVED, Change, Moving, Trust
from mltrail_server.store.archives.staging import Staging
from mltrail_server.store.db import revisions
from mltrail_server.store.db.statements import Tuple
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.identity import projects as known_projects
from mltrail_server.store.imports import imported_tags, origins
from mltrail_server.store.tracking import usage

from . import forgeries, reader
from .manifest import Manifest
from .reader import Archive
from .writer import COUNTED

ARCHIVE, MOVED = "archive", "moved"
"""Kinds of origins: a foreign archive, whose things are marked as imported; and a former GitLab or project, whose
numbers pipelines had, see `domain/former.py`."""

Progress = Callable[[str], None]
_FOREIGN_ORIGIN = 1
"""The number of the origin of a foreign archive: its own origins stay behind."""


@dataclass(slots=True)
class Imported:
    """What was imported. `left_out` counts rows by table that were not taken, `missing` are names of files that the
    archive does not have, `changed` are sentences about values that are not as they were.
    """

    manifest: Manifest
    target: NamedProject
    trust: Trust
    rows: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    blobs: int = 0
    bytes: int = 0
    resumed: int = 0  # blobs that an earlier attempt had brought

    @property
    def differs(self) -> bool:
        """Whether something of what was to be imported is missing or changed."""
        return bool(self.missing or self.changed)


def import_archive(
    deps: Deps, folder: Path, target: NamedProject | None = None, *, progress: Progress = lambda _: None
) -> Imported:
    """Import an archive; without a target, into the project that it was exported from.

    Everything is checked before anything is written. Then contents are copied, those of an earlier attempt are kept;
    and all rows are written in one transaction. Raises INVALID for an archive that is damaged or forged, and CONFLICT
    for a project that is not empty.
    """
    archive = reader.opened(folder, provenance.signer(deps.settings))
    target = target or NamedProject(ProjectId(archive.manifest.project.id), archive.manifest.project.path)
    done = Imported(archive.manifest, target, trust_of(deps, archive, target))
    _check_empty(deps, target)
    progress("checking the archive")
    archive.check()
    _check_room(deps, archive)
    with TemporaryDirectory(prefix="archive-", dir=deps.settings.data_path) as temporary:
        staging = _staged(archive, Path(temporary), progress)
        try:
            forgeries.check_blobs(staging)
            if done.trust is not Trust.SAME:
                forgeries.check_numbers(staging)
            if done.trust is Trust.FOREIGN:
                forgeries.check(staging)
            progress("copying files")
            _copy_contents(deps, archive, staging, done)
            with deps.project(target.project_id).write() as tx:
                write_rows(tx, deps, staging.all, done, progress=progress)
        finally:
            staging.close()
    return done


def trust_of(deps: Deps, archive: Archive, target: NamedProject) -> Trust:
    """Decide how far to trust an archive that is imported into a project."""
    if not archive.ours:
        return Trust.FOREIGN
    same_gitlab = archive.manifest.server.gitlab_url == deps.settings.gitlab_url.rstrip("/")
    same = same_gitlab and archive.manifest.project.id == target.project_id
    return Trust.SAME if same else Trust.MOVED


def write_rows(
    tx: Transaction,
    deps: Deps,
    read: Callable[[sa.Table], Iterator[Tuple]],
    done: Imported,
    *,
    progress: Progress = lambda _: None,
) -> None:
    """Write all rows that come along into the transaction's project, which must be empty."""
    refuse_unless_empty(tx, done.target)
    projects.clear(tx)
    manifest = done.manifest
    moving = Moving(done.trust, tx.project_id, done.target.path, _FOREIGN_ORIGIN, manifest.created_ms)
    for table in rows.ARCHIVED:
        if not moving.takes(table):
            if left := sum(1 for _ in read(table)):
                done.left_out[table.name] = left
            continue
        progress(f"writing the rows: {table.name}")
        change = moving.of(table)
        if table is schema.experiment and done.trust is Trust.FOREIGN:
            change = _without_places(change, deps.settings.locations, done)
        found = _counters(read(table), done.trust) if table is schema.counter else read(table)
        done.rows[table.name] = rows.write_all(tx.connection, table, (change(row) for row in found))
    known_projects.ensure(tx, path=done.target.path)
    if done.trust is not Trust.SAME:
        _note_origin(tx, done)


def refuse_unless_empty(tx: Transaction, target: NamedProject) -> None:
    """Raise CONFLICT if the transaction's project has anything in it."""
    table = projects.full_table(tx)
    if table is not None:
        raise conflict(
            f"Project {target.path} ({target.project_id}) is not empty: it has rows in {table!r}. An archive keeps "
            "all numbers, so it can only be imported into a project without experiments, runs, models and files."
        )


def _check_empty(deps: Deps, target: NamedProject) -> None:
    with deps.project(target.project_id).read() as tx:
        refuse_unless_empty(tx, target)


def _check_room(deps: Deps, archive: Archive) -> None:
    """Raise UNAVAILABLE if the temporary database does not fit on the disk."""
    lines = sum(part.unpacked for table in archive.manifest.tables for part in table.parts)
    free = shutil.disk_usage(deps.settings.data_path).free
    if 2 * lines > free:
        raise unavailable(
            f"The rows of the archive need about {2 * lines:,} bytes temporarily in {deps.settings.data_path}, where "
            f"{free:,} are free. Make room, then try again."
        )


def _staged(archive: Archive, folder: Path, progress: Progress) -> Staging:
    """Read all rows into a temporary database, which has checked them."""
    manifest = archive.manifest
    if manifest.schema not in revisions.known():
        raise invalid(
            f"The archive has the schema {manifest.schema!r} of mltrail {manifest.mltrail}. This version knows none "
            f"newer than {revisions.newest()!r}: first upgrade this server to mltrail {manifest.mltrail} or later."
        )
    staging = Staging(folder, manifest.schema)
    try:
        names = {table.name: table.columns for table in manifest.tables}
        staging.check_columns(names)
        for table in staging.tables:
            lines = archive.lines(table.name)
            staging.load(table, names[table.name], lines, project_id=ProjectId(manifest.project.id))
            progress(f"checking the rows: {table.name}")
        staging.upgrade()
        staging.settle()
    except BaseException:
        staging.close()
        raise
    return staging


def _copy_contents(deps: Deps, archive: Archive, staging: Staging, done: Imported) -> None:
    """Copy the contents of all blobs under their ids; one that is there already is read, not copied."""
    columns = [column.name for column in rows.columns(schema.blob)]
    places = [columns.index(name) for name in ("id", "size", "sha256")]
    for one, row in zip_longest(archive.blobs(), staging.all(schema.blob)):  # both are sorted by ID
        blob_id, size, sha256 = (row[place] for place in places) if row else (None, None, None)
        if one is None or (one.blob_id, one.size) != (blob_id, size) or {sha256, one.sha256} - {None, sha256}:
            raise invalid("The list of blobs and the blob table differ. Nothing was imported.")
    for one in archive.blobs():
        if one.sha256 is None:
            done.missing.append(one.blob_id)
            continue
        done.blobs += 1
        done.bytes += one.size
        if _is_there(deps, done.target.project_id, one.blob_id, one.size, one.sha256):
            done.resumed += 1
            continue
        with archive.content(one.sha256) as content:
            stored = deps.files.put(done.target.project_id, content, size=one.size, blob_id=one.blob_id)
        if (stored.size, stored.sha256) != (one.size, one.sha256):
            raise invalid(f"The content {one.sha256} changed while it was read. Nothing was imported.")


def _is_there(deps: Deps, project_id: ProjectId, blob_id: str, size: int, sha256: str) -> bool:
    if deps.files.size(project_id, blob_id) != size:
        return False
    computed = hashlib.sha256()
    for chunk in deps.files.get(project_id, blob_id, length=size):
        computed.update(chunk)
    return computed.hexdigest() == sha256


def _without_places(change: Change, allowed: Sequence[str], done: Imported) -> Change:
    """Drop the location of an experiment's files where this server's operator does not allow it: new runs' files would
    go there.
    """
    names = [column.name for column in rows.columns(schema.experiment)]
    place, name = names.index("artifact_location"), names.index("name")

    def changed(row: Tuple) -> Tuple:
        made = list(change(row))
        if made[place] is not None and artifact_location.allowed(made[place], allowed) is None:
            done.changed.append(
                f"experiment {made[name]!r}: files of new runs are stored here, because MLTRAIL_ARTIFACT_LOCATIONS "
                f"does not allow {made[place]}"
            )
            made[place] = None
        return tuple(made)

    return changed


def _counters(found: Iterator[Tuple], trust: Trust) -> Iterator[Tuple]:
    """Leave out how much a project holds: it is counted again when it is first needed, so nobody can forge it. Origins
    are counted from the first one where those of the archive stay behind.
    """
    place = [column.name for column in rows.columns(schema.counter)].index("name")
    left_out = {*usage.ALL, "origin"} if trust is Trust.FOREIGN else usage.ALL if trust is Trust.MOVED else ()
    return (row for row in found if row[place] not in left_out)


def _note_origin(tx: Transaction, done: Imported) -> None:
    """Note where it came from, so that pages say so and know whose pipelines the numbers are."""
    server, project = done.manifest.server, done.manifest.project
    foreign = done.trust is Trust.FOREIGN
    base = server.external_url if foreign or not server.gitlab_url else server.gitlab_url
    report = {
        "project_id": project.id,
        "project_path": project.path,
        "gitlab_url": server.gitlab_url,
        "created_ms": done.manifest.created_ms,
        "rows": done.rows,
        "left_out": done.left_out,
    }
    projects.add_origin(
        tx,
        kind=ARCHIVE if foreign else MOVED,
        address=f"{base}/{project.path}" if base.startswith(("http://", "https://")) else project.path,
        description=f"mltrail {done.manifest.mltrail}",
        report=json.dumps(report),
    )
    origin = origins.get(tx, _FOREIGN_ORIGIN) if foreign else None
    if origin is not None:
        imported_tags.put_on_all(tx, origin.id, origin.place())


def reasons(done: Imported) -> dict[str, str]:
    """Return why rows of each table were left out."""
    return {name: LEFT_BEHIND.get(name) or NOT_BELIEVED[name] for name in done.left_out}


def counted(done: Imported) -> list[tuple[str, int, int]]:
    """Return what there is in a reader's words: its name, how many are here, and how many the archive has."""
    return [(name, done.rows.get(table, 0), done.manifest.counts.get(name, 0)) for name, table in COUNTED.items()]


def as_json(done: Imported) -> dict[str, Any]:
    """Return the report of an import as JSON values."""
    why = reasons(done)
    return {
        "project": {"id": done.target.project_id, "path": done.target.path},
        "trust": done.trust.value,
        "counts": {name: {"archive": there, "here": here} for name, here, there in counted(done)},
        "blobs": {"archive": done.manifest.blobs.count, "here": done.blobs, "bytes": done.bytes},
        "left_out": {name: {"rows": count, "why": why[name]} for name, count in done.left_out.items()},
        "missing": done.missing,
        "changed": done.changed,
    }

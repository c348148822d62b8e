"""Garbage collection: bytes that no name points at are removed a day after the last name was removed.

A row is removed before its bytes, so that an interruption leaves bytes without a row, which `store_check` finds, and
never a row without bytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mltrail_server.artifacts.base import MultipartUpload
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.project import Project
from mltrail_server.store.files import blobs, uploads
from mltrail_server.store.identity import projects
from mltrail_server.store.tracking import usage

from . import retention
from .retention import Removed

GRACE_MS = 24 * 60 * 60 * 1000
_BATCH = 200


@dataclass(slots=True)
class Collected:
    """What was removed, or would be; `size` is in bytes."""

    files: int = 0
    size: int = 0
    uploads: int = 0  # in parts, begun a day ago and never finished
    leftovers: int = 0  # of uploads that were interrupted
    noticed: int = 0  # found without a name for the first time: their day begins now
    traces: int = 0  # that were too old
    losers: list[Removed] = field(default_factory=list)  # candidates whose files lost their names, see `retention`


def collect(deps: Deps, *, dry_run: bool = False, stopped: Callable[[], bool] = lambda: False) -> Collected:
    """Remove what nothing refers to, in all projects. Any number of processes may do so at the same time.

    With `dry_run` nothing is changed. Raises UNAVAILABLE if the store does not answer.
    """
    deps.files.ping()
    before = deps.clock() - GRACE_MS
    collected = Collected()
    for project_id in all_projects(deps):
        if stopped():
            break
        collected.losers += retention.apply(deps, project_id, dry_run=dry_run, stopped=stopped)
        collected.traces += retention.forget_traces(deps, project_id, dry_run=dry_run, stopped=stopped)
        _give_up_uploads(deps, project_id, before, collected, dry_run=dry_run)
        _notice(deps.project(project_id), collected, dry_run=dry_run)
        if dry_run:
            with deps.project(project_id).read() as tx:
                count, size = blobs.total_unreferenced(tx, before=before)
            collected.files += count
            collected.size += size
        else:
            while not stopped() and _remove_some(deps, project_id, before, collected):
                pass
    _drop_leftovers(deps, before, collected, dry_run=dry_run)
    return collected


def all_projects(deps: Deps) -> list[ProjectId]:
    with deps.db.read() as connection:
        return projects.ids(connection)


def _remove_some(deps: Deps, project_id: ProjectId, before: int, collected: Collected) -> bool:
    """Remove a batch, and return whether there may be more to remove."""
    with deps.project(project_id).read() as tx:
        batch = blobs.unreferenced(tx, before=before, limit=_BATCH)
    if not batch:
        return False
    with deps.project(project_id).write() as tx:
        removed = blobs.forget(tx, [blob.id for blob in batch], before=before)
        usage.add(tx, usage.BYTES, -sum(blob.size for blob in removed))
    for blob in removed:
        deps.files.delete(project_id, blob.id)
        collected.files += 1
        collected.size += blob.size
    return bool(removed)


def _notice(project: Project, collected: Collected, *, dry_run: bool) -> None:
    """Start the day of bytes whose name was removed without a note, and stop that of bytes that have a name again."""
    for page in _unmarked(project):
        collected.noticed += len(page)
        if not dry_run:
            with project.write() as tx:
                blobs.mark_unreferenced(tx, page)
    if not dry_run:
        with project.write() as tx:
            blobs.unmark_named(tx)


def _unmarked(project: Project) -> Iterator[list[str]]:
    last = ""
    while True:
        with project.read() as tx:
            page = blobs.unmarked(tx, last, limit=_BATCH)
        if not page:
            return
        yield page
        last = page[-1]


def _give_up_uploads(deps: Deps, project_id: ProjectId, before: int, collected: Collected, *, dry_run: bool) -> None:
    with deps.project(project_id).read() as tx:
        stale = uploads.begun_before(tx, before)
    for upload in stale:
        if not dry_run:
            with deps.project(project_id).write() as tx:
                if not uploads.remove(tx, upload.id):
                    continue
            deps.files.abort(project_id, MultipartUpload(upload.id, upload.store_id))
        collected.uploads += 1


def _drop_leftovers(deps: Deps, before: int, collected: Collected, *, dry_run: bool) -> None:
    for leftover in deps.files.leftovers(before_ms=before):
        with deps.project(leftover.project_id).read() as tx:
            under_way = uploads.get(tx, leftover.blob_id)
        if under_way is not None:
            continue
        if not dry_run:
            deps.files.drop(leftover)
        collected.leftovers += 1

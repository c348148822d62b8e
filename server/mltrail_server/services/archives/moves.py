"""Move what is here of a project to another project id, without an archive.

Needed when a project was exported from GitLab and imported again: it then has another number, and so have its merge
requests. A project that is renamed or transferred keeps its number, and nothing has to be done.
"""

from collections.abc import Callable, Iterator
from importlib import metadata

import sqlalchemy as sa

from mltrail_server.artifacts.hashing import HashingReader
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity.projects import NamedProject
from mltrail_server.store.archives import projects, rows
from mltrail_server.store.archives.changes import Trust
from mltrail_server.store.db import revisions
from mltrail_server.store.db.statements import Tuple
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import blobs
from mltrail_server.store.files.blobs import Blob
from mltrail_server.store.identity import projects as store

from . import importing
from .importing import Imported
from .manifest import FORMAT, VERSION, Blobs, Manifest, Project, Server
from .writer import COUNTED

_PAGE = 1000
Progress = Callable[[str], None]


def move(deps: Deps, source: NamedProject, target: NamedProject, *, progress: Progress = lambda _: None) -> Imported:
    """Move all rows and files of a project: files are copied first, then one transaction moves the rows.

    A kill before that transaction leaves nothing but copies of files, which the next attempt uses. Raises CONFLICT if
    the target is not empty.
    """
    if source.project_id == target.project_id:
        raise invalid(f"{target.path} is the same project: its ID is also {source.project_id}.")
    with deps.project(target.project_id).read() as tx:
        importing.refuse_unless_empty(tx, target)
    progress("copying files")
    copied: set[str] = set()
    _copy(deps, source, target, copied)
    with deps.db.write() as connection:
        old, new = (deps.project(one.project_id).begun(connection) for one in (source, target))
        done = Imported(_described(deps, old, source), target, Trust.MOVED)
        _copy(deps, source, target, copied, within=old)  # what was added meanwhile; from now on nothing is
        importing.write_rows(new, deps, lambda table: _rows(old, table), done, progress=progress)
        done.blobs, done.bytes = done.manifest.blobs.count, done.manifest.blobs.bytes
        projects.clear(old)
        store.ensure(old, path=source.path)
    progress("removing the copied files of the former project")
    for blob_id in copied:
        deps.files.delete(source.project_id, blob_id)
    return done


def _rows(tx: Transaction, table: sa.Table) -> Iterator[Tuple]:
    for batch in rows.read(tx.connection, table, only=tx.project_id):
        yield from batch


def _described(deps: Deps, tx: Transaction, source: NamedProject) -> Manifest:
    """Describe the project as the manifest of an archive would."""
    of_table = {table.name: rows.count(tx.connection, table, only=tx.project_id) for table in rows.ARCHIVED}
    size = sum(blob.size for blob in _blobs(tx))
    settings = deps.settings
    return Manifest(
        format=FORMAT,
        version=VERSION,
        schema=revisions.newest() or "",
        mltrail=metadata.version("mltrail"),
        created_ms=tx.now,
        project=Project(source.project_id, source.path),
        server=Server(settings.external_url.rstrip("/"), settings.gitlab_url.rstrip("/")),
        counts={name: of_table[table] for name, table in COUNTED.items()},
        tables=[],
        blobs=Blobs(of_table["blob"], size, 0, of_table["blob"], []),
    )


def _copy(
    deps: Deps, source: NamedProject, target: NamedProject, copied: set[str], *, within: Transaction | None = None
) -> None:
    """Copy the contents of blobs that are not yet copied. One whose bytes are lost stays lost."""
    for blob in _blobs_of(deps, source) if within is None else _blobs(within):
        if blob.id in copied:
            continue
        copied.add(blob.id)
        if deps.files.size(target.project_id, blob.id) == blob.size:
            continue  # by an attempt that was killed
        try:
            chunks = deps.files.get(source.project_id, blob.id, length=blob.size)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            continue
        deps.files.put(target.project_id, HashingReader(chunks).buffered(), size=blob.size, blob_id=blob.id)


def _blobs_of(deps: Deps, source: NamedProject) -> Iterator[Blob]:
    last = ""
    while True:
        with deps.project(source.project_id).read() as tx:
            page = blobs.after(tx, last, limit=_PAGE)
        if not page:
            return
        yield from page
        last = page[-1].id


def _blobs(tx: Transaction) -> Iterator[Blob]:
    last = ""
    while page := blobs.after(tx, last, limit=_PAGE):
        yield from page
        last = page[-1].id

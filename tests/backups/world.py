"""A server's data for backups: rows in every table, files in two projects, and where they are restored to."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyrage
import sqlalchemy as sa

from mltrail_server.artifacts.base import FileStore
from mltrail_server.artifacts.destination import Destination
from mltrail_server.artifacts.encryption import Decryption, Encryption
from mltrail_server.artifacts.local import LocalFiles
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.backups import backup, restore, shelf
from mltrail_server.services.backups.backup import Made, Origin
from mltrail_server.services.backups.restore import Place, Restored
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from mltrail_server.store.archives import rows
from mltrail_server.store.db.database import Database
from mltrail_server.store.files import files
from tests.rows import fill

ONE, TWO = ProjectId(1), ProjectId(2)
OF_FILES = (schema.file, schema.trace_spans, schema.blob)
SECRETS = {"secret-key": "key-of-the-tests", "local-token": "token-of-the-tests"}


def ignore(*_: object) -> None:
    """Take progress and problems that a test does not look at."""


@dataclass
class World:
    """A server whose database has no rows, or some in every table (`fill`). Files are added by `put`."""

    deps: Deps
    work_place: Path
    destination: Destination
    encryption: Encryption | None = None
    decryption: Decryption | None = None
    blob_ids: dict[str, str] = field(default_factory=dict)  # by path

    def fill(self) -> None:
        """Put rows into every table but those of files, which would point at no bytes."""
        with self.deps.db.write() as connection:
            for project in (ONE, TWO):
                fill(connection, project)
            for table in OF_FILES:
                connection.execute(sa.delete(table), execution_options={"all_projects": True})

    def put(self, path: str, content: bytes, project: ProjectId = ONE, *, digest: bool = True) -> str:
        stored = self.deps.files.put(project, io.BytesIO(content))
        sha256 = stored.sha256 if digest else None
        with self.deps.project(project).write() as tx:
            files.put(tx, path=path, blob_id=stored.blob_id, size=stored.size, sha256=sha256)
        self.blob_ids[path] = stored.blob_id
        return stored.blob_id

    def forget(self, path: str, project: ProjectId = ONE) -> None:
        with self.deps.project(project).write() as tx:
            files.delete(tx, path)

    def origin(self) -> Origin:
        return Origin(self.deps.db, self.deps.files, self.deps.clock, SECRETS)

    def backup(self, secret: str = "key-of-the-tests") -> Made:
        return backup.make(
            self.origin(),
            self.destination,
            self.encryption,
            work_place=self.work_place,
            names_secret=secret,
            progress=ignore,
        )

    def reader(self, name: str | None = None) -> shelf.Reader:
        return shelf.Reader.of(self.destination, name, self.decryption)

    def restore(
        self,
        place: Place,
        name: str | None = None,
        *,
        start_over: bool = False,
        report: Callable[[str], None] = ignore,
    ) -> Restored:
        return restore.restore(self.reader(name), place, None, report, start_over=start_over, progress=ignore)


def place_at(url: str, folder: Path) -> Place:
    return Place(Database(url), LocalFiles(folder))


def all_rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Read what a backup has to keep, by table."""
    with database.read() as connection:
        found = {
            table.name: [row for batch in rows.read(connection, table) for row in batch] for table in rows.ARCHIVED
        }
    return {name: of_table for name, of_table in found.items() if name not in _CHANGED}


_CHANGED = ("due", "merge_request", "counter")
"""Leases end, and the bytes that are used are counted."""


def content_of(store: FileStore, project: ProjectId, blob_id: str) -> bytes:
    size = store.size(project, blob_id)
    assert size is not None
    return b"".join(store.get(project, blob_id, length=size))


def key_pair(folder: Path, name: str = "identity") -> tuple[Encryption, Decryption]:
    key = pyrage.x25519.Identity.generate()
    path = folder / name
    path.write_text(f"# public key: {key.to_public()}\n{key}\n")
    return Encryption([str(key.to_public())]), Decryption(path)

"""Which blobs a backup needs, and which of them its destination has: millions of them, so on the disk.

They are in an SQLite file of their own, which is thrown away at the end.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from mltrail_server.domain.errors import unavailable
from mltrail_server.domain.ids import ProjectId

_TABLES = """
CREATE TABLE needed (
  project_id INTEGER, id TEXT, size INTEGER, sha256 TEXT, row TEXT, name TEXT, PRIMARY KEY (project_id, id)
) WITHOUT ROWID;
CREATE INDEX needed_name ON needed (name);
CREATE TABLE there (name TEXT PRIMARY KEY, size INTEGER, sha256 TEXT, listed INTEGER) WITHOUT ROWID;
"""
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class NeededBlob:
    """A blob of the database. `size` is in bytes; `sha256` is None if nobody has read it so far."""

    project_id: ProjectId
    id: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """An object of the destination: its size in bytes, and the SHA-256 of what is stored, if it is known."""

    name: str
    size: int
    sha256: str | None


class BlobIndex:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.executescript(_TABLES)

    def need(self, blobs: Iterable[tuple[NeededBlob, str]]) -> None:
        """Note blobs, each with its row as text."""
        rows = ((blob.project_id, blob.id, blob.size, blob.sha256, row) for blob, row in blobs)
        self._db.executemany("INSERT INTO needed VALUES (?, ?, ?, ?, ?, NULL)", rows)

    def unread(self) -> list[NeededBlob]:
        """List the blobs whose digest nobody knows."""
        query = "SELECT project_id, id, size, sha256 FROM needed WHERE sha256 IS NULL"
        return [NeededBlob(ProjectId(project_id), *rest) for project_id, *rest in self._db.execute(query)]

    def learn(self, blob: NeededBlob, sha256: str) -> None:
        """Note the digest of a blob that was read."""
        self._db.execute(
            "UPDATE needed SET sha256 = ? WHERE (project_id, id) = (?, ?)", (sha256, blob.project_id, blob.id)
        )

    def name(self, blobs: Iterable[tuple[NeededBlob, str]]) -> None:
        """Note under which name the destination has a blob, or will have."""
        rows = ((name, blob.project_id, blob.id) for blob, name in blobs)
        self._db.executemany("UPDATE needed SET name = ? WHERE (project_id, id) = (?, ?)", rows)

    def all(self) -> Iterator[tuple[NeededBlob, str]]:
        """Return all blobs by their key, with their rows; what is noted meanwhile may be seen or not."""
        last: tuple[int, str] = (-1, "")
        query = (
            "SELECT project_id, id, size, sha256, row FROM needed WHERE (project_id, id) > (?, ?) "
            "ORDER BY project_id, id LIMIT ?"
        )
        while page := self._db.execute(query, (*last, _PAGE)).fetchall():
            for project_id, blob_id, size, sha256, row in page:
                yield NeededBlob(ProjectId(project_id), blob_id, size, sha256), row
            last = page[-1][:2]

    def list_stored(self, stored: Iterable[StoredBlob]) -> None:
        """Note what the destination really has."""
        rows = ((blob.name, blob.size, blob.sha256) for blob in stored)
        self._db.executemany("INSERT OR REPLACE INTO there VALUES (?, ?, ?, 1)", rows)

    def know_stored(self, blobs: Iterable[StoredBlob]) -> None:
        """Note what an earlier backup says of objects that were listed; one of another size counts as missing."""
        for blob in blobs:
            self._db.execute(
                "UPDATE there SET sha256 = ?, listed = (size = ?) WHERE name = ?", (blob.sha256, blob.size, blob.name)
            )

    def forget_stored(self, name: str) -> None:
        """Note that the destination does not have an object after all, so that it is written anew."""
        self._db.execute("DELETE FROM there WHERE name = ?", (name,))

    def unverified(self) -> list[str]:
        """List needed objects that are there, but of which no backup has noted the digest: one did not end."""
        query = "SELECT DISTINCT name FROM there JOIN needed USING (name) WHERE listed AND there.sha256 IS NULL"
        return [name for (name,) in self._db.execute(query)]

    def missing(self) -> Iterator[tuple[str, list[NeededBlob]]]:
        """Return the names that the destination lacks, by name, each with the blobs that have this content."""
        last = ""
        query = (
            "SELECT DISTINCT name FROM needed WHERE name > ? AND name NOT IN (SELECT name FROM there WHERE listed) "
            "ORDER BY name LIMIT ?"
        )
        of_name = "SELECT project_id, id, size, sha256 FROM needed WHERE name = ? ORDER BY project_id, id"
        while page := [name for (name,) in self._db.execute(query, (last, _PAGE))]:
            for name in page:
                found = self._db.execute(of_name, (name,))
                yield name, [NeededBlob(ProjectId(project_id), *rest) for project_id, *rest in found]
            last = page[-1]

    def saved(self) -> Iterator[StoredBlob]:
        """Return the objects that this backup consists of, by name."""
        query = (
            "SELECT name, there.size, there.sha256 FROM there WHERE listed AND name > ? AND "
            "EXISTS (SELECT 1 FROM needed WHERE needed.name = there.name) ORDER BY name LIMIT ?"
        )
        last = ""
        while page := self._db.execute(query, (last, _PAGE)).fetchall():
            yield from (StoredBlob(*row) for row in page)
            last = page[-1][0]

    def missing_bytes(self) -> int:
        """Return how much the destination lacks, in bytes."""
        query = (
            "SELECT coalesce(sum(size), 0) FROM (SELECT max(size) AS size FROM needed WHERE name IS NOT NULL AND "
            "name NOT IN (SELECT name FROM there WHERE listed) GROUP BY name)"
        )
        size: int = self._db.execute(query).fetchone()[0]
        return size

    def counts(self) -> tuple[int, int]:
        """Count the blobs that are needed, and their bytes."""
        count, size = self._db.execute("SELECT count(*), coalesce(sum(size), 0) FROM needed").fetchone()
        return count, size


@contextmanager
def blob_index(folder: Path) -> Iterator[BlobIndex]:
    """Make an index in a temporary folder. Raises UNAVAILABLE if the folder can't be used or is full."""
    with closing(sqlite3.connect(folder / "blobs.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        try:
            yield BlobIndex(connection)
        except sqlite3.Error as error:
            raise unavailable(
                f"The folder {folder.parent} can't be used for temporary files ({error}): see --work-dir."
            ) from error


def named_blobs(
    connection: sa.Connection, table: sa.Table, tables: Iterable[sa.Table]
) -> Iterator[sa.Row[tuple[object, ...]]]:
    """Read the rows of blobs that something points at, by key. The others have been deleted: nobody can reach them, and
    garbage collection may remove them at any moment.
    """
    pointing = [
        sa.exists().where(other.c.project_id == table.c.project_id, other.c.blob_id == table.c.id)
        for other in tables
        if "blob_id" in other.c
    ]
    query = sa.select(table).where(sa.or_(*pointing)).order_by(table.c.project_id, table.c.id)
    options = {"all_projects": True, "stream_results": True, "yield_per": _PAGE}
    yield from connection.execute(query, execution_options=options)

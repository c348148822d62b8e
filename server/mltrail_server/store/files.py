"""Names of files, which point at blobs."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema
from .sql import upsert

_T = schema.file
_BLOB = schema.blob


@dataclass(frozen=True, slots=True)
class File:
    path: str
    blob_id: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a folder: `size` is None for a folder in it."""

    name: str
    size: int | None


def put(
    connection: sa.Connection, project_id: ProjectId, *, path: str, blob_id: str, size: int, sha256: str, now: int
) -> None:
    """Note a blob and let the name point at it. What it pointed at before is left for the garbage collection."""
    blob = {"project_id": project_id, "id": blob_id, "size": size, "sha256": sha256, "created_ms": now}
    connection.execute(sa.insert(_BLOB).values(**blob))
    upsert(connection, _T, [{"project_id": project_id, "path": path, "blob_id": blob_id}], update=["blob_id"])


def lock(connection: sa.Connection, project_id: ProjectId, folder: str) -> None:
    """Make other writers of the folder wait until this transaction ends. On SQLite every writer waits anyway."""
    if connection.dialect.name == "postgresql":
        mark = sa.func.hashtextextended(folder, project_id)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(mark)))


def get(connection: sa.Connection, project_id: ProjectId, path: str) -> File | None:
    row = connection.execute(_files(project_id).where(_T.c.path == path)).one_or_none()
    return None if row is None else File(row.path, row.blob_id, row.size, row.sha256)


def below(connection: sa.Connection, project_id: ProjectId, folder: str) -> list[File]:
    """List every file in a folder and its folders, by path."""
    rows = connection.execute(_files(project_id).where(_inside(folder)).order_by(_T.c.path))
    return [File(row.path, row.blob_id, row.size, row.sha256) for row in rows]


def entries(connection: sa.Connection, project_id: ProjectId, folder: str) -> list[Entry]:
    """List one level of a folder, by name. What lies deeper is grouped in the database: two statements."""
    rest = sa.func.substr(_T.c.path, len(folder) + 2)
    slash = _position(connection, rest)
    inside = sa.and_(_T.c.project_id == project_id, _inside(folder))
    folders = sa.select(sa.func.substr(rest, 1, slash - 1)).where(inside, slash > 0).distinct()
    found: dict[str, int | None] = dict.fromkeys(connection.execute(folders).scalars())
    for file in connection.execute(_files(project_id).where(_inside(folder), slash == 0)):
        found[file.path[len(folder) + 1 :]] = file.size
    return [Entry(name, size) for name, size in sorted(found.items())]


def is_folder(connection: sa.Connection, project_id: ProjectId, path: str) -> bool:
    """Tell whether any file lies below a path. Folders are not kept: they are where files are."""
    query = sa.select(sa.literal(1)).where(_T.c.project_id == project_id, _inside(path)).limit(1)
    return connection.execute(query).scalar() is not None


def clash(connection: sa.Connection, project_id: ProjectId, path: str) -> str | None:
    """Find what stands in the way of a file at `path`: a file where a folder is needed, or files below the path."""
    parts = path.split("/")
    parents = ["/".join(parts[:end]) for end in range(1, len(parts))]
    query = sa.select(_T.c.path).where(_T.c.project_id == project_id)
    found: str | None = connection.execute(query.where(_T.c.path.in_(parents)).limit(1)).scalar()
    return found or connection.execute(query.where(_inside(path)).limit(1)).scalar()


def delete(connection: sa.Connection, project_id: ProjectId, path: str) -> None:
    """Remove a name, or all names below a folder."""
    where = sa.or_(_T.c.path == path, _inside(path))
    connection.execute(sa.delete(_T).where(_T.c.project_id == project_id, where))


def copy(connection: sa.Connection, project_id: ProjectId, files: Sequence[File], *, source: str, target: str) -> None:
    """Give files a second name each, in another folder; the bytes are shared."""
    rows = [
        {"project_id": project_id, "path": target + file.path.removeprefix(source), "blob_id": file.blob_id}
        for file in files
    ]
    upsert(connection, _T, rows, update=["blob_id"])


def _files(project_id: ProjectId) -> sa.Select[tuple[str, str, int, str]]:
    join = (_BLOB.c.project_id == _T.c.project_id) & (_BLOB.c.id == _T.c.blob_id)
    columns = (_T.c.path, _T.c.blob_id, _BLOB.c.size, _BLOB.c.sha256)
    return sa.select(*columns).join(_BLOB, join).where(_T.c.project_id == project_id)


def _inside(folder: str) -> sa.ColumnElement[bool]:
    """Match what is below a folder by a range of the key: "0" is the character after "/"."""
    return sa.and_(_T.c.path > f"{folder}/", _T.c.path < f"{folder}0")


def _position(connection: sa.Connection, text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Find the first slash in a text, counting from 1; 0 when it has none."""
    return sa.func.strpos(text, "/") if connection.dialect.name == "postgresql" else sa.func.instr(text, "/")

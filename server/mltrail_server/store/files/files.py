"""Names of files, which point at blobs, and listing one level of a folder."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.paging import mark_of, read_token, written_token
from mltrail_server.store.db.statements import Statement, add_new
from mltrail_server.store.db.transaction import Transaction

from . import blobs

_T = schema.file
_BLOB = schema.blob


_FILES = sa.select(_T.c.path, _T.c.blob_id, _BLOB.c.size, _BLOB.c.sha256).join(
    _BLOB, (_BLOB.c.project_id == _T.c.project_id) & (_BLOB.c.id == _T.c.blob_id)
)
_OF_PROJECT = _T.c.project_id == sa.bindparam("project_id")
_BY_PATH = Statement(_FILES.where(_OF_PROJECT, _T.c.path == sa.bindparam("path")))


@dataclass(frozen=True, slots=True)
class File:
    path: str
    blob_id: str
    size: int  # bytes
    sha256: str | None  # None until somebody has read what a client sent directly to S3


def put(tx: Transaction, *, path: str, blob_id: str, size: int, sha256: str | None) -> None:
    """Add a blob and let the name point at it. What it pointed at before is left to the garbage collection."""
    blobs.add(tx, blob_id, size=size, sha256=sha256)
    if add(tx, path, blob_id):
        return
    where = (_T.c.project_id == tx.project_id, _T.c.path == path)
    before = tx.execute(sa.select(_T.c.blob_id).where(*where)).scalar_one()
    tx.execute(sa.update(_T).where(*where).values(blob_id=blob_id))
    blobs.mark_unreferenced(tx, [before])


def add(tx: Transaction, path: str, blob_id: str) -> bool:
    """Let a name point at a blob; return False if there is such a name already."""
    return bool(tx.all(_add(tx.dialect), path=path, blob_id=blob_id))


def lock(tx: Transaction, path: str, folder: str) -> None:
    """Keep others from adding a file, or replacing it, where it would clash with one at `path`, until this transaction
    ends. They may add other files in its owner's `folder`. On SQLite every writer waits anyway.
    """
    if tx.dialect == "postgresql":
        folders = folders_of(path, folder)
        tx.one(locking(len(folders)), path=path, **folders)


def folders_of(path: str, folder: str) -> dict[str, str]:
    """Name the folders between the owner's and a file, the outermost first, as parameters of statements."""
    inner = path.count("/", len(folder) + 1)
    parts = path.split("/")
    first = len(parts) - inner
    return {f"folder_{number}": "/".join(parts[: first + number - 1]) for number in range(1, inner + 1)}


@cache
def locking(depth: int) -> Statement:
    """Build PostgreSQL's statement for `lock`: a file's own name is for one transaction alone, and its folders are for
    all that use them as folders, so that `a` and `a/b` can't both be added.

    All begin with the outermost, so no two wait for each other. What was committed while it waited is seen by the
    transaction's next statement.
    """
    marks = [
        sa.func.pg_advisory_xact_lock_shared(_mark(sa.bindparam(f"folder_{number}"))) for number in range(1, depth + 1)
    ]
    return Statement(sa.select(*marks, sa.func.pg_advisory_xact_lock(_mark(sa.bindparam("path")))))


def _mark(path: sa.BindParameter[str]) -> sa.ColumnElement[int]:
    return sa.func.hashtextextended(path, sa.bindparam("project_id", type_=sa.BigInteger))


def get(tx: Transaction, path: str) -> File | None:
    row = tx.one(_BY_PATH, path=path)
    return None if row is None else File(*row)


def of_paths(tx: Transaction, paths: Collection[str]) -> list[File]:
    """Fetch the files with some paths, in one statement; those that don't exist are left out."""
    query = _files(tx.project_id).where(_T.c.path.in_(paths))
    return [File(row.path, row.blob_id, row.size, row.sha256) for row in tx.execute(query)] if paths else []


def below(tx: Transaction, folder: str) -> list[File]:
    """List every file in a folder and its subfolders, by path."""
    rows = tx.execute(_files(tx.project_id).where(_inside(folder)).order_by(_T.c.path))
    return [File(row.path, row.blob_id, row.size, row.sha256) for row in rows]


def is_folder(tx: Transaction, path: str) -> bool:
    """Return whether there is any file below a path. Folders are not stored: they exist while files are in them."""
    query = sa.select(sa.literal(1)).where(_T.c.project_id == tx.project_id, _inside(path)).limit(1)
    return tx.execute(query).scalar() is not None


def clash(tx: Transaction, path: str) -> str | None:
    """Find what prevents a file at `path`: a file where a folder is needed, or a file below the path."""
    parts = path.split("/")
    parents = {f"parent_{end}": "/".join(parts[:end]) for end in range(1, len(parts))}
    found = tx.one(_clash(len(parents)), start=f"{path}/", stop=f"{path}0", **parents)
    return None if found is None else str(found[0])


def delete(tx: Transaction, path: str) -> None:
    """Remove a name, or all names below a folder. The bytes are left to the garbage collection."""
    gone = _at_or_inside(_T, path)
    if tx.dialect == "postgresql":
        # Names are locked before blobs, as by `put`, and in one order: otherwise two calls could wait for each other.
        names = sa.select(_T.c.path).where(_T.c.project_id == tx.project_id, gone).order_by(_T.c.path)
        tx.execute(sa.select(sa.func.count()).select_from(names.with_for_update().subquery()))
    other = _T.alias("other")
    kept = sa.exists().where(
        other.c.project_id == tx.project_id,
        other.c.blob_id == _BLOB.c.id,
        sa.not_(_at_or_inside(other, path)),
    )
    pointed_at = sa.select(_T.c.blob_id).where(_T.c.project_id == tx.project_id, gone)
    tx.execute(
        sa.update(_BLOB)
        .where(_BLOB.c.project_id == tx.project_id, _BLOB.c.id.in_(pointed_at), ~kept)
        .values(unreferenced_ms=tx.now)
    )
    tx.execute(sa.delete(_T).where(_T.c.project_id == tx.project_id, gone))


def copy(tx: Transaction, files: Sequence[File], *, source: str, target: str) -> None:
    """Give each file a second name in another folder; the bytes are shared."""
    rows = [
        {"project_id": tx.project_id, "path": target + file.path.removeprefix(source), "blob_id": file.blob_id}
        for file in files
    ]
    tx.upsert(_T, rows, update=["blob_id"])


def _files(project_id: ProjectId) -> sa.Select[tuple[str, str, int, str | None]]:
    return _FILES.where(_T.c.project_id == project_id)


def _at_or_inside(table: sa.FromClause, path: str) -> sa.ColumnElement[bool]:
    """Match a path and what is below it. The range is a condition of its own, since SQLite uses none in an "or"."""
    within = sa.and_(table.c.path >= path, table.c.path < f"{path}0")
    return sa.and_(within, sa.or_(table.c.path == path, table.c.path > f"{path}/"))


@cache
def _add(dialect: str) -> Statement:
    """Build the INSERT of a name, which returns a row if the name is new."""
    return Statement(add_new(dialect, _T).returning(_T.c.path), columns=("project_id", "path", "blob_id"))


def _inside(folder: str) -> sa.ColumnElement[bool]:
    """Match what is below a folder by a range of the key: "0" is the character after "/"."""
    return sa.and_(_T.c.path > f"{folder}/", _T.c.path < f"{folder}0")


@cache
def _clash(depth: int) -> Statement:
    """Build the query for what prevents a file at a path that is this many folders deep."""
    parents: list[sa.BindParameter[str]] = [sa.bindparam(f"parent_{number}") for number in range(1, depth + 1)]
    above = sa.select(_T.c.path).where(_OF_PROJECT, _T.c.path.in_(parents))
    below_it = (_T.c.path > sa.bindparam("start"), _T.c.path < sa.bindparam("stop"))
    either = above.union_all(sa.select(_T.c.path).where(_OF_PROJECT, *below_it))
    return Statement(either.limit(sa.literal_column("1")).offset(sa.literal_column("0")))


PAGE = 10_000


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """One line of a folder: `size` is None for a folder in it."""

    name: str
    size: int | None


def folder_entries(tx: Transaction, folder: str) -> list[FolderEntry]:
    """List one level of a folder, by name, in one statement that skips what is deeper."""
    return sorted(_walked(tx, folder, f"{folder}/", None), key=lambda one: one.name)


def folder_page(
    tx: Transaction, folder: str, *, token: str | None, size: int = PAGE
) -> tuple[list[FolderEntry], str | None]:
    """List a page of a folder, and return the token of the next page. Raises INVALID for another folder's token."""
    mark = mark_of("files", folder)
    after = read_token(token, mark, 1)
    start = max(f"{folder}/", str(after[0])) if after else f"{folder}/"
    found = _walked(tx, folder, start, size + 1)
    following = None
    if len(found) > size:
        found.pop()
        last = found[-1]
        following = written_token([f"{folder}/{last.name}{'0' if last.size is None else ' '}"], mark)
    return sorted(found, key=lambda one: one.name), following


_ALL = 2**62


def _walked(tx: Transaction, folder: str, start: str, limit: int | None) -> list[FolderEntry]:
    found = []
    rows = tx.all(_walk(tx.dialect), start=start, stop=f"{folder}0", inside=len(folder) + 1, most=limit or _ALL)
    for path, size in rows:
        name, deep, _ = path[len(folder) + 1 :].partition("/")
        found.append(FolderEntry(name, None if deep else size))
    return found


@cache
def _walk(dialect: str) -> Statement:
    """Build the query that goes from entry to entry of a folder by seeking in the key: after `a/b` comes what is not
    below `a`, from `a0` on.

    (A path holds no character before the space, so the next path after `a` is at least `a` and a space.) `inside` is
    the number of characters of the folder and its slash.
    """
    inside = sa.bindparam("inside", type_=sa.Integer)
    first = sa.select(sa.func.min(_T.c.path)).where(*_from(_T, sa.bindparam("start")))
    walk = sa.select(
        first.scalar_subquery().label("path"), sa.cast(sa.literal_column("1"), sa.BigInteger).label("number")
    ).cte("walk", recursive=True)
    slash = _position(dialect, sa.func.substr(walk.c.path, inside + 1))
    onward = sa.case(
        (slash > 0, sa.func.substr(walk.c.path, 1, slash + inside - 1) + "0"),
        else_=walk.c.path + " ",
    )
    deeper = _T.alias("deeper")
    following = sa.select(sa.func.min(deeper.c.path)).where(*_from(deeper, onward))
    more = walk.c.path.is_not(None) & (walk.c.number < sa.bindparam("most", type_=sa.BigInteger))
    walk = walk.union_all(sa.select(following.correlate(walk).scalar_subquery(), walk.c.number + 1).where(more))
    query = (
        sa.select(walk.c.path, _BLOB.c.size)
        .join_from(walk, _T, sa.and_(_OF_PROJECT, _T.c.path == walk.c.path))
        .join(_BLOB, sa.and_(_BLOB.c.project_id == _T.c.project_id, _BLOB.c.id == _T.c.blob_id))
        .order_by(walk.c.number)
    )
    return Statement(query)


def _from(table: sa.FromClause, start: sa.ColumnElement[str]) -> tuple[sa.ColumnElement[bool], ...]:
    """Match what is in the folder from a path on."""
    return (
        table.c.project_id == sa.bindparam("project_id"),
        table.c.path >= start,
        table.c.path < sa.bindparam("stop"),
    )


def _position(dialect: str, text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Find the first slash in a text, counting from 1; 0 when it has none."""
    return sa.func.strpos(text, "/") if dialect == "postgresql" else sa.func.instr(text, "/")

"""One level of a folder of files, however much lies below it."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema
from .paging import mark_of, read_token, written_token

_T = schema.file
_BLOB = schema.blob

PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a folder: `size` is None for a folder in it."""

    name: str
    size: int | None


def entries(connection: sa.Connection, project_id: ProjectId, folder: str) -> list[Entry]:
    """List one level of a folder, by name: one statement, which hops over what lies deeper."""
    return sorted(_walked(connection, project_id, folder, f"{folder}/", None), key=lambda one: one.name)


def page(
    connection: sa.Connection, project_id: ProjectId, folder: str, *, token: str | None, size: int = PAGE
) -> tuple[list[Entry], str | None]:
    """List a page of a folder, and the token of the next page. Raises INVALID for a token of something else."""
    mark = mark_of("files", folder)
    after = read_token(token, mark, 1)
    start = max(f"{folder}/", str(after[0])) if after else f"{folder}/"
    found = _walked(connection, project_id, folder, start, size + 1)
    following = None
    if len(found) > size:
        found.pop()
        last = found[-1]
        following = written_token([f"{folder}/{last.name}{'0' if last.size is None else ' '}"], mark)
    return sorted(found, key=lambda one: one.name), following


def _walked(
    connection: sa.Connection, project_id: ProjectId, folder: str, start: str, limit: int | None
) -> list[Entry]:
    """Go from entry to entry by seeking in the key: after `a/b` comes what is not below `a`, from `a0` on.

    (A path holds no character before the space, so the next path after `a` is at least `a` and a space.)
    """
    first = sa.select(sa.func.min(_T.c.path)).where(_between(_T, project_id, sa.literal(start), folder))
    walk = sa.select(first.scalar_subquery().label("path"), sa.literal(1).label("number")).cte("walk", recursive=True)
    slash = _position(connection, sa.func.substr(walk.c.path, len(folder) + 2))
    onward = sa.case(
        (slash > 0, sa.func.substr(walk.c.path, 1, slash + len(folder)) + "0"),
        else_=walk.c.path + " ",
    )
    deeper = _T.alias("deeper")
    following = sa.select(sa.func.min(deeper.c.path)).where(_between(deeper, project_id, onward, folder))
    more: sa.ColumnElement[bool] = walk.c.path.is_not(None)
    if limit is not None:
        more &= walk.c.number < limit
    walk = walk.union_all(sa.select(following.correlate(walk).scalar_subquery(), walk.c.number + 1).where(more))
    query = (
        sa.select(walk.c.path, _BLOB.c.size)
        .join_from(walk, _T, sa.and_(_T.c.project_id == project_id, _T.c.path == walk.c.path))
        .join(_BLOB, sa.and_(_BLOB.c.project_id == project_id, _BLOB.c.id == _T.c.blob_id))
        .order_by(walk.c.number)
    )
    found = []
    for path, size in connection.execute(query):
        name, deep, _ = path[len(folder) + 1 :].partition("/")
        found.append(Entry(name, None if deep else size))
    return found


def _between(
    table: sa.FromClause, project_id: ProjectId, start: sa.ColumnElement[str], folder: str
) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.project_id == project_id, table.c.path >= start, table.c.path < f"{folder}0")


def _position(connection: sa.Connection, text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Find the first slash in a text, counting from 1; 0 when it has none."""
    return sa.func.strpos(text, "/") if connection.dialect.name == "postgresql" else sa.func.instr(text, "/")

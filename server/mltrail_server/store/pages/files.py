"""What kinds of files a run has, and finding some of them, without reading the names of all."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.file
_BLOB = schema.blob
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """How many files there are in some folders, counted up to a limit, and whether pictures or an MLmodel file are
    among them. Where there are more than the limit, both are taken to be.
    """

    count: int
    more: bool
    pictures: bool
    models: bool


def facts(tx: Transaction, folders: Sequence[str], *, most: int) -> FileFacts:
    """Look at the first `most` files below some folders, in one statement."""
    first = sa.select(_T.c.path).where(_T.c.project_id == tx.project_id, _inside(folders)).limit(most + 1).subquery()
    name = sa.func.lower(first.c.path)
    picture = sa.case((sa.or_(*(name.like(f"%{suffix}") for suffix in PICTURES)), 1), else_=0)
    model = sa.case((first.c.path.like("%/MLmodel"), 1), else_=0)
    count, pictures, models = tx.execute(sa.select(sa.func.count(), sa.func.max(picture), sa.func.max(model))).one()
    more = count > most
    return FileFacts(min(count, most), more, more or bool(pictures), more or bool(models))


def find(tx: Transaction, folders: Sequence[str], text: str, *, limit: int) -> list[tuple[str, int]]:
    """List paths and sizes of the files whose path in one of the folders contains a text, whatever its case."""
    found: dict[str, int] = {}
    escaped = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    for folder in folders:
        inner = sa.func.lower(sa.func.substr(_T.c.path, len(folder) + 2))
        query = (
            sa.select(_T.c.path, _BLOB.c.size)
            .join(_BLOB, sa.and_(_BLOB.c.project_id == _T.c.project_id, _BLOB.c.id == _T.c.blob_id))
            .where(_T.c.project_id == tx.project_id, _inside([folder]), inner.like(f"%{escaped}%", escape="\\"))
            .order_by(_T.c.path)
            .limit(limit)
        )
        for path, size in tx.execute(query):
            found.setdefault(path[len(folder) + 1 :], size)
    return sorted(found.items())[:limit]


def of_kinds(tx: Transaction, folders: Sequence[str], suffixes: Sequence[str], *, limit: int) -> list[tuple[str, int]]:
    """List paths, inside their folder, and sizes of the files whose names end with one of the suffixes, by path."""
    found: dict[str, int] = {}
    for folder in folders:
        name = sa.func.lower(_T.c.path)
        query = (
            sa.select(_T.c.path, _BLOB.c.size)
            .join(_BLOB, sa.and_(_BLOB.c.project_id == _T.c.project_id, _BLOB.c.id == _T.c.blob_id))
            .where(
                _T.c.project_id == tx.project_id,
                _inside([folder]),
                sa.or_(*(name.like(f"%{suffix.lower()}") for suffix in suffixes)),
            )
            .order_by(_T.c.path)
            .limit(limit)
        )
        for path, size in tx.execute(query):
            found.setdefault(path[len(folder) + 1 :], size)
    return sorted(found.items())[:limit]


def paths(tx: Transaction, folders: Sequence[str], suffixes: Sequence[str], *, limit: int) -> list[str]:
    """List the whole paths of the files in several folders whose names end with one of the suffixes, by path."""
    name = sa.func.lower(_T.c.path)
    ends = sa.or_(*(name.like(f"%{suffix.lower()}") for suffix in suffixes))
    query = sa.select(_T.c.path).where(_T.c.project_id == tx.project_id, _inside(folders), ends)
    return list(tx.execute(query.order_by(_T.c.path).limit(limit)).scalars())


def _inside(folders: Sequence[str]) -> sa.ColumnElement[bool]:
    """Match what is below some folders by ranges of the key: "0" is the character after "/"."""
    return sa.or_(*(sa.and_(_T.c.path > f"{folder}/", _T.c.path < f"{folder}0") for folder in folders))

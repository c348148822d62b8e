"""Bytes that are stored, whatever files or traces point at them: what garbage collection and checks look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement
from mltrail_server.store.db.transaction import Transaction

_T = schema.blob
_FILE = schema.file
_SPANS = schema.trace_spans
_COLUMNS = ("project_id", "id", "size", "sha256", "created_ms")
_INSERT = Statement(sa.insert(_T), columns=_COLUMNS)


@dataclass(frozen=True, slots=True)
class Blob:
    id: str
    size: int  # bytes
    sha256: str | None


def add(tx: Transaction, blob_id: str, *, size: int, sha256: str | None) -> None:
    tx.run(_INSERT, id=blob_id, size=size, sha256=sha256, created_ms=tx.now)


def after(tx: Transaction, blob_id: str, *, limit: int) -> list[Blob]:
    """List the blobs after this one, by id; "" begins with the first."""
    query = sa.select(_T.c.id, _T.c.size, _T.c.sha256).where(_T.c.project_id == tx.project_id, _T.c.id > blob_id)
    return [Blob(*row) for row in tx.execute(query.order_by(_T.c.id).limit(limit))]


def exists(tx: Transaction, blob_id: str) -> bool:
    query = sa.select(sa.literal(1)).where(_T.c.project_id == tx.project_id, _T.c.id == blob_id)
    return tx.execute(query).scalar() is not None


def newest_ms(tx: Transaction, blob_ids: Sequence[str]) -> int | None:
    """Return when the newest of these blobs was stored."""
    query = sa.select(sa.func.max(_T.c.created_ms)).where(_T.c.project_id == tx.project_id, _T.c.id.in_(blob_ids))
    found: int | None = tx.execute(query).scalar()
    return found


def names_of(tx: Transaction, blob_id: str, *, limit: int) -> list[str]:
    """List names that point at a blob: paths of files, and traces whose spans it holds."""
    query = sa.select(_FILE.c.path).where(_FILE.c.project_id == tx.project_id, _FILE.c.blob_id == blob_id)
    found = list(tx.execute(query.order_by(_FILE.c.path).limit(limit)).scalars())
    traces = sa.select(_SPANS.c.trace_id).where(_SPANS.c.project_id == tx.project_id, _SPANS.c.blob_id == blob_id)
    return (found + [f"spans of {trace_id}" for trace_id in tx.execute(traces).scalars()])[:limit]


def set_digest(tx: Transaction, blob_id: str, sha256: str) -> None:
    """Store a digest that was not known before; a known one never changes."""
    where = (_T.c.project_id == tx.project_id, _T.c.id == blob_id, _T.c.sha256.is_(None))
    tx.execute(sa.update(_T).where(*where).values(sha256=sha256))


def mark_unreferenced(tx: Transaction, blob_ids: Sequence[str]) -> None:
    """Note that from now on no name points at these blobs. Those that a name does point at are skipped."""
    if blob_ids:
        where = (_T.c.project_id == tx.project_id, _T.c.id.in_(blob_ids), ~_is_named(tx.project_id))
        tx.execute(sa.update(_T).where(*where).values(unreferenced_ms=tx.now))


def unmarked(tx: Transaction, blob_id: str, *, limit: int) -> list[str]:
    """List blobs after this one, by id, that no name points at and that are not marked."""
    where = (
        _T.c.project_id == tx.project_id,
        _T.c.id > blob_id,
        _T.c.unreferenced_ms.is_(None),
        ~_is_named(tx.project_id),
    )
    return list(tx.execute(sa.select(_T.c.id).where(*where).order_by(_T.c.id).limit(limit)).scalars())


def unmark_named(tx: Transaction) -> None:
    """Remove the mark of blobs that a name points at again: a promotion may have copied a file while it was deleted."""
    where = (_T.c.project_id == tx.project_id, _T.c.unreferenced_ms.is_not(None), _is_named(tx.project_id))
    tx.execute(sa.update(_T).where(*where).values(unreferenced_ms=None))


def unreferenced(tx: Transaction, *, before: int, limit: int) -> list[Blob]:
    """List blobs that no name has pointed at since `before`, the longest unreferenced first."""
    where = (*_forgotten(tx.project_id, before), ~_is_named(tx.project_id))
    query = sa.select(_T.c.id, _T.c.size, _T.c.sha256).where(*where).order_by(_T.c.unreferenced_ms, _T.c.id)
    return [Blob(*row) for row in tx.execute(query.limit(limit))]


def total_unreferenced(tx: Transaction, *, before: int) -> tuple[int, int]:
    """Count the blobs that no name has pointed at since `before`, and their bytes."""
    size = sa.cast(sa.func.coalesce(sa.func.sum(_T.c.size), 0), sa.BigInteger)
    query = sa.select(sa.func.count(), size).where(*_forgotten(tx.project_id, before), ~_is_named(tx.project_id))
    count, total = tx.execute(query).one()
    return count, total


def forget(tx: Transaction, blob_ids: Sequence[str], *, before: int) -> list[Blob]:
    """Delete the rows of blobs that no name has pointed at since `before`, and return which those were.

    Safe while a promotion gives them names: on PostgreSQL a new name holds a key-share lock on its blob, so rows that
    are being named are skipped, and a later promotion waits and finds that they are gone. SQLite has one writer.
    """
    where = (*_forgotten(tx.project_id, before), _T.c.id.in_(blob_ids))
    lock = sa.select(_T.c.id).where(*where).with_for_update(skip_locked=True)
    held = list(tx.execute(lock).scalars())
    if not held:
        return []
    # A separate statement, so that on PostgreSQL it sees what was committed before it got the lock.
    gone = sa.delete(_T).where(_T.c.project_id == tx.project_id, _T.c.id.in_(held), ~_is_named(tx.project_id))
    return [Blob(*row) for row in tx.execute(gone.returning(_T.c.id, _T.c.size, _T.c.sha256))]


def _forgotten(project_id: ProjectId, before: int) -> tuple[sa.ColumnElement[bool], ...]:
    return _T.c.project_id == project_id, _T.c.unreferenced_ms.is_not(None), _T.c.unreferenced_ms <= before


def _is_named(project_id: ProjectId) -> sa.ColumnElement[bool]:
    """Return whether a file's name, or a trace, points at a blob."""
    return sa.or_(
        sa.exists().where(_FILE.c.project_id == project_id, _FILE.c.blob_id == _T.c.id),
        sa.exists().where(_SPANS.c.project_id == project_id, _SPANS.c.blob_id == _T.c.id),
    )

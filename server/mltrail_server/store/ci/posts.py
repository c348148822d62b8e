"""The one note of a merge request: who posts it just now, what stands there, and why it does not."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.merge_request


@dataclass(frozen=True, slots=True)
class Post:
    """`pipeline_id` is the pipeline that the note speaks of; `next_ms` is when a failed attempt may be repeated."""

    iid: int
    note_id: int | None
    pipeline_id: int | None
    sha256: str | None
    problem: str | None
    failures: int
    next_ms: int | None
    written_ms: int | None


_COLUMNS = (
    _T.c.iid,
    _T.c.note_id,
    _T.c.note_pipeline_id,
    _T.c.note_sha256,
    _T.c.note_problem,
    _T.c.note_failures,
    _T.c.note_next_ms,
    _T.c.note_written_ms,
)


def get(tx: Transaction, iid: int) -> Post | None:
    query = sa.select(*_COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.iid == iid)
    row = tx.execute(query).one_or_none()
    return None if row is None else Post(*row)


def failed(tx: Transaction, *, limit: int = 100) -> list[Post]:
    """List the notes that could not be written, or were deleted, the newest merge request first."""
    query = sa.select(*_COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.note_problem.is_not(None))
    return [Post(*row) for row in tx.execute(query.order_by(_T.c.iid.desc()).limit(limit))]


def claim(tx: Transaction, iid: int, *, lease: str, until: int) -> bool:
    """Take the right to post, which nobody else has then until it is given back or the time has come.

    One UPDATE, so that of several processes that try at once exactly one is told yes, on every database.
    """
    free = sa.or_(_T.c.note_lease.is_(None), _T.c.note_lease_until_ms <= tx.now, _T.c.note_lease == lease)
    where = (_T.c.project_id == tx.project_id, _T.c.iid == iid, free)
    taken = tx.execute(sa.update(_T).where(*where).values(note_lease=lease, note_lease_until_ms=until))
    return taken.rowcount == 1


def settle(tx: Transaction, iid: int, *, lease: str, **values: object) -> bool:
    """Give the right back, and keep what became of the note: columns without their `note_`. False when the right had
    gone to somebody else meanwhile, and nothing is kept.
    """
    columns = {f"note_{name}": value for name, value in values.items()}
    where = (_T.c.project_id == tx.project_id, _T.c.iid == iid, _T.c.note_lease == lease)
    kept = tx.execute(sa.update(_T).where(*where).values(note_lease=None, note_lease_until_ms=None, **columns))
    return kept.rowcount == 1


def want(tx: Transaction, iid: int, *, problem: str) -> None:
    """Have a note written again that somebody has deleted: forget it, and that it was deleted (`problem`)."""
    where = (_T.c.project_id == tx.project_id, _T.c.iid == iid, _T.c.note_problem == problem)
    tx.execute(sa.update(_T).where(*where).values(note_id=None, note_problem=None, note_sha256=None))

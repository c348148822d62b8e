"""Uploads in parts that are under way."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.upload


@dataclass(frozen=True, slots=True)
class Upload:
    id: str  # also the blob's, once it is complete
    path: str
    store_id: str  # what the file store calls it
    parts: int


def add(tx: Transaction, upload: Upload) -> None:
    row = {"id": upload.id, "path": upload.path, "store_id": upload.store_id, "parts": upload.parts}
    tx.execute(sa.insert(_T).values(project_id=tx.project_id, created_ms=tx.now, **row))


def get(tx: Transaction, upload_id: str) -> Upload | None:
    query = _uploads(tx.project_id).where(_T.c.id == upload_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else Upload(row.id, row.path, row.store_id, row.parts)


def remove(tx: Transaction, upload_id: str) -> bool:
    """End an upload; False if somebody else has ended it."""
    gone = sa.delete(_T).where(_T.c.project_id == tx.project_id, _T.c.id == upload_id)
    return tx.execute(gone.returning(_T.c.id)).first() is not None


def count(tx: Transaction) -> int:
    """Count a project's uploads that are under way."""
    query = sa.select(sa.func.count()).select_from(_T).where(_T.c.project_id == tx.project_id)
    found: int = tx.execute(query).scalar_one()
    return found


def begun_before(tx: Transaction, moment: int) -> list[Upload]:
    query = _uploads(tx.project_id).where(_T.c.created_ms <= moment).order_by(_T.c.created_ms, _T.c.id)
    return [Upload(row.id, row.path, row.store_id, row.parts) for row in tx.execute(query)]


def _uploads(project_id: ProjectId) -> sa.Select[tuple[str, str, str, int]]:
    return sa.select(_T.c.id, _T.c.path, _T.c.store_id, _T.c.parts).where(_T.c.project_id == project_id)

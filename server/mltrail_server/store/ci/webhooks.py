"""When webhooks came last."""

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.webhook


def received(tx: Transaction, *, kind: str) -> None:
    row = {"project_id": tx.project_id, "kind": kind, "received_ms": tx.now}
    tx.upsert(_T, [row], update=["received_ms"])


def last(tx: Transaction) -> dict[str, int]:
    """Tell when each kind of event came last, in milliseconds since the epoch."""
    query = sa.select(_T.c.kind, _T.c.received_ms).where(_T.c.project_id == tx.project_id)
    return {row.kind: row.received_ms for row in tx.execute(query.order_by(_T.c.kind))}

"""When webhooks came last."""

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.statements import upsert

_T = schema.webhook


def received(connection: sa.Connection, project_id: ProjectId, *, kind: str, now: int) -> None:
    row = {"project_id": project_id, "kind": kind, "received_ms": now}
    upsert(connection, _T, [row], update=["received_ms"])


def last(connection: sa.Connection, project_id: ProjectId) -> dict[str, int]:
    """Tell when each kind of event came last, in milliseconds since the epoch."""
    query = sa.select(_T.c.kind, _T.c.received_ms).where(_T.c.project_id == project_id)
    return {row.kind: row.received_ms for row in connection.execute(query.order_by(_T.c.kind))}

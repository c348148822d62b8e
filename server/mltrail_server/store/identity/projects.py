"""Projects that have used this server, and when GitLab's webhooks last came for them."""

from collections.abc import Sequence

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

DEFAULT_EXPERIMENT = 0


def ensure(tx: Transaction, *, path: str) -> None:
    """Add the project if it is new, with MLflow's default experiment "0"."""
    tx.upsert(
        schema.project,
        [{"project_id": tx.project_id, "path": path, "created_ms": tx.now}],
        update=["path"],
    )
    default = {
        "project_id": tx.project_id,
        "iid": DEFAULT_EXPERIMENT,
        "name": "Default",
        "stage": Stage.ACTIVE,
        "created_ms": tx.now,
        "updated_ms": tx.now,
    }
    tx.upsert(schema.experiment, [default])


def path_of(tx: Transaction) -> str | None:
    table = schema.project
    return tx.execute(sa.select(table.c.path).where(table.c.project_id == tx.project_id)).scalar()


def ids(connection: sa.Connection) -> list[ProjectId]:
    """List every project that has used this server, for cleaning up, which goes from project to project."""
    query = sa.select(schema.project.c.project_id).order_by(schema.project.c.project_id)
    return [ProjectId(one) for one in connection.execute(query).scalars()]


def known(connection: sa.Connection, project_ids: Sequence[ProjectId] | None) -> list[tuple[ProjectId, str]]:
    """List number and path of these projects, or of all that have used this server, by number."""
    table = schema.project
    query = sa.select(table.c.project_id, table.c.path).order_by(table.c.project_id)
    if project_ids is not None:
        query = query.where(table.c.project_id.in_(project_ids))
    return [(ProjectId(number), path or str(number)) for number, path in connection.execute(query)]


def webhook_received(tx: Transaction, *, kind: str) -> None:
    table = schema.webhook
    row = {"project_id": tx.project_id, "kind": kind, "received_ms": tx.now}
    tx.upsert(table, [row], update=["received_ms"])


def last_webhooks(tx: Transaction) -> dict[str, int]:
    """Return when each kind of event last came, in milliseconds since the epoch."""
    table = schema.webhook
    query = sa.select(table.c.kind, table.c.received_ms).where(table.c.project_id == tx.project_id)
    return {row.kind: row.received_ms for row in tx.execute(query.order_by(table.c.kind))}

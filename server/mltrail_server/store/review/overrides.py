"""Who has let which broken rules of a merge request pass, and why."""

import json

import sqlalchemy as sa

from mltrail_server.domain.threads import Override
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.gate_override


def of(tx: Transaction, iid: int) -> list[Override]:
    """List a merge request's overrides, the newest first."""
    query = (
        sa.select(_T.c.user_name, _T.c.reason, _T.c.rules)
        .where(_T.c.project_id == tx.project_id, _T.c.merge_request_iid == iid)
        .order_by(_T.c.pipeline_id.desc())
    )
    return [Override(row.user_name, row.reason, frozenset(json.loads(row.rules))) for row in tx.execute(query)]


def keep(tx: Transaction, iid: int, pipeline_id: int, override: Override) -> None:
    """Store an override; if the pipeline has one already, that one is kept."""
    row = {
        "project_id": tx.project_id,
        "merge_request_iid": iid,
        "pipeline_id": pipeline_id,
        "rules": json.dumps(sorted(override.rules)),
        "user_name": override.user_name,
        "reason": override.reason.replace("\0", "�"),
        "at_ms": tx.now,
    }
    tx.upsert(_T, [row])

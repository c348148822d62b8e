"""Assessments: what people and scorers say of traces."""

import json
from collections.abc import Sequence

import sqlalchemy as sa

from mltrail_server.domain.assessments import Assessment, Kind
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

_T = schema.assessment


def of_traces(tx: Transaction, trace_ids: Sequence[str]) -> dict[str, list[Assessment]]:
    """Fetch the assessments of several traces, the oldest first. One statement."""
    if not trace_ids:
        return {}
    query = sa.select(_T).where(_T.c.project_id == tx.project_id, _T.c.trace_id.in_(trace_ids))
    found: dict[str, list[Assessment]] = {}
    for row in tx.execute(query.order_by(_T.c.trace_id, _T.c.created_ms, _T.c.id)):
        found.setdefault(row.trace_id, []).append(_assessment(row))
    return found


def _assessment(row: Row) -> Assessment:
    return Assessment(
        id=row.id,
        trace_id=row.trace_id,
        name=row.name,
        kind=Kind(row.kind),
        value=json.loads(row.value),
        source_type=row.source_type,
        source_id=row.source_id,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        error=None if row.error is None else json.loads(row.error),
        rationale=row.rationale,
        metadata=json.loads(row.metadata) if row.metadata else {},
        span_id=row.span_id,
        overrides=row.overrides,
        valid=bool(row.valid),
        run_eid=row.run_eid,
        scorer_digest=row.scorer_digest,
        job_id=row.job_id,
        user_name=row.user_name,
    )

"""Assessments of traces by people and scorers."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.assessments import RUN_KEY, SCORER_DIGEST_KEY, Assessment, Kind
from mltrail_server.domain.traces import SESSION_KEY
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Row, Statement
from mltrail_server.store.db.transaction import Transaction

_T = schema.assessment
_PER_STATEMENT = 500
"""SQLite takes 32,766 values in one statement, and ids are sent one by one."""
_LONGEST_RUN, _LONGEST_DIGEST, _LONGEST_SESSION = 64, 128, 250
_CHANGEABLE = ("name", "value", "error", "rationale", "metadata", "run_eid", "scorer_digest", "session", "updated_ms")


_ANY = Statement(
    sa.select(sa.literal_column("1")).where(
        _T.c.project_id == sa.bindparam("project_id"), _T.c.trace_id == sa.bindparam("trace_id")
    )
)


def put(tx: Transaction, assessments: Iterable[Assessment]) -> None:
    """Store assessments. One that exists gets the new name, value, rationale and metadata."""
    tx.upsert(_T, [_values(tx, one) for one in assessments], update=_CHANGEABLE)


def get(tx: Transaction, trace_id: str, assessment_id: str, *, to_write: bool = False) -> Assessment | None:
    """Fetch one. With `to_write` nobody else changes it until the transaction ends."""
    query = _of_project(tx).where(_T.c.trace_id == trace_id, _T.c.id == assessment_id)
    row = tx.execute(query.with_for_update() if to_write else query).one_or_none()
    return None if row is None else _assessment(row)


def of_ids(tx: Transaction, ids: Sequence[str]) -> dict[str, Assessment]:
    """Fetch assessments of whatever traces, by their ids."""
    found: dict[str, Assessment] = {}
    for start in range(0, len(ids), _PER_STATEMENT):
        query = _of_project(tx).where(_T.c.id.in_(ids[start : start + _PER_STATEMENT]))
        found |= {row.id: _assessment(row) for row in tx.execute(query)}
    return found


def of_traces(tx: Transaction, trace_ids: Sequence[str]) -> dict[str, list[Assessment]]:
    """Fetch the assessments of several traces, the oldest first, also those that others have overridden."""
    found: dict[str, list[Assessment]] = {}
    if len(trace_ids) == 1 and tx.one(_ANY, trace_id=trace_ids[0]) is None:
        return found  # as when a trace has just been sent
    for start in range(0, len(trace_ids), _PER_STATEMENT):
        query = _of_project(tx).where(_T.c.trace_id.in_(trace_ids[start : start + _PER_STATEMENT]))
        for row in tx.execute(query.order_by(_T.c.trace_id, _T.c.created_ms, _T.c.id)):
            found.setdefault(row.trace_id, []).append(_assessment(row))
    return found


def count(tx: Transaction, trace_id: str) -> int:
    query = sa.select(sa.func.count()).where(_T.c.project_id == tx.project_id, _T.c.trace_id == trace_id)
    return int(tx.execute(query).scalar_one())


def is_overridden(tx: Transaction, trace_id: str, assessment_id: str) -> bool:
    """Return whether there is an assessment that overrides this one."""
    query = sa.select(sa.literal(1)).where(
        _T.c.project_id == tx.project_id, _T.c.trace_id == trace_id, _T.c.overrides == assessment_id
    )
    return tx.execute(query.limit(1)).first() is not None


def any_of_sessions(tx: Transaction) -> bool:
    """Return whether there is an assessment of a whole session."""
    query = sa.select(sa.literal(1)).where(_T.c.project_id == tx.project_id, _T.c.session > "")
    return tx.execute(query.limit(1)).first() is not None


def set_valid(tx: Transaction, trace_id: str, assessment_id: str, *, valid: bool) -> bool:
    """Return whether there is such an assessment."""
    where = (_T.c.project_id == tx.project_id, _T.c.trace_id == trace_id, _T.c.id == assessment_id)
    return tx.execute(sa.update(_T).where(*where).values(valid=valid)).rowcount > 0


def delete(tx: Transaction, trace_id: str, assessment_id: str) -> None:
    where = (_T.c.project_id == tx.project_id, _T.c.trace_id == trace_id, _T.c.id == assessment_id)
    tx.execute(sa.delete(_T).where(*where))


def _of_project(tx: Transaction) -> sa.Select[Any]:
    return sa.select(_T).where(_T.c.project_id == tx.project_id)


def _values(tx: Transaction, assessment: Assessment) -> dict[str, object]:
    return {
        "project_id": tx.project_id,
        "id": assessment.id,
        "trace_id": assessment.trace_id,
        "name": assessment.name,
        "kind": int(assessment.kind),
        "value": json.dumps(assessment.value),
        "error": _text(assessment.error),
        "source_type": assessment.source_type,
        "source_id": assessment.source_id,
        "rationale": assessment.rationale,
        "metadata": _text(assessment.metadata or None),
        "span_id": assessment.span_id,
        "overrides": assessment.overrides,
        "valid": assessment.valid,
        "run_eid": _key(assessment, RUN_KEY, _LONGEST_RUN),
        "scorer_digest": _key(assessment, SCORER_DIGEST_KEY, _LONGEST_DIGEST),
        "session": _key(assessment, SESSION_KEY, _LONGEST_SESSION),
        "job_id": assessment.job_id,
        "user_name": assessment.user_name,
        "created_ms": assessment.created_ms,
        "updated_ms": assessment.updated_ms,
    }


def _key(assessment: Assessment, key: str, longest: int) -> str | None:
    value = assessment.metadata.get(key)
    return value if value and len(value) <= longest else None


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
        metadata={} if row.metadata is None else json.loads(row.metadata),
        span_id=row.span_id,
        overrides=row.overrides,
        valid=bool(row.valid),
        run_eid=row.run_eid,
        scorer_digest=row.scorer_digest,
        job_id=row.job_id,
        user_name=row.user_name,
    )


def _text(value: object) -> str | None:
    return None if value is None else json.dumps(value)

"""The runs of traces, the traces of a run, and what is said of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.assessments import Assessment, Kind
from mltrail_server.domain.candidate import Stage
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

_LINK = schema.candidate_trace
_RUN = schema.candidate
_SAID = schema.assessment
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class TraceRun:
    """A run that a trace belongs to. `own`: linked by the run itself, so that it is evidence."""

    iid: int
    eid: str
    name: str
    own: bool


def runs_of(tx: Transaction, trace_ids: Sequence[str]) -> dict[str, list[TraceRun]]:
    """Fetch the runs of several traces in one statement, the first run first."""
    same = sa.and_(_RUN.c.project_id == _LINK.c.project_id, _RUN.c.iid == _LINK.c.candidate_iid)
    query = (
        sa.select(_LINK.c.trace_id, _RUN.c.iid, _RUN.c.eid, _RUN.c.name, _LINK.c.own)
        .join(_RUN, same)
        .where(_LINK.c.project_id == tx.project_id, _LINK.c.trace_id.in_(trace_ids))
        .order_by(_RUN.c.iid)
    )
    found: dict[str, list[TraceRun]] = {}
    for trace_id, iid, eid, name, own in tx.execute(query):
        found.setdefault(trace_id, []).append(TraceRun(iid, eid, name, bool(own)))
    return found


def assessments_of(tx: Transaction, trace_ids: Sequence[str]) -> dict[str, list[Assessment]]:
    """Fetch what is said of several traces, the oldest first."""
    found: dict[str, list[Assessment]] = {}
    for start in range(0, len(trace_ids), _AT_ONCE):
        query = (
            sa.select(_SAID)
            .where(_SAID.c.project_id == tx.project_id, _SAID.c.trace_id.in_(trace_ids[start : start + _AT_ONCE]))
            .order_by(_SAID.c.trace_id, _SAID.c.created_ms, _SAID.c.id)
        )
        for row in tx.execute(query):
            found.setdefault(row.trace_id, []).append(_assessment(row))
    return found


def evaluated(tx: Transaction, experiment_iid: int, *, limit: int) -> list[int]:
    """List the newest runs of an experiment that have traces of their own."""
    linked = sa.exists().where(
        _LINK.c.project_id == _RUN.c.project_id, _LINK.c.candidate_iid == _RUN.c.iid, _LINK.c.own
    )
    query = (
        sa.select(_RUN.c.iid)
        .where(
            _RUN.c.project_id == tx.project_id,
            _RUN.c.experiment_iid == experiment_iid,
            _RUN.c.stage == Stage.ACTIVE,
            linked,
        )
        .order_by(_RUN.c.iid.desc())
        .limit(limit)
    )
    return list(tx.execute(query).scalars())


def count_of_runs(tx: Transaction, candidate_iids: Iterable[int]) -> dict[int, int]:
    """Count the traces of several runs in one statement."""
    query = (
        sa.select(_LINK.c.candidate_iid, sa.func.count().label("traces"))
        .where(_LINK.c.project_id == tx.project_id, _LINK.c.candidate_iid.in_(sorted(candidate_iids)))
        .group_by(_LINK.c.candidate_iid)
    )
    return {row.candidate_iid: row.traces for row in tx.execute(query)}


def _assessment(row: Row) -> Assessment:
    metadata = _json(row.metadata)
    error = _json(row.error)
    return Assessment(
        id=row.id,
        trace_id=row.trace_id,
        name=row.name,
        kind=Kind(row.kind),
        value=_json(row.value),
        source_type=row.source_type,
        source_id=row.source_id,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        error=error if isinstance(error, dict) else None,
        rationale=row.rationale,
        metadata=metadata if isinstance(metadata, dict) else {},
        span_id=row.span_id,
        overrides=row.overrides,
        valid=bool(row.valid),
        run_eid=row.run_eid,
        scorer_digest=row.scorer_digest,
        job_id=row.job_id,
        user_name=row.user_name,
    )


def _json(text: str | None) -> Any:  # noqa: ANN401 - any JSON
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text

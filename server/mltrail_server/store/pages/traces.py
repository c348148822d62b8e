"""The runs of traces, and which runs and experiments have any."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_LINK = schema.candidate_trace
_RUN = schema.candidate
_TRACE = schema.trace


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


def newest_experiment(tx: Transaction) -> int | None:
    """Return the number of the experiment whose trace was stored last."""
    query = (
        sa.select(_TRACE.c.experiment_iid)
        .where(_TRACE.c.project_id == tx.project_id)
        .order_by(_TRACE.c.created_ms.desc())
        .limit(1)
    )
    found: int | None = tx.execute(query).scalar()
    return found


def evaluated(tx: Transaction, experiment_iid: int, *, limit: int) -> list[int]:
    """List the newest runs of an experiment that have traces of their own."""
    linked = sa.exists().where(
        _LINK.c.project_id == _RUN.c.project_id,
        _LINK.c.candidate_iid == _RUN.c.iid,
        _LINK.c.own,
        _LINK.c.deleted_by.is_(None),
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
    """Count the traces of several runs in one statement, without those that others have deleted."""
    there = _LINK.c.deleted_by.is_(None)
    query = (
        sa.select(_LINK.c.candidate_iid, sa.func.count().label("traces"))
        .where(_LINK.c.project_id == tx.project_id, _LINK.c.candidate_iid.in_(sorted(candidate_iids)), there)
        .group_by(_LINK.c.candidate_iid)
    )
    return {row.candidate_iid: row.traces for row in tx.execute(query)}

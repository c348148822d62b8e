"""Candidates that were removed for good, and who removed them: what was evidence is never just absent."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.tombstone


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What a report needs to know about a candidate that was removed. `tags` are those that its own jobs set."""

    candidate_iid: int
    pipeline_id: int
    experiment: str
    name: str
    tags: Mapping[str, str]
    state: str
    removed_by: str
    removed_ms: int


def add(tx: Transaction, stones: Iterable[Tombstone]) -> None:
    """Store tombstones; if a candidate has one already, that one is kept."""
    rows = [
        {
            "project_id": tx.project_id,
            "candidate_iid": one.candidate_iid,
            "pipeline_id": one.pipeline_id,
            "experiment": one.experiment,
            "name": one.name,
            "tags": json.dumps(dict(one.tags)),
            "state": one.state,
            "removed_by": one.removed_by,
            "removed_ms": one.removed_ms,
        }
        for one in stones
    ]
    tx.upsert(_T, rows)


def of_pipelines(tx: Transaction, pipeline_ids: Iterable[int]) -> dict[int, list[Tombstone]]:
    """Fetch the tombstones of pipelines, by pipeline and then by number."""
    query = sa.select(
        _T.c.candidate_iid,
        _T.c.pipeline_id,
        _T.c.experiment,
        _T.c.name,
        _T.c.tags,
        _T.c.state,
        _T.c.removed_by,
        _T.c.removed_ms,
    ).where(_T.c.project_id == tx.project_id, _T.c.pipeline_id.in_(list(pipeline_ids)))
    found: dict[int, list[Tombstone]] = {}
    rows = tx.execute(query.order_by(_T.c.pipeline_id, _T.c.candidate_iid))
    for iid, pipeline_id, experiment, name, tags, *rest in rows:
        found.setdefault(pipeline_id, []).append(Tombstone(iid, pipeline_id, experiment, name, json.loads(tags), *rest))
    return found


def of_candidate(tx: Transaction, candidate_iid: int) -> tuple[str, int] | None:
    """Return who has removed a candidate, and when; None if nobody has."""
    # Written as a range: otherwise SQLite would scan the whole project.
    query = sa.select(_T.c.removed_by, _T.c.removed_ms).where(
        _T.c.project_id == tx.project_id, _T.c.candidate_iid.between(candidate_iid, candidate_iid)
    )
    row = tx.execute(query.limit(1)).one_or_none()
    return None if row is None else (row.removed_by, row.removed_ms)

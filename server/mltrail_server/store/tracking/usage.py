"""How much a project holds, in one row per counter, so that checking a limit takes one statement and no count.

A row is made by one count when it is first needed; permanent deletion subtracts again with `add`.
"""

from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

BYTES = "used_bytes"
CANDIDATES = "used_candidates"
POINTS = "used_points"
TRACES = "used_traces"
ALL = (BYTES, CANDIDATES, POINTS, TRACES)

_T = schema.counter

_BLOB, _CANDIDATE, _METRIC = schema.blob, schema.candidate, schema.metric


def of(tx: Transaction, name: str) -> int | None:
    """Return what is in use; None if nobody has counted yet."""
    query = sa.select(_T.c.value).where(_T.c.project_id == tx.project_id, _T.c.name == name)
    return tx.execute(query).scalar()


def add(tx: Transaction, name: str, more: int) -> int | None:
    """Add to what is in use (or subtract), and return the result; None if nobody has counted yet."""
    statement = (
        sa.update(_T)
        .where(_T.c.project_id == tx.project_id, _T.c.name == name)
        .values(value=_T.c.value + more)
        .returning(_T.c.value)
    )
    return tx.execute(statement).scalar()


def count(tx: Transaction, name: str) -> int:
    """Count what exists, this transaction's own rows included, and store it."""
    used: int = tx.execute(_counting(tx.project_id, name)).scalar_one()
    tx.upsert(_T, [{"project_id": tx.project_id, "name": name, "value": used}], update=["value"])
    return used


def _counting(project_id: ProjectId, name: str) -> sa.Select[Any]:
    if name == BYTES:
        total = sa.cast(sa.func.coalesce(sa.func.sum(_BLOB.c.size), 0), sa.BigInteger)
        return sa.select(total).where(_BLOB.c.project_id == project_id)
    table = {CANDIDATES: _CANDIDATE, POINTS: _METRIC, TRACES: schema.trace}[name]
    return sa.select(sa.func.count()).select_from(table).where(table.c.project_id == project_id)

"""Runs that were imported, for a comparison that the contract lets rest on them."""

from collections.abc import Sequence

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking.candidates import COLUMNS, Candidate, candidate_of

_T = schema.candidate


def newest(tx: Transaction, experiment_iids: Sequence[int], *, limit: int) -> list[Candidate]:
    """List the imported candidates of experiments that have finished and are not deleted, those begun last first."""
    query = sa.select(*COLUMNS).where(
        _T.c.project_id == tx.project_id,
        _T.c.experiment_iid.in_(list(experiment_iids)),
        _T.c.stage == Stage.ACTIVE,
        _T.c.origin_id.is_not(None),
        _T.c.status == Status.FINISHED,
    )
    rows = tx.execute(query.order_by(_T.c.started_ms.desc(), _T.c.iid.desc()).limit(limit))
    return [candidate_of(row) for row in rows]

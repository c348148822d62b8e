"""Which metrics of some runs have curves."""

from collections.abc import Sequence

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.planner import unindexed
from mltrail_server.store.db.transaction import Transaction

_KEY = schema.metric_key
_LATEST = schema.latest_metric


def names(tx: Transaction, candidate_iids: Sequence[int]) -> list[str]:
    """List the names of the metrics that one of these candidates has logged at a step after the first."""
    ids = sa.select(unindexed(_LATEST.c.key_id)).where(
        _LATEST.c.project_id == tx.project_id, _LATEST.c.candidate_iid.in_(candidate_iids), _LATEST.c.step > 0
    )
    query = sa.select(_KEY.c.name).where(_KEY.c.project_id == tx.project_id, _KEY.c.id.in_(ids.distinct()))
    return list(tx.execute(query.order_by(_KEY.c.name)).scalars())

"""Which merge requests a test set has judged."""

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.case_use


def counts(tx: Transaction, test_sets: Collection[str], iid: int) -> dict[str, tuple[int, bool]]:
    """Count the merge requests that each test set had judged when it judged this one, this one included; and tell
    whether that is stored. The number does not grow with later merge requests, so that no note changes by itself.
    """
    own = _T.alias("own")
    at = (
        sa.select(own.c.at_ms)
        .where(own.c.project_id == _T.c.project_id, own.c.test_set == _T.c.test_set)
        .where(own.c.merge_request_iid == iid)
        .correlate(_T)
        .scalar_subquery()
    )
    query = (
        sa.select(_T.c.test_set, sa.func.count(), sa.func.max(sa.case((_T.c.merge_request_iid == iid, 1), else_=0)))
        .where(_T.c.project_id == tx.project_id, _T.c.test_set.in_(sorted(test_sets)))
        .where(sa.or_(at.is_(None), _T.c.at_ms <= at))
        .group_by(_T.c.test_set)
    )
    found = {test_set: (judged + (not stored), bool(stored)) for test_set, judged, stored in tx.execute(query)}
    return {test_set: found.get(test_set, (1, False)) for test_set in test_sets}


def keep(tx: Transaction, test_sets: Iterable[str], iid: int) -> None:
    """Note that test sets have judged a merge request. What is known stays as it is."""
    rows = [
        {"project_id": tx.project_id, "test_set": test_set, "merge_request_iid": iid, "at_ms": tx.now}
        for test_set in sorted(test_sets)
    ]
    tx.upsert(_T, rows)

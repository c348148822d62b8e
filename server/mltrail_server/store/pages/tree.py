"""Children and their parents, as the tag `mlflow.parentRunId` says.

A run is folded under its parent if the parent is in the same experiment and in the same view, and either has the lower
number or no parent itself. The last makes every circle of parents end at a run that is listed on its own, and still
folds runs under a parent that was made later.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.run_tags import PARENT_TAG
from mltrail_server.store import schema
from mltrail_server.store.db.planner import looked_up, unindexed
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking.candidates import COLUMNS, Candidate, candidate_of

_T = schema.candidate
_TAG = schema.candidate_tag


def is_child(stages: Sequence[Stage]) -> sa.ColumnElement[bool]:
    """Check whether a candidate is folded under its parent, by three look-ups."""
    tag, parent = _TAG.alias(), _T.alias()
    named = sa.and_(parent.c.project_id == tag.c.project_id, parent.c.eid == tag.c.value)
    return looked_up(
        sa.select(sa.literal(1))
        .select_from(tag.join(parent, named))
        .where(
            tag.c.project_id == _T.c.project_id,
            tag.c.candidate_iid == _T.c.iid,
            tag.c.key == PARENT_TAG,
            *_folds(parent, _T, stages),
        )
        .correlate(_T)
    )


def counts(tx: Transaction, parents: Sequence[int], stages: Sequence[Stage], *, most: int) -> dict[int, int]:
    """Count the children of some candidates, each up to one more than `most`. One statement."""
    parent = _T.alias()
    children = _children_of(parent, stages).with_only_columns(sa.literal(1).label("one")).limit(most + 1)
    counted = sa.select(sa.func.count()).select_from(children.correlate(parent).subquery()).scalar_subquery()
    query = sa.select(parent.c.iid, counted).where(parent.c.project_id == tx.project_id, parent.c.iid.in_(parents))
    return {iid: count for iid, count in tx.execute(query) if count}


def of(tx: Transaction, parents: Sequence[int], stages: Sequence[Stage], *, most: int) -> dict[int, list[Candidate]]:
    """Fetch the children of some candidates, those with the highest numbers first: of each parent's last `most`, those
    that are in view. One statement.
    """
    parent, last = _T.alias(), _TAG.alias()
    start = sa.func.substr(parent.c.eid, 1, schema.VALUE_START)
    least = (
        sa.select(last.c.candidate_iid)
        .where(
            last.c.project_id == parent.c.project_id,
            last.c.key == PARENT_TAG,
            schema.is_indexed(last),
            last.c.value_start.between(start, start),
        )
        .order_by(last.c.value_start.desc(), last.c.candidate_iid.desc())
        .limit(1)
        .offset(most - 1)
        .correlate(parent)
        .scalar_subquery()
    )
    query = (
        _children_of(parent, stages)
        .add_columns(parent.c.iid.label("parent_iid"))
        .where(
            parent.c.project_id == tx.project_id,
            parent.c.iid.in_(parents),
            _TAG.c.candidate_iid >= sa.func.coalesce(least, 0),
        )
        .order_by(_TAG.c.candidate_iid.desc())
    )
    found: dict[int, list[Candidate]] = {}
    for row in tx.execute(query):
        found.setdefault(row.parent_iid, []).append(candidate_of(row))
    return found


def _children_of(parent: sa.FromClause, stages: Sequence[Stage]) -> sa.Select[Any]:
    # Children are found by the tag's value, and then each by its number.
    same = sa.and_(_T.c.project_id == _TAG.c.project_id, _T.c.iid == unindexed(_TAG.c.candidate_iid))
    start = sa.func.substr(parent.c.eid, 1, schema.VALUE_START)
    return (
        sa.select(*COLUMNS)
        .select_from(_TAG.join(_T, same))
        .where(
            _TAG.c.project_id == parent.c.project_id,
            _TAG.c.key == PARENT_TAG,
            schema.is_indexed(_TAG),
            _TAG.c.value_start.between(start, start),
            _TAG.c.value == parent.c.eid,
            unindexed(_T.c.stage).in_(stages),
            *_folds(parent, _T, stages),
        )
    )


def _folds(parent: sa.FromClause, child: sa.FromClause, stages: Sequence[Stage]) -> list[sa.ColumnElement[bool]]:
    """Check whether a parent folds one of those that name it."""
    above = _TAG.alias()
    has_parent = sa.select(sa.literal(1)).where(
        above.c.project_id == parent.c.project_id, above.c.candidate_iid == parent.c.iid, above.c.key == PARENT_TAG
    )
    return [
        unindexed(parent.c.experiment_iid) == unindexed(child.c.experiment_iid),
        unindexed(parent.c.stage).in_(stages),
        parent.c.iid != unindexed(child.c.iid),
        sa.or_(unindexed(parent.c.iid) < unindexed(child.c.iid), ~looked_up(has_parent.correlate(parent))),
    ]

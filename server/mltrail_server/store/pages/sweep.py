"""All matching runs of an experiment with one metric, and what was logged to some of them, read by columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.filters import Clause
from mltrail_server.store import schema
from mltrail_server.store.db.planner import unindexed
from mltrail_server.store.db.statements import is_in
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking.metrics import NAN
from mltrail_server.store.tracking.search import Also
from mltrail_server.store.tracking.search_clauses import key_id, matches

from .tables import job_failed

_T = schema.candidate
_KEY = schema.metric_key
_LATEST = schema.latest_metric
_PARAM = schema.param

MatchingRun = tuple[int, int, int, float | None]
"""Number, status, 1 if its job failed, and the metric's latest value: None if there is none, or NaN."""


def matching(
    tx: Transaction,
    experiment_iid: int,
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    *,
    also: Also,
    metric: str,
    most: int,
) -> list[MatchingRun]:
    """List the newest runs that match, up to one more than `most`."""
    joined = sa.and_(
        _LATEST.c.project_id == _T.c.project_id,
        _LATEST.c.candidate_iid == _T.c.iid,
        _LATEST.c.key_id == key_id(tx.project_id, metric),
    )
    # Looked up for those runs only that would count.
    failed = sa.case((sa.and_(_T.c.status == Status.FINISHED, job_failed(tx.project_id)), 1), else_=0)
    value = sa.case((_LATEST.c.is_nan, None), else_=_LATEST.c.value)
    query = (
        sa.select(_T.c.iid, _T.c.status, failed, value)
        .select_from(_T.outerjoin(_LATEST, joined))
        .where(
            _T.c.project_id == tx.project_id,
            _T.c.experiment_iid == experiment_iid,
            _T.c.stage.in_(stages),
            *(matches(clause, tx.project_id) for clause in clauses),
            *also.conditions,
            *([] if also.few is None else [_T.c.iid.in_(also.few)]),
        )
        .order_by(_T.c.started_ms.desc(), _T.c.eid)
        .limit(most + 1)
    )
    return _rows(tx, query)


def param_counts(tx: Transaction, candidate_iids: Sequence[int]) -> dict[str, tuple[int, bool]]:
    """Return for each parameter of some runs how many have it, and whether its values differ."""
    key = unindexed(_PARAM.c.key).label("name")
    differs = sa.func.min(_PARAM.c.value) != sa.func.max(_PARAM.c.value)
    query = (
        sa.select(key, sa.func.count(), differs)
        .where(_PARAM.c.project_id == tx.project_id, is_in(_PARAM.c.candidate_iid, "iids", tx.dialect))
        .group_by(key)
    )
    rows = tx.execute(query, {"iids": tx.listed(candidate_iids)})
    return {name: (count, bool(differs)) for name, count, differs in rows}


def params(
    tx: Transaction, candidate_iids: Sequence[int], names: Sequence[str], *, longest: int
) -> dict[str, list[str | None]]:
    """Fetch parameters by columns, in the order of the runs: None where one is not set. Long values are cut."""
    place = {iid: number for number, iid in enumerate(candidate_iids)}
    found: dict[str, list[str | None]] = {name: [None] * len(place) for name in names}
    query = sa.select(_PARAM.c.candidate_iid, _PARAM.c.key, sa.func.substr(_PARAM.c.value, 1, longest)).where(
        _PARAM.c.project_id == tx.project_id,
        is_in(_PARAM.c.candidate_iid, "iids", tx.dialect),
        unindexed(_PARAM.c.key).in_(names),
    )
    for iid, name, value in _rows(tx, query, {"iids": tx.listed(candidate_iids)}):
        found[name][place[iid]] = value
    return found


def metrics(tx: Transaction, candidate_iids: Sequence[int], names: Sequence[str]) -> dict[str, list[float | None]]:
    """Fetch the latest values of metrics by columns, in the order of the runs."""
    place = {iid: number for number, iid in enumerate(candidate_iids)}
    found: dict[str, list[float | None]] = {name: [None] * len(place) for name in names}
    if not names:
        return found
    named = sa.and_(_KEY.c.project_id == _LATEST.c.project_id, _KEY.c.id == unindexed(_LATEST.c.key_id))
    query = (
        sa.select(_LATEST.c.candidate_iid, _KEY.c.name, _LATEST.c.value, _LATEST.c.is_nan)
        .select_from(_LATEST.join(_KEY, named))
        .where(
            _LATEST.c.project_id == tx.project_id,
            is_in(_LATEST.c.candidate_iid, "iids", tx.dialect),
            _KEY.c.name.in_(names),
        )
    )
    for iid, name, value, is_nan in _rows(tx, query, {"iids": tx.listed(candidate_iids)}):
        found[name][place[iid]] = NAN if is_nan else value
    return found


def names(tx: Transaction, candidate_iids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Fetch the names and the MLflow run ids of runs."""
    query = sa.select(_T.c.iid, _T.c.name, _T.c.eid).where(
        _T.c.project_id == tx.project_id, is_in(_T.c.iid, "iids", tx.dialect)
    )
    rows = tx.execute(query, {"iids": tx.listed(candidate_iids)})
    return {iid: (name, eid) for iid, name, eid in rows}


def _rows(tx: Transaction, query: sa.Select[*tuple[Any, ...]], given: Mapping[str, object] | None = None) -> list[Any]:
    """Fetch the driver's own rows: making SQLAlchemy's of a hundred thousand would take longer than the query."""
    with tx.execute(query, given) as result:
        return list(result.cursor.fetchall())

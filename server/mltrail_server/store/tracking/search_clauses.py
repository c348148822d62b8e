"""Filters and orders of a run search as SQL. Orders by a metric put numbers first, then NaN, then runs without it,
whatever the direction.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Status
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.reasons import Reason
from mltrail_server.store import schema
from mltrail_server.store.db.filters import NUMBER_OPERATORS, begins_with, compare_number, compare_text
from mltrail_server.store.db.paging import Arrangement, Sorted
from mltrail_server.store.db.planner import as_range, by_key

_T = schema.candidate
_KEY = schema.metric_key
_LATEST = schema.latest_metric

NUMBERS: dict[str, sa.ColumnElement[Any]] = {
    "start_time": _T.c.started_ms,
    "end_time": _T.c.ended_ms,
    "created": _T.c.started_ms,
    "Created": _T.c.started_ms,
}
TEXTS: dict[str, sa.ColumnElement[Any]] = {
    "run_id": _T.c.eid,
    "run_name": _T.c.name,
    "user_id": _T.c.user_name,
    "experiment_id": sa.cast(_T.c.experiment_iid, sa.Text),
    "artifact_uri": sa.func.coalesce(
        _T.c.elsewhere,
        sa.literal("mlflow-artifacts:/") + sa.cast(_T.c.experiment_iid, sa.Text) + "/" + _T.c.eid + "/artifacts",
    ),
    "status": sa.case({status: status.name for status in Status}, value=_T.c.status, else_=Status.RUNNING.name),
}


def matches(clause: Clause, project_id: ProjectId, *, each: bool = False) -> sa.ColumnElement[bool]:
    """Turn a clause into a condition on the candidate that one index lookup decides. With `each`, PostgreSQL looks it
    up for each candidate, see `by_key`; otherwise it may join all candidates with all rows.
    """
    if clause.entity is Entity.METRIC:
        number = key_id(project_id, clause.key)
        return _exists(_LATEST, number, newest_value(clause), each=each)
    if clause.entity in _PAIRS:
        table = _PAIRS[clause.entity]
        there = _exists(table, clause.key, pair_value(table, clause), each=each)
        return ~there if clause.operator == "IS NULL" else there
    return _dataset(clause) if clause.entity is Entity.DATASET else _attribute(clause)


def newest_value(clause: Clause) -> sa.ColumnElement[bool]:
    """Turn a metric's clause into a condition on its latest value."""
    if clause.operator not in NUMBER_OPERATORS:
        raise invalid(f"Invalid comparison '{clause.operator}' for metrics.{clause.key}; use one of = != > >= < <=.")
    value = compare_number(_LATEST.c.value, clause)
    # NaN, which is stored as 0 with a mark, differs from every number and is neither above nor below one.
    return _LATEST.c.is_nan | value if clause.operator == "!=" else ~_LATEST.c.is_nan & value


def pair_value(table: sa.Table, clause: Clause) -> sa.ColumnElement[bool]:
    """Turn a parameter's or tag's clause into a condition on its row; that of IS NULL is on the row that is missing."""
    if clause.operator in ("IS NULL", "IS NOT NULL"):
        return sa.true()
    if clause.operator not in ("=", "!=", "LIKE", "ILIKE"):
        raise invalid(
            f"Invalid comparison '{clause.operator}' for {clause.entity}s.{clause.key}; "
            "use one of =, !=, LIKE, ILIKE, IS NULL, IS NOT NULL."
        )
    return compare_text(table.c.value, clause)


def start_of_value(table: sa.Table, clause: Clause) -> sa.ColumnElement[bool] | None:
    """Turn a clause on a parameter or tag into a range of the index of values that holds every match; None if that
    would be all values.
    """
    if clause.operator not in ("=", "LIKE") or not isinstance(clause.value, str):
        return None
    if clause.operator == "=":
        return as_range(table.c.value_start, clause.value[: schema.VALUE_START])
    return begins_with(table.c.value_start, clause.value, most=schema.VALUE_START)


def _attribute(clause: Clause) -> sa.ColumnElement[bool]:
    key = "run_name" if clause.key.lower() == "run name" else clause.key
    if key in NUMBERS:
        return compare_number(NUMBERS[key], clause)
    if key in TEXTS:
        if clause.operator in ("IN", "NOT IN") and key != "run_id":
            raise invalid(
                f"Invalid clause: IN is possible for run_id only, not for {key}; use =, LIKE or several searches."
            )
        return compare_text(TEXTS[key], clause)
    known = ", ".join(sorted({*NUMBERS, *TEXTS} - {"Created"}))
    choices = f"Valid keys are {known}; metrics, params and tags need their prefix, for example metrics.loss."
    raise invalid(Reason.FILTER_KEY, entity="attribute", key=clause.key, choices=choices)


def _dataset(clause: Clause) -> sa.ColumnElement[bool]:
    link, dataset, tag = schema.candidate_dataset, schema.dataset, schema.candidate_dataset_tag
    if clause.key == "context":
        owned = (tag.c.project_id == _T.c.project_id, tag.c.candidate_iid == _T.c.iid)
        of_context = (tag.c.key == "mlflow.data.context", compare_text(tag.c.value, clause))
        return sa.select(sa.literal(1)).where(*owned, *of_context).correlate(_T).exists()
    if clause.key not in ("name", "digest"):
        raise invalid(f"Invalid dataset attribute '{clause.key}'; use dataset.name, dataset.digest or dataset.context.")
    join = (dataset.c.project_id == link.c.project_id) & (dataset.c.id == link.c.dataset_id)
    inner = sa.select(sa.literal(1)).select_from(link.join(dataset, join))
    return inner.where(
        link.c.project_id == _T.c.project_id,
        link.c.candidate_iid == _T.c.iid,
        compare_text(dataset.c[clause.key], clause),
    ).exists()


_FIRST_STEP = -(2**63)
Key = str | sa.ScalarSelect[int]
"""A parameter's or tag's key, or the query of a metric's number."""
_PAIRS = {Entity.PARAM: schema.param, Entity.TAG: schema.candidate_tag}


def _exists(table: sa.Table, key: Key, condition: sa.ColumnElement[bool], *, each: bool) -> sa.ColumnElement[bool]:
    """Return whether a candidate has a row with this key that meets a condition."""
    owner = (_T.c.project_id, _T.c.iid)
    if each:
        return by_key(table, *owner, key).where(condition).correlate(_T).exists()
    same = [column == value for column, value in zip(table.primary_key, (*owner, key), strict=True)]
    return sa.select(sa.literal(1)).select_from(table).where(*same, condition).correlate(_T).exists()


def key_id(project_id: ProjectId, name: str) -> sa.ScalarSelect[int]:
    """Look a metric's number up, once per statement; for an unknown metric it is NULL, which equals nothing."""
    return sa.select(_KEY.c.id).where(_KEY.c.project_id == project_id, _KEY.c.name == name).scalar_subquery()


_COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    **NUMBERS,
    **TEXTS,
    # GitLab's names, which its clients send as one text.
    "created_at": _T.c.started_ms,
    "updated_at": sa.func.coalesce(_T.c.ended_ms, _T.c.started_ms),
    "name": _T.c.name,
    "id": _T.c.iid,
}
NUMBER, NAN, MISSING = 0, 1, 2
"""The ranks of a metric's value, whatever the direction."""

NEWEST = (Sorted(_T.c.started_ms, descending=True), Sorted(_T.c.eid))
"""The newest first, which is also how ties are broken."""


def arrangement(orders: Sequence[Order], project_id: ProjectId, *, each: bool = False) -> Arrangement:
    """Arrange by some orders. With `each`, PostgreSQL looks up what each candidate is sorted by, as in `matches`."""
    made = Arrangement()
    for order in orders:
        _add(made, order, project_id, each=each)
    made.columns.extend(NEWEST)
    return made


def is_newest_first(orders: Sequence[Order]) -> bool:
    """Return whether an order is the one that the index of the newest candidates has."""
    if len(orders) != 1:
        return not orders
    first = orders[0]
    return first.entity is Entity.ATTRIBUTE and first.descending and _COLUMNS.get(first.key) is _T.c.started_ms


def _add(made: Arrangement, order: Order, project_id: ProjectId, *, each: bool) -> None:
    if order.entity is Entity.METRIC:
        latest = _joined(made, _LATEST, key_id(project_id, order.key), each=each)
        rank = sa.case((latest.c.is_nan.is_(None), MISSING), (latest.c.is_nan, NAN), else_=NUMBER)
        made.columns.extend((Sorted(rank), Sorted(sa.func.coalesce(latest.c.value, 0.0), order.descending)))
    elif order.entity in _PAIRS:
        pair = _joined(made, _PAIRS[order.entity], order.key, each=each)
        rank = sa.case((pair.c.value.is_(None), 1), else_=0)
        made.columns.extend((Sorted(rank), Sorted(sa.func.coalesce(pair.c.value, ""), order.descending)))
    else:
        column = _column(order)
        if column is _T.c.ended_ms:
            made.columns.append(Sorted(sa.case((column.is_(None), 1), else_=0)))
            column = sa.func.coalesce(column, 0)
        made.columns.append(Sorted(column, order.descending))


def _joined(made: Arrangement, table: sa.Table, key: Key, *, each: bool) -> sa.FromClause:
    """Join each candidate's row with this key, if it has one."""
    owner = (_T.c.project_id, _T.c.iid)
    row: sa.FromClause
    same: sa.ColumnElement[bool]
    if each:
        query = by_key(table, *owner, key)
        if table is _LATEST:
            # Always true: only so that the index of values lacks a column, since those that nobody uses don't count.
            query = query.where(_LATEST.c.step >= _FIRST_STEP)
        row, same = query.lateral(), sa.true()
    else:
        row = table.alias()
        same = sa.and_(*(row.c[one.name] == value for one, value in zip(table.primary_key, (*owner, key), strict=True)))
    made.joins.append((row, same))
    return row


def _column(order: Order) -> sa.ColumnElement[Any]:
    column = _COLUMNS.get(order.key) if order.entity is Entity.ATTRIBUTE else None
    if column is None:
        known = ", ".join(sorted(_COLUMNS.keys() - {"Created"}))
        choices = f"sort by one of {known}, or by metrics.…, params.…, tags.…"
        raise invalid(Reason.ORDER_KEY, key=order.key, choices=choices)
    return column

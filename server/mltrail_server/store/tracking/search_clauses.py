"""Filters and orders of a run search as SQL. Orders by a metric put numbers first, then NaN, then runs without it,
whatever the direction.
"""

from collections.abc import Callable, Sequence
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
from mltrail_server.store.db.planner import as_range

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


def matches(clause: Clause, project_id: ProjectId) -> sa.ColumnElement[bool]:
    """Turn a clause into a condition on the candidate that one index lookup decides."""
    return _metric(clause, project_id) if clause.entity is Entity.METRIC else _MATCHERS[clause.entity](clause)


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
    """Turn a parameter's or tag's clause into a range of the index of values that holds all that it matches; None if
    that would be all values.
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


def _metric(clause: Clause, project_id: ProjectId) -> sa.ColumnElement[bool]:
    return _exists(_LATEST, _LATEST.c.key_id == key_id(project_id, clause.key), newest_value(clause))


def _pair(table: sa.Table) -> Callable[[Clause], sa.ColumnElement[bool]]:
    def matches(clause: Clause) -> sa.ColumnElement[bool]:
        there = _exists(table, table.c.key == clause.key, pair_value(table, clause))
        return ~there if clause.operator == "IS NULL" else there

    return matches


def _dataset(clause: Clause) -> sa.ColumnElement[bool]:
    link, dataset, tag = schema.candidate_dataset, schema.dataset, schema.candidate_dataset_tag
    if clause.key == "context":
        return _exists(tag, tag.c.key == "mlflow.data.context", compare_text(tag.c.value, clause))
    if clause.key not in ("name", "digest"):
        raise invalid(f"Invalid dataset attribute '{clause.key}'; use dataset.name, dataset.digest or dataset.context.")
    join = (dataset.c.project_id == link.c.project_id) & (dataset.c.id == link.c.dataset_id)
    inner = sa.select(sa.literal(1)).select_from(link.join(dataset, join))
    return inner.where(
        link.c.project_id == _T.c.project_id,
        link.c.candidate_iid == _T.c.iid,
        compare_text(dataset.c[clause.key], clause),
    ).exists()


_MATCHERS = {
    Entity.ATTRIBUTE: _attribute,
    Entity.PARAM: _pair(schema.param),
    Entity.TAG: _pair(schema.candidate_tag),
    Entity.DATASET: _dataset,
}


def _exists(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    inner = sa.select(sa.literal(1)).select_from(table)
    owned = (table.c.project_id == _T.c.project_id, table.c.candidate_iid == _T.c.iid)
    return inner.where(*owned, *conditions).correlate(_T).exists()


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


def arrangement(orders: Sequence[Order], project_id: ProjectId) -> Arrangement:
    made = Arrangement()
    for order in orders:
        _add(made, order, project_id)
    made.columns.extend(NEWEST)
    return made


def is_newest_first(orders: Sequence[Order]) -> bool:
    """Return whether an order is the one that the index of the newest candidates has."""
    if len(orders) != 1:
        return not orders
    first = orders[0]
    return first.entity is Entity.ATTRIBUTE and first.descending and _COLUMNS.get(first.key) is _T.c.started_ms


def _add(made: Arrangement, order: Order, project_id: ProjectId) -> None:
    if order.entity is Entity.METRIC:
        latest = schema.latest_metric.alias()
        joined = sa.and_(
            latest.c.project_id == _T.c.project_id,
            latest.c.candidate_iid == _T.c.iid,
            latest.c.key_id == key_id(project_id, order.key),
        )
        made.joins.append((latest, joined))
        rank = sa.case((latest.c.is_nan.is_(None), MISSING), (latest.c.is_nan, NAN), else_=NUMBER)
        made.columns.extend((Sorted(rank), Sorted(sa.func.coalesce(latest.c.value, 0.0), order.descending)))
    elif order.entity in (Entity.PARAM, Entity.TAG):
        table = (schema.param if order.entity is Entity.PARAM else schema.candidate_tag).alias()
        joined = sa.and_(
            table.c.project_id == _T.c.project_id, table.c.candidate_iid == _T.c.iid, table.c.key == order.key
        )
        made.joins.append((table, joined))
        rank = sa.case((table.c.value.is_(None), 1), else_=0)
        made.columns.extend((Sorted(rank), Sorted(sa.func.coalesce(table.c.value, ""), order.descending)))
    else:
        column = _column(order)
        if column is _T.c.ended_ms:
            made.columns.append(Sorted(sa.case((column.is_(None), 1), else_=0)))
            column = sa.func.coalesce(column, 0)
        made.columns.append(Sorted(column, order.descending))


def _column(order: Order) -> sa.ColumnElement[Any]:
    column = _COLUMNS.get(order.key) if order.entity is Entity.ATTRIBUTE else None
    if column is None:
        known = ", ".join(sorted(_COLUMNS.keys() - {"Created"}))
        choices = f"sort by one of {known}, or by metrics.…, params.…, tags.…"
        raise invalid(Reason.ORDER_KEY, key=order.key, choices=choices)
    return column

"""Search candidates: MLflow's filters and orders as SQL that walks indexes.

Two steps: one statement finds the page's candidates, then a fixed number of statements fetches what belongs to them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.ids import ProjectId

from . import schema
from .candidates import COLUMNS, Candidate, candidate_of
from .compare import NUMBER_OPERATORS, compare_number, compare_text
from .paging import Sorted, page, token_of

_T = schema.candidate
_KEY = schema.metric_key
_LATEST = schema.latest_metric

_NUMBERS: dict[str, sa.ColumnElement[Any]] = {
    "start_time": _T.c.started_ms,
    "end_time": _T.c.ended_ms,
    "created": _T.c.started_ms,
}
_TEXTS: dict[str, sa.ColumnElement[Any]] = {
    "run_id": _T.c.eid,
    "run_name": _T.c.name,
    "run name": _T.c.name,
    "user_id": _T.c.user_name,
    "experiment_id": sa.cast(_T.c.experiment_iid, sa.Text),
    "artifact_uri": sa.literal("mlflow-artifacts:/")
    + sa.cast(_T.c.experiment_iid, sa.Text)
    + "/"
    + _T.c.eid
    + "/artifacts",
    "status": sa.case({status: status.name for status in Status}, value=_T.c.status, else_=Status.RUNNING.name),
}
_ALIASES = {"Created": "created", "start time": "start_time", "Run name": "run_name", "Start Time": "start_time"}


@dataclass(frozen=True, slots=True)
class Found:
    candidates: list[Candidate]
    next_token: str | None


def search(
    connection: sa.Connection,
    project_id: ProjectId,
    *,
    experiment_iids: Sequence[int],
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    limit: int,
    token: str | None,
) -> Found:
    """Find a page of candidates, in one statement. Newest first where the orders leave a tie."""
    query = (
        sa.select(*COLUMNS)
        .select_from(_T)
        .where(
            _T.c.project_id == project_id,
            _T.c.experiment_iid.in_(experiment_iids)
            if len(experiment_iids) != 1
            else _T.c.experiment_iid == experiment_iids[0],
            _T.c.stage.in_(stages) if len(stages) != 1 else _T.c.stage == stages[0],
            *(_matches(clause) for clause in clauses),
        )
    )
    order: list[Sorted] = []
    for one in orders:
        query, columns = _sorted(query, one)
        order += columns
    order += [Sorted(_T.c.started_ms, descending=True), Sorted(_T.c.eid)]
    rows = connection.execute(page(query, order, limit=limit, token=token)).all()
    shown = rows[:limit]
    return Found([candidate_of(row) for row in shown], token_of(shown[-1], order) if len(rows) > limit else None)


def _matches(clause: Clause) -> sa.ColumnElement[bool]:
    return _MATCHERS[clause.entity](clause)


def _attribute(clause: Clause) -> sa.ColumnElement[bool]:
    key = _ALIASES.get(clause.key, clause.key)
    if key in _NUMBERS:
        return compare_number(_NUMBERS[key], clause)
    if key in _TEXTS:
        if clause.operator in ("IN", "NOT IN") and key != "run_id":
            raise invalid(
                f"Invalid clause: IN is possible for run_id only, not for {key}; use =, LIKE or several searches."
            )
        return compare_text(_TEXTS[key], clause)
    known = ", ".join(sorted({*_NUMBERS, *_TEXTS} - {"run name"}))
    raise invalid(
        f"Invalid attribute key '{clause.key}' specified. Valid keys are {known}; "
        "metrics, params and tags need their prefix, for example metrics.loss."
    )


def _metric(clause: Clause) -> sa.ColumnElement[bool]:
    if clause.operator not in NUMBER_OPERATORS:
        raise invalid(f"Invalid comparison '{clause.operator}' for metrics.{clause.key}; use one of = != > >= < <=.")
    value = compare_number(_LATEST.c.value, clause)
    # NaN, which stands as 0 beside a mark, differs from every number and is neither above nor below one.
    matches = _LATEST.c.is_nan | value if clause.operator == "!=" else ~_LATEST.c.is_nan & value
    return _exists(_LATEST, _LATEST.c.key_id == _key_id(clause.key), matches)


def _pair(table: sa.Table) -> Callable[[Clause], sa.ColumnElement[bool]]:
    def matches(clause: Clause) -> sa.ColumnElement[bool]:
        if clause.operator in ("IS NULL", "IS NOT NULL"):
            there = _exists(table, table.c.key == clause.key)
            return ~there if clause.operator == "IS NULL" else there
        if clause.operator not in ("=", "!=", "LIKE", "ILIKE"):
            raise invalid(
                f"Invalid comparison '{clause.operator}' for {clause.entity}s.{clause.key}; "
                "use one of =, !=, LIKE, ILIKE, IS NULL, IS NOT NULL."
            )
        return _exists(table, table.c.key == clause.key, compare_text(table.c.value, clause))

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
    Entity.METRIC: _metric,
    Entity.PARAM: _pair(schema.param),
    Entity.TAG: _pair(schema.candidate_tag),
    Entity.DATASET: _dataset,
}


def _exists(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    inner = sa.select(sa.literal(1)).select_from(table)
    owned = (table.c.project_id == _T.c.project_id, table.c.candidate_iid == _T.c.iid)
    return inner.where(*owned, *conditions).correlate(_T).exists()


def _key_id(name: str) -> sa.ScalarSelect[int]:
    query = sa.select(_KEY.c.id).where(_KEY.c.project_id == _T.c.project_id, _KEY.c.name == name)
    return query.correlate(_T).scalar_subquery()


def _sorted(query: sa.Select[Any], order: Order) -> tuple[sa.Select[Any], list[Sorted]]:
    """Sort by one thing: numbers, then NaN, then what has none, whichever the direction."""
    key = _ALIASES.get(order.key, order.key)
    if order.entity is Entity.METRIC:
        latest = _LATEST.alias()
        joined = sa.and_(
            latest.c.project_id == _T.c.project_id,
            latest.c.candidate_iid == _T.c.iid,
            latest.c.key_id == _key_id(order.key),
        )
        rank = sa.case((latest.c.is_nan.is_(None), 2), (latest.c.is_nan, 1), else_=0)
        value = sa.func.coalesce(latest.c.value, 0.0)
        return query.outerjoin(latest, joined), [Sorted(rank), Sorted(value, order.descending)]
    if order.entity in (Entity.PARAM, Entity.TAG):
        table = (schema.param if order.entity is Entity.PARAM else schema.candidate_tag).alias()
        joined = sa.and_(
            table.c.project_id == _T.c.project_id, table.c.candidate_iid == _T.c.iid, table.c.key == order.key
        )
        rank = sa.case((table.c.value.is_(None), 1), else_=0)
        return query.outerjoin(table, joined), [
            Sorted(rank),
            Sorted(sa.func.coalesce(table.c.value, ""), order.descending),
        ]
    column = _NUMBERS.get(key, _TEXTS.get(key))
    if order.entity is Entity.DATASET or column is None:
        raise invalid(
            f"Invalid order_by key '{order.key}'; sort by an attribute such as start_time, or by metrics.…, params.…, "
            "tags.…"
        )
    if key != "end_time":
        return query, [Sorted(column, order.descending)]
    rank = sa.case((column.is_(None), 1), else_=0)
    return query, [Sorted(rank), Sorted(sa.func.coalesce(column, 0), order.descending)]

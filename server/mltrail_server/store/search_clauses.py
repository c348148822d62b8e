"""Clauses of a run's filter as SQL conditions."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Status
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity
from mltrail_server.domain.ids import ProjectId

from . import schema
from .compare import NUMBER_OPERATORS, compare_number, compare_text

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
    """Turn a clause into a condition on the candidate, which an index lookup decides."""
    return _metric(clause, project_id) if clause.entity is Entity.METRIC else _MATCHERS[clause.entity](clause)


def newest_value(clause: Clause) -> sa.ColumnElement[bool]:
    """Turn a metric's clause into a condition on its latest value."""
    if clause.operator not in NUMBER_OPERATORS:
        raise invalid(f"Invalid comparison '{clause.operator}' for metrics.{clause.key}; use one of = != > >= < <=.")
    value = compare_number(_LATEST.c.value, clause)
    # NaN, which stands as 0 beside a mark, differs from every number and is neither above nor below one.
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
    raise invalid(
        f"Invalid attribute key '{clause.key}' specified. Valid keys are {known}; "
        "metrics, params and tags need their prefix, for example metrics.loss."
    )


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
    """Look a metric's number up, once a statement; an unknown one is NULL, which equals nothing."""
    return sa.select(_KEY.c.id).where(_KEY.c.project_id == project_id, _KEY.c.name == name).scalar_subquery()

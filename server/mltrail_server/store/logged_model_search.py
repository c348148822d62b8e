"""Filters and orders of logged models as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity

from . import schema
from .compare import compare_number, compare_text
from .logged_models import ModelStatus
from .paging import Sorted

_T = schema.logged_model
_METRIC = schema.logged_model_metric
_NUMBERS: dict[str, sa.ColumnElement[Any]] = {
    "creation_timestamp": _T.c.created_ms,
    "creation_timestamp_ms": _T.c.created_ms,
    "creation_time": _T.c.created_ms,
    "last_updated_timestamp": _T.c.updated_ms,
    "last_updated_timestamp_ms": _T.c.updated_ms,
}
_TEXTS: dict[str, sa.ColumnElement[Any]] = {
    "name": _T.c.name,
    "model_id": _T.c.model_id,
    "model_type": _T.c.model_type,
    "experiment_id": sa.cast(_T.c.experiment_iid, sa.String),
    "source_run_id": _T.c.source_eid,
    "status": sa.case({status: status.name for status in ModelStatus}, value=_T.c.status, else_=""),
}
_PAIRS = {Entity.TAG: schema.logged_model_tag, Entity.PARAM: schema.logged_model_param}


@dataclass(frozen=True, slots=True)
class MeasuredOn:
    """A dataset that metrics were measured on; any digest when there is none."""

    name: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by an attribute, or by `metrics.<key>`: the model's newest value of it, on `dataset` when that is given."""

    field: str
    ascending: bool = True
    dataset: MeasuredOn | None = None


def conditions(clauses: Sequence[Clause], datasets: Sequence[MeasuredOn]) -> list[sa.ColumnElement[bool]]:
    """Turn a filter into SQL. `datasets` restrict its metrics, or want any metric on one of them when it has none."""
    found = [_condition(clause, datasets) for clause in clauses]
    if datasets and not any(clause.entity is Entity.METRIC for clause in clauses):
        found.append(_exists(_METRIC, _on(datasets)))
    return found


def order(wish: Order) -> list[Sorted]:
    if wish.field.startswith("metrics."):
        newest = _newest(wish.field.removeprefix("metrics."), [wish.dataset] if wish.dataset else [])
        missing = sa.case((newest.is_(None), 1), else_=0)
        return [Sorted(missing), Sorted(sa.func.coalesce(newest, 0.0), not wish.ascending)]
    column = _NUMBERS.get(wish.field, _TEXTS.get(wish.field))
    if column is None:
        raise _unknown(wish.field)
    return [Sorted(column, not wish.ascending)]


def _condition(clause: Clause, datasets: Sequence[MeasuredOn]) -> sa.ColumnElement[bool]:
    if clause.entity in _PAIRS:
        table = _PAIRS[clause.entity]
        return _exists(table, table.c.key == clause.key, compare_text(table.c.value, clause))
    if clause.entity is Entity.METRIC:
        return compare_number(_newest(clause.key, datasets), clause)
    if clause.entity is Entity.ATTRIBUTE and clause.key in _NUMBERS:
        return compare_number(_NUMBERS[clause.key], clause)
    if clause.entity is Entity.ATTRIBUTE and clause.key in _TEXTS:
        return compare_text(_TEXTS[clause.key], clause)
    raise _unknown(clause.key)


def _newest(key: str, datasets: Sequence[MeasuredOn]) -> sa.ColumnElement[Any]:
    """Select a model's value of the last step; NULL for NaN, which no comparison takes and orders put last."""
    return (
        sa.select(sa.case((_METRIC.c.is_nan, None), else_=_METRIC.c.value))
        .where(
            _METRIC.c.project_id == _T.c.project_id,
            _METRIC.c.model_id == _T.c.model_id,
            _METRIC.c.beside.is_(sa.false()),
            _METRIC.c.key == key,
            _on(datasets),
        )
        .order_by(_METRIC.c.step.desc(), _METRIC.c.timestamp_ms.desc(), _METRIC.c.eid)
        .limit(1)
        .correlate(_T)
        .scalar_subquery()
    )


def _on(datasets: Sequence[MeasuredOn]) -> sa.ColumnElement[bool]:
    if not datasets:
        return sa.true()
    return sa.or_(
        *(
            sa.and_(
                _METRIC.c.dataset_name == one.name,
                _METRIC.c.dataset_digest == one.digest if one.digest else sa.true(),
            )
            for one in datasets
        )
    )


def _exists(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    owned = (table.c.project_id == _T.c.project_id, table.c.model_id == _T.c.model_id)
    return sa.select(sa.literal(1)).select_from(table).where(*owned, *conditions).correlate(_T).exists()


def _unknown(key: str) -> Exception:
    known = ", ".join(sorted({*_NUMBERS, *_TEXTS}))
    return invalid(f"Logged models have no attribute '{key}'; they have {known}, and metrics., params. and tags.")

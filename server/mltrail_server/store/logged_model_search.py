"""Filters and orders of logged models as SQL."""

from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity

from . import schema
from .compare import compare_number, compare_text
from .logged_models import ModelStatus
from .paging import Sorted

_T = schema.logged_model
_NUMBERS: dict[str, sa.ColumnElement[Any]] = {
    "creation_timestamp": _T.c.created_ms,
    "creation_time": _T.c.created_ms,
    "last_updated_timestamp": _T.c.updated_ms,
}
_TEXTS: dict[str, sa.ColumnElement[Any]] = {
    "name": _T.c.name,
    "model_id": _T.c.model_id,
    "model_type": _T.c.model_type,
    "source_run_id": _T.c.source_eid,
    "status": sa.case({status: status.name for status in ModelStatus}, value=_T.c.status, else_=""),
}
_PAIRS = {Entity.TAG: schema.logged_model_tag, Entity.PARAM: schema.logged_model_param}


def condition(clause: Clause) -> sa.ColumnElement[bool]:
    if clause.entity in _PAIRS:
        table = _PAIRS[clause.entity]
        return _exists(table, table.c.key == clause.key, compare_text(table.c.value, clause))
    if clause.entity is Entity.METRIC:
        table = schema.logged_model_metric
        return _exists(table, table.c.key == clause.key, ~table.c.is_nan, compare_number(table.c.value, clause))
    if clause.entity is Entity.ATTRIBUTE and clause.key in _NUMBERS:
        return compare_number(_NUMBERS[clause.key], clause)
    if clause.entity is Entity.ATTRIBUTE and clause.key in _TEXTS:
        return compare_text(_TEXTS[clause.key], clause)
    raise _unknown(clause.key)


def order(field: str, *, ascending: bool) -> list[Sorted]:
    """Sort by an attribute or by `metrics.<key>` (the highest value that the model has of it)."""
    if field.startswith("metrics."):
        table = schema.logged_model_metric
        best = (
            sa.select(sa.func.max(table.c.value))
            .where(
                table.c.project_id == _T.c.project_id,
                table.c.model_id == _T.c.model_id,
                table.c.key == field.removeprefix("metrics."),
                ~table.c.is_nan,
            )
            .correlate(_T)
            .scalar_subquery()
        )
        missing = sa.case((best.is_(None), 1), else_=0)
        return [Sorted(missing), Sorted(sa.func.coalesce(best, 0.0), not ascending)]
    column = _NUMBERS.get(field, _TEXTS.get(field))
    if column is None:
        raise _unknown(field)
    return [Sorted(column, not ascending)]


def _exists(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    owned = (table.c.project_id == _T.c.project_id, table.c.model_id == _T.c.model_id)
    return sa.select(sa.literal(1)).select_from(table).where(*owned, *conditions).correlate(_T).exists()


def _unknown(key: str) -> Exception:
    known = ", ".join(sorted({*_NUMBERS, *_TEXTS}))
    return invalid(f"Logged models have no attribute '{key}'; they have {known}, and metrics., params. and tags.")

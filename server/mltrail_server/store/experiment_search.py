"""Search experiments."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.ids import ProjectId

from . import schema
from .compare import compare_number, compare_text
from .experiments import Experiment, tags_of
from .paging import Sorted, mark_of, page, written_token
from .prepared import Prepared

_T = schema.experiment
_TAG = schema.experiment_tag
_NUMBERS: dict[str, sa.ColumnElement[Any]] = {"creation_time": _T.c.created_ms, "last_update_time": _T.c.updated_ms}
_TEXTS: dict[str, sa.ColumnElement[Any]] = {"name": _T.c.name, "experiment_id": sa.cast(_T.c.iid, sa.Text)}
_ORDERS: dict[str, sa.ColumnElement[Any]] = {
    **_NUMBERS,
    "name": _T.c.name,
    "experiment_id": _T.c.iid,
    # GitLab's names, which its clients send as one text.
    "created_at": _T.c.created_ms,
    "updated_at": _T.c.updated_ms,
    "last_updated_timestamp": _T.c.updated_ms,
    "id": _T.c.iid,
}
_NEWEST = Sorted(_T.c.created_ms, descending=True)
_COLUMNS = sa.select(_T.c.iid, _T.c.name, _T.c.stage, _T.c.created_ms, _T.c.updated_ms, _T.c.artifact_location)
_WIDTH = len(_COLUMNS.selected_columns)
_FIRST_PAGE = Prepared(
    _COLUMNS.add_columns(_T.c.created_ms.label("sort_0"), _T.c.iid.label("sort_1"))
    .where(
        _T.c.project_id == sa.bindparam("project_id"),
        _T.c.stage.between(sa.bindparam("low"), sa.bindparam("high")),
    )
    .order_by(_T.c.created_ms.desc(), _T.c.iid.desc())
    .limit(sa.bindparam("most"))
)
"""What clients ask for when they are not asked for anything."""


def search(
    connection: sa.Connection,
    project_id: ProjectId,
    *,
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    limit: int,
    token: str | None,
) -> tuple[list[Experiment], str | None]:
    """Find a page of experiments with their tags, in two statements; the newest first where nothing else is said."""
    order = [*([_sorted(one) for one in orders] or [_NEWEST]), Sorted(_T.c.iid, descending=True)]
    mark = mark_of("experiments", [int(stage) for stage in stages], clauses, orders)
    if clauses or orders or token:
        query = _COLUMNS.where(
            _T.c.project_id == project_id, _T.c.stage.in_(stages), *(_matches(clause) for clause in clauses)
        )
        rows: Sequence[Sequence[Any]] = connection.execute(
            page(query, order, limit=limit, token=token, mark=mark)
        ).all()
    else:
        low, high = min(stages), max(stages)  # there are but two
        given = {"project_id": project_id, "low": int(low), "high": int(high), "most": limit + 1}
        rows = _FIRST_PAGE.all(connection, given)
    shown = rows[:limit]
    tags = tags_of(connection, project_id, [row[0] for row in shown]) if shown else {}
    found = [
        Experiment(iid, name, Stage(stage), created_ms, updated_ms, tags.get(iid, ()), location)
        for iid, name, stage, created_ms, updated_ms, location, *_ in shown
    ]
    return found, written_token(shown[-1][_WIDTH:], mark) if len(rows) > limit else None


def _matches(clause: Clause) -> sa.ColumnElement[bool]:
    if clause.entity is Entity.TAG:
        owned = (_TAG.c.project_id == _T.c.project_id, _TAG.c.experiment_iid == _T.c.iid, _TAG.c.key == clause.key)
        inner = sa.select(sa.literal(1)).select_from(_TAG).where(*owned)
        if clause.operator in ("IS NULL", "IS NOT NULL"):
            there = inner.correlate(_T).exists()
            return ~there if clause.operator == "IS NULL" else there
        return inner.where(compare_text(_TAG.c.value, clause)).correlate(_T).exists()
    if clause.entity is Entity.ATTRIBUTE and clause.key in _TEXTS:
        return compare_text(_TEXTS[clause.key], clause)
    if clause.entity is Entity.ATTRIBUTE and clause.key in _NUMBERS:
        return compare_number(_NUMBERS[clause.key], clause)
    raise invalid(
        f"Invalid {clause.entity} key '{clause.key}' specified. Experiments have name, experiment_id, "
        "creation_time, last_update_time and tags."
    )


def _sorted(order: Order) -> Sorted:
    column = _ORDERS.get(order.key) if order.entity is Entity.ATTRIBUTE else None
    if column is None:
        raise invalid(f"Invalid order_by key '{order.key}'; experiments sort by {', '.join(sorted(_ORDERS))}.")
    return Sorted(column, order.descending)

"""Experiments, their tags, and searching them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.pairs import NONE, Pairs
from mltrail_server.domain.reasons import Reason
from mltrail_server.store import schema
from mltrail_server.store.ci import jobs
from mltrail_server.store.db.filters import compare_number, compare_text
from mltrail_server.store.db.paging import Sorted, mark_of, page, written_token
from mltrail_server.store.db.statements import Query, Statement
from mltrail_server.store.db.transaction import Transaction

from .gathered import pairs

_T = schema.experiment
_TAG = schema.experiment_tag

_ROW = (_T.c.iid, _T.c.name, _T.c.stage, _T.c.created_ms, _T.c.updated_ms, _T.c.artifact_location)
_WIDTH = len(_ROW) + 1


def tags_of(iid: sa.ColumnElement[int], dialect: str) -> sa.ScalarSelect[str]:
    """Select the tags of an experiment as a column beside its number; `project_id` is a parameter."""
    return pairs(_TAG, dialect, _TAG.c.project_id == sa.bindparam("project_id"), _TAG.c.experiment_iid == iid)


def _rows(dialect: str, *added: sa.ColumnElement[Any]) -> Query:
    """Select experiments with their tags."""
    tags = tags_of(_T.c.iid, dialect).label("tags")
    return sa.select(*_ROW, tags, *added).where(_T.c.project_id == sa.bindparam("project_id"))


_BY_IID = Statement(lambda dialect: _rows(dialect).where(_T.c.iid == sa.bindparam("iid")))
_BY_NAME = Statement(lambda dialect: _rows(dialect).where(_T.c.name == sa.bindparam("name")))
_STAGE = Statement(
    sa.select(_T.c.stage, _T.c.artifact_location).where(
        _T.c.project_id == sa.bindparam("project_id"), _T.c.iid == sa.bindparam("iid")
    )
)


@dataclass(frozen=True, slots=True)
class Experiment:
    iid: int
    name: str
    stage: Stage
    created_ms: int
    updated_ms: int
    tags: Pairs = NONE
    artifact_location: str | None = None  # where clients store its runs' files, if elsewhere


def create(tx: Transaction, *, name: str, artifact_location: str | None = None) -> int | None:
    """Insert an experiment and return its number, or None if the name is taken."""
    iid = tx.next_number("experiment")
    values = {"project_id": tx.project_id, "iid": iid, "name": name, "stage": Stage.ACTIVE}
    values["artifact_location"] = artifact_location
    insert = tx.insert(_T).values(**values, created_ms=tx.now, updated_ms=tx.now)
    insert = insert.on_conflict_do_nothing(index_elements=[_T.c.project_id, _T.c.name])
    made: int | None = tx.execute(insert.returning(_T.c.iid)).scalar()
    return made


def get(tx: Transaction, iid: int) -> Experiment | None:
    return _one(tx, _BY_IID, iid=iid)


def stage_of(tx: Transaction, iid: int) -> tuple[Stage, str | None] | None:
    """Look up what a new run needs: the stage of its experiment, and where its files are stored, if elsewhere."""
    row = tx.one(_STAGE, iid=iid)
    return None if row is None else (Stage(row[0]), row[1])


def get_by_name(tx: Transaction, name: str) -> Experiment | None:
    return _one(tx, _BY_NAME, name=name)


def names_of(tx: Transaction, iids: Iterable[int]) -> dict[int, str]:
    query = sa.select(_T.c.iid, _T.c.name).where(_T.c.project_id == tx.project_id, _T.c.iid.in_(list(iids)))
    return {row.iid: row.name for row in tx.execute(query)}


def all_names(tx: Transaction) -> dict[int, str]:
    """Fetch the names of all experiments, deleted ones included, the newest first."""
    query = sa.select(_T.c.iid, _T.c.name).where(_T.c.project_id == tx.project_id).order_by(_T.c.iid.desc())
    return {row.iid: row.name for row in tx.execute(query)}


def change(tx: Transaction, iid: int, *, name: str | None = None, stage: Stage | None = None) -> None:
    changes: dict[str, object] = {"updated_ms": tx.now}
    if name is not None:
        changes["name"] = name
    if stage is not None:
        changes["stage"] = stage
    tx.execute(sa.update(_T).where(_T.c.project_id == tx.project_id, _T.c.iid == iid).values(**changes))


def change_candidates(tx: Transaction, iid: int, *, stage: Stage, but_promoted: bool) -> None:
    """Delete or restore all candidates of an experiment; `but_promoted` keeps those that a promoted version is based
    on.
    """
    table = schema.candidate
    deleted = tx.now if stage is Stage.DELETED else None
    where = [table.c.project_id == tx.project_id, table.c.experiment_iid == iid]
    if but_promoted and stage is Stage.DELETED:
        where.append(table.c.promoted.is_(sa.false()))
    tx.execute(sa.update(table).where(*where).values(stage=stage, deleted_ms=deleted))


def keep_name(tx: Transaction, iid: int, name: str) -> None:
    """Keep an experiment's name with the candidates that were logged under it, before it is renamed."""
    table = schema.candidate
    where = (table.c.project_id == tx.project_id, table.c.experiment_iid == iid, table.c.experiment_name.is_(None))
    tx.execute(sa.update(table).where(*where).values(experiment_name=name))


def discard(tx: Transaction, iid: int, *, job_id: int, discarded: bool) -> None:
    """Note that a job deletes or restores what it has itself logged to an experiment."""
    table = schema.candidate
    own = jobs.made_by(tx.project_id, job_id)
    where = (table.c.project_id == tx.project_id, table.c.experiment_iid == iid, table.c.iid.in_(own))
    tx.execute(sa.update(table).where(*where).values(discarded=discarded))


def set_tags(tx: Transaction, iid: int, tags: Iterable[tuple[str, str]]) -> None:
    rows = [
        {"project_id": tx.project_id, "experiment_iid": iid, "key": key, "value": value}
        for key, value in dict(tags).items()
    ]
    tx.upsert(_TAG, rows, update=["value"])


def delete_tag(tx: Transaction, iid: int, key: str) -> bool:
    """Remove a tag, and return whether it existed."""
    where = (_TAG.c.project_id == tx.project_id, _TAG.c.experiment_iid == iid, _TAG.c.key == key)
    return tx.execute(sa.delete(_TAG).where(*where)).rowcount > 0


def _one(tx: Transaction, query: Statement, **given: object) -> Experiment | None:
    row = tx.one(query, **given)
    return None if row is None else _experiment_of(row)


def _experiment_of(row: Sequence[Any]) -> Experiment:
    iid, name, stage, created_ms, updated_ms, artifact_location, tags, *_ = row
    return Experiment(iid, name, Stage(stage), created_ms, updated_ms, Pairs(tags) if tags else NONE, artifact_location)


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
_FIRST_PAGE = Statement(
    lambda dialect: (
        _rows(dialect, _T.c.created_ms.label("sort_0"), _T.c.iid.label("sort_1"))
        .where(_T.c.stage.between(sa.bindparam("low"), sa.bindparam("high")))
        .order_by(_T.c.created_ms.desc(), _T.c.iid.desc())
        .limit(sa.bindparam("most"))
    )
)
"""What clients request without a filter and an order."""


def search(
    tx: Transaction,
    *,
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    limit: int,
    token: str | None,
) -> tuple[list[Experiment], str | None]:
    """Find a page of experiments with their tags, in one statement; the newest first if `orders` is empty."""
    if clauses or orders or token:
        order = [*([_sorted(one) for one in orders] or [_NEWEST]), Sorted(_T.c.iid, descending=True)]
        query = _rows(tx.dialect).where(_T.c.stage.in_(stages), *(_matches(clause) for clause in clauses))
        query = page(query, order, limit=limit, token=token, mark=_mark(stages, clauses, orders))
        rows: Sequence[Sequence[Any]] = tx.execute(query, {"project_id": tx.project_id}).all()
    else:  # of the stages, there are but two
        rows = tx.all(_FIRST_PAGE, low=int(stages[0]), high=int(stages[-1]), most=limit + 1)
    found = list(map(_experiment_of, rows))
    if len(rows) <= limit:
        return found, None
    return found[:limit], written_token(rows[limit - 1][_WIDTH:], _mark(stages, clauses, orders))


def _mark(stages: Sequence[Stage], clauses: Sequence[Clause], orders: Sequence[Order]) -> str:
    return mark_of("experiments", [int(stage) for stage in stages], clauses, orders)


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
    choices = "Experiments have name, experiment_id, creation_time, last_update_time and tags."
    raise invalid(Reason.FILTER_KEY, entity=clause.entity, key=clause.key, choices=choices)


def _sorted(order: Order) -> Sorted:
    column = _ORDERS.get(order.key) if order.entity is Entity.ATTRIBUTE else None
    if column is None:
        choices = f"experiments sort by {', '.join(sorted(_ORDERS))}."
        raise invalid(Reason.ORDER_KEY, key=order.key, choices=choices)
    return Sorted(column, order.descending)

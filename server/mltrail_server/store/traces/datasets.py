"""Evaluation datasets, their tags and the experiments that they belong to. Their rows are in `records`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.evaluation_datasets import EvaluationDataset
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.reasons import Reason
from mltrail_server.store import schema
from mltrail_server.store.db.filters import compare_number, compare_text
from mltrail_server.store.db.paging import Sorted, mark_of, page, token_of
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

_T = schema.evaluation_dataset
_TAG = schema.evaluation_dataset_tag
_EXPERIMENT = schema.evaluation_dataset_experiment
_COLUMNS = (
    _T.c.id,
    _T.c.name,
    _T.c.digest,
    _T.c.created_ms,
    _T.c.updated_ms,
    _T.c.schema,
    _T.c.profile,
    _T.c.user_name,
    _T.c.updated_by,
)
_TEXTS: dict[str, sa.ColumnElement[Any]] = {
    "name": _T.c.name,
    # An unknown author matches no comparison, as in MLflow.
    "created_by": sa.func.nullif(_T.c.user_name, ""),
    "last_updated_by": sa.func.nullif(_T.c.updated_by, ""),
}
_NUMBERS: dict[str, sa.ColumnElement[Any]] = {"created_time": _T.c.created_ms, "last_update_time": _T.c.updated_ms}
_ORDERS = {"name": _T.c.name, **_NUMBERS}


def create(tx: Transaction, dataset: EvaluationDataset) -> None:
    values = {column.name: getattr(dataset, column.name) for column in _COLUMNS}
    tx.execute(sa.insert(_T).values(project_id=tx.project_id, **values))
    put_tags(tx, dataset.id, dataset.tags)


def get(tx: Transaction, dataset_id: str, *, to_write: bool = False) -> EvaluationDataset | None:
    """Fetch a dataset with its tags. With `to_write` nobody else changes it until the transaction ends."""
    query = sa.select(*_COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.id == dataset_id)
    row = tx.execute(query.with_for_update() if to_write else query).one_or_none()
    return None if row is None else _dataset(row, tags_of(tx, [dataset_id]).get(dataset_id, {}))


def change(tx: Transaction, dataset_id: str, **values: object) -> None:
    where = (_T.c.project_id == tx.project_id, _T.c.id == dataset_id)
    tx.execute(sa.update(_T).where(*where).values(**values))


def delete(tx: Transaction, dataset_id: str) -> None:
    """Delete a dataset with its records, tags and links."""
    tx.execute(sa.delete(_T).where(_T.c.project_id == tx.project_id, _T.c.id == dataset_id))


def put_tags(tx: Transaction, dataset_id: str, tags: Mapping[str, str]) -> None:
    owner = {"project_id": tx.project_id, "dataset_id": dataset_id}
    tx.upsert(_TAG, [owner | {"key": key, "value": value} for key, value in tags.items()], update=["value"])


def delete_tag(tx: Transaction, dataset_id: str, key: str) -> None:
    where = (_TAG.c.project_id == tx.project_id, _TAG.c.dataset_id == dataset_id, _TAG.c.key == key)
    tx.execute(sa.delete(_TAG).where(*where))


def tags_of(tx: Transaction, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    query = sa.select(_TAG.c.dataset_id, _TAG.c.key, _TAG.c.value).where(
        _TAG.c.project_id == tx.project_id, _TAG.c.dataset_id.in_(ids)
    )
    found: dict[str, dict[str, str]] = {}
    for dataset_id, key, value in tx.execute(query.order_by(_TAG.c.key)):
        found.setdefault(dataset_id, {})[key] = value
    return found


def experiments_of(tx: Transaction, dataset_id: str) -> list[int]:
    query = sa.select(_EXPERIMENT.c.experiment_iid).where(
        _EXPERIMENT.c.project_id == tx.project_id, _EXPERIMENT.c.dataset_id == dataset_id
    )
    return [row.experiment_iid for row in tx.execute(query.order_by(_EXPERIMENT.c.experiment_iid))]


def add_experiments(tx: Transaction, dataset_id: str, iids: Iterable[int]) -> None:
    owner = {"project_id": tx.project_id, "dataset_id": dataset_id}
    tx.upsert(_EXPERIMENT, [owner | {"experiment_iid": iid} for iid in dict.fromkeys(iids)])


def remove_experiments(tx: Transaction, dataset_id: str, iids: Sequence[int]) -> int:
    """Return how many of the experiments the dataset belonged to."""
    where = (
        _EXPERIMENT.c.project_id == tx.project_id,
        _EXPERIMENT.c.dataset_id == dataset_id,
        _EXPERIMENT.c.experiment_iid.in_(iids),
    )
    return tx.execute(sa.delete(_EXPERIMENT).where(*where)).rowcount


def search(
    tx: Transaction,
    *,
    experiment_iids: Sequence[int] | None,
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    limit: int,
    token: str | None,
) -> tuple[list[EvaluationDataset], str | None]:
    """Find a page of datasets with their tags, in two statements; the newest first unless `orders` says otherwise."""
    query = sa.select(*_COLUMNS).where(_T.c.project_id == tx.project_id, *(_matches(clause) for clause in clauses))
    if experiment_iids is not None:
        owned = (_EXPERIMENT.c.project_id == _T.c.project_id, _EXPERIMENT.c.dataset_id == _T.c.id)
        inner = sa.select(sa.literal(1)).where(*owned, _EXPERIMENT.c.experiment_iid.in_(experiment_iids))
        query = query.where(inner.correlate(_T).exists())
    order = [_sorted(one) for one in orders] or [Sorted(_T.c.created_ms, descending=True)]
    order.append(Sorted(_T.c.id, descending=True))
    mark = mark_of("evaluation datasets", experiment_iids, clauses, orders)
    rows = tx.execute(page(query, order, limit=limit, token=token, mark=mark)).all()
    shown = rows[:limit]
    tags = tags_of(tx, [row.id for row in shown]) if shown else {}
    found = [_dataset(row, tags.get(row.id, {})) for row in shown]
    return found, token_of(shown[-1], order, mark) if len(rows) > limit else None


def _matches(clause: Clause) -> sa.ColumnElement[bool]:
    if clause.operator in ("IS NULL", "IS NOT NULL"):
        raise invalid(f"Invalid comparison '{clause.operator}' for '{clause.key}'; use one of =, !=, LIKE, ILIKE.")
    if clause.entity is Entity.TAG:
        owned = (_TAG.c.project_id == _T.c.project_id, _TAG.c.dataset_id == _T.c.id, _TAG.c.key == clause.key)
        inner = sa.select(sa.literal(1)).select_from(_TAG).where(*owned, compare_text(_TAG.c.value, clause))
        return inner.correlate(_T).exists()
    if clause.entity is Entity.ATTRIBUTE and clause.key in _TEXTS:
        return compare_text(_TEXTS[clause.key], clause)
    if clause.entity is Entity.ATTRIBUTE and clause.key in _NUMBERS:
        return compare_number(_NUMBERS[clause.key], clause)
    choices = f"Filter by one of {', '.join([*_TEXTS, *_NUMBERS])}, or by tags."
    raise invalid(Reason.FILTER_KEY, entity=clause.entity, key=clause.key, choices=choices)


def _sorted(order: Order) -> Sorted:
    column = _ORDERS.get(order.key) if order.entity is Entity.ATTRIBUTE else None
    if column is None:
        raise invalid(Reason.ORDER_KEY, key=order.key, choices=f"datasets sort by {', '.join(_ORDERS)}.")
    return Sorted(column, order.descending)


def _dataset(row: Row, tags: dict[str, str]) -> EvaluationDataset:
    return EvaluationDataset(
        id=row.id,
        name=row.name,
        digest=row.digest,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        schema=row.schema,
        profile=row.profile,
        user_name=row.user_name,
        updated_by=row.updated_by,
        tags=tags,
    )

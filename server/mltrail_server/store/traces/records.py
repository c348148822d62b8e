"""The rows of evaluation datasets."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.evaluation_datasets import Record, inputs_digest
from mltrail_server.store import schema
from mltrail_server.store.db.paging import Sorted, mark_of, page, token_of
from mltrail_server.store.db.statements import Row
from mltrail_server.store.db.transaction import Transaction

_T = schema.evaluation_record
_MERGED = ("outputs", "expectations", "tags", "updated_by", "updated_ms")
_PER_STATEMENT = 10_000
"""SQLite takes 32,766 values in one statement."""


def put(tx: Transaction, records: Iterable[Record]) -> None:
    """Store records. Those that exist get the new outputs, expectations and tags."""
    tx.upsert(_T, [_values(tx, record) for record in records], update=_MERGED)


def by_inputs(tx: Transaction, dataset_id: str, digests: Sequence[str]) -> dict[str, Record]:
    """Find the records with these inputs (see `inputs_digest`), by digest."""
    found: dict[str, Record] = {}
    for start in range(0, len(digests), _PER_STATEMENT):
        query = _of(tx, dataset_id).where(_T.c.inputs_digest.in_(digests[start : start + _PER_STATEMENT]))
        found |= {row.inputs_digest: _record(row) for row in tx.execute(query)}
    return found


def count(tx: Transaction, dataset_id: str) -> int:
    query = sa.select(sa.func.count()).where(_T.c.project_id == tx.project_id, _T.c.dataset_id == dataset_id)
    return int(tx.execute(query).scalar_one())


def listed(tx: Transaction, dataset_id: str, *, limit: int, token: str | None) -> tuple[list[Record], str | None]:
    """Find a page of records, the oldest first."""
    order = [Sorted(_T.c.created_ms), Sorted(_T.c.id)]
    mark = mark_of("records", dataset_id)
    rows = tx.execute(page(_of(tx, dataset_id), order, limit=limit, token=token, mark=mark)).all()
    shown = rows[:limit]
    return [_record(row) for row in shown], token_of(shown[-1], order, mark) if len(rows) > limit else None


def delete(tx: Transaction, dataset_id: str, ids: Sequence[str]) -> int:
    """Return how many records were deleted."""
    deleted = 0
    for start in range(0, len(ids), _PER_STATEMENT):
        part = _T.c.id.in_(ids[start : start + _PER_STATEMENT])
        where = (_T.c.project_id == tx.project_id, _T.c.dataset_id == dataset_id, part)
        deleted += tx.execute(sa.delete(_T).where(*where)).rowcount
    return deleted


def _of(tx: Transaction, dataset_id: str) -> sa.Select[Any]:
    return sa.select(_T).where(_T.c.project_id == tx.project_id, _T.c.dataset_id == dataset_id)


def _values(tx: Transaction, record: Record) -> dict[str, object]:
    return {
        "project_id": tx.project_id,
        "dataset_id": record.dataset_id,
        "id": record.id,
        "inputs_digest": inputs_digest(record.inputs),
        "inputs": json.dumps(record.inputs),
        "outputs": _text(record.outputs),
        "expectations": _text(record.expectations),
        "tags": json.dumps(record.tags),
        "source": _text(record.source),
        "source_type": record.source_type,
        "source_id": record.source_id,
        "user_name": record.user_name,
        "updated_by": record.updated_by,
        "created_ms": record.created_ms,
        "updated_ms": record.updated_ms,
    }


def _record(row: Row) -> Record:
    return Record(
        id=row.id,
        dataset_id=row.dataset_id,
        inputs=json.loads(row.inputs),
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        outputs=_value(row.outputs),
        expectations=_value(row.expectations),
        tags=_value(row.tags) or {},
        source=_value(row.source),
        source_type=row.source_type,
        source_id=row.source_id,
        user_name=row.user_name,
        updated_by=row.updated_by,
    )


def _text(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _value(text: str | None) -> Any:  # noqa: ANN401 - any JSON
    return None if text is None else json.loads(text)

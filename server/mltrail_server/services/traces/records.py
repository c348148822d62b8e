"""Add, read and delete the rows of evaluation datasets."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mltrail_server.domain import limits
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.domain.evaluation_datasets import Record, digest_of, inputs_digest, profile_of, schema_with
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import stamp
from mltrail_server.store.traces import datasets as dataset_store
from mltrail_server.store.traces import records as store

from . import datasets, redact

MAX_PAGE = 10_000
SOURCE_TYPES = ("UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE")
_PARTS = ("expectations", "tags")


@dataclass(frozen=True, slots=True)
class Upserted:
    inserted: int
    updated: int


def upsert(scope: Scope, dataset_id: str, rows: Sequence[object]) -> Upserted:
    """Add rows as MLflow's clients send them. A row with the inputs of one that exists is merged into it: its outputs
    replace the old ones, and its expectations and tags are added to the old ones.

    Raises INVALID for a row that can't be read, and says which.
    """
    redactor = redact.of(scope)
    given = [redactor.json(_checked(row, place)) for place, row in enumerate(rows)]
    stamp.check_may_begin(scope)
    with scope.project.write() as tx:
        dataset = datasets.existing(tx, dataset_id, to_write=True)
        by_digest = [(inputs_digest(row.get("inputs", {})), row) for row in given]
        before = store.by_inputs(tx, dataset_id, list(dict(by_digest)))
        after, inserted = dict(before), 0
        for digest, row in by_digest:
            by = datasets.author(scope, row.get("tags") or {})
            old = after.get(digest)
            after[digest] = _new(dataset_id, row, tx.now, by) if old is None else _merged(old, row, tx.now, by)
            inserted += old is None
        _check_sizes(list(after.values()))
        store.put(tx, after.values())
        total = store.count(tx, dataset_id)
        if total > limits.MAX_RECORDS:
            raise MltrailError(
                Code.QUOTA,
                f"An evaluation dataset has at most {limits.MAX_RECORDS:,} records, and this one would have {total:,}. "
                "Nothing from this call was stored. Use a second dataset.",
            )
        dataset_store.change(
            tx,
            dataset_id,
            schema=schema_with(dataset.schema, given) if given else dataset.schema,
            profile=profile_of(total) if total else dataset.profile,
            digest=digest_of(dataset.name, tx.now),
            updated_ms=tx.now,
            updated_by=_last_author(scope, given),
        )
    return Upserted(inserted, len(given) - inserted)


def listed(scope: Scope, dataset_id: str, *, limit: int, token: str | None) -> tuple[list[Record], str | None]:
    """Return a page of a dataset's records, the oldest first; an unknown dataset has none."""
    if not 0 < limit <= MAX_PAGE:
        raise invalid(Reason.PAGE_SIZE, given=limit, most=MAX_PAGE)
    with scope.project.slow_read() as tx:
        return store.listed(tx, dataset_id, limit=limit, token=token)


def delete(scope: Scope, dataset_id: str, ids: Sequence[str]) -> int:
    """Delete records by their ids, and return how many there were. The dataset has another digest then."""
    stamp.check_may_begin(scope)
    with scope.project.write() as tx:
        dataset = dataset_store.get(tx, dataset_id, to_write=True)
        deleted = store.delete(tx, dataset_id, ids) if dataset is not None else 0
        if dataset is not None and deleted:
            profile, digest = profile_of(store.count(tx, dataset_id)), digest_of(dataset.name, tx.now)
            dataset_store.change(tx, dataset_id, profile=profile, digest=digest, updated_ms=tx.now)
    return deleted


def _checked(row: object, place: int) -> dict[str, Any]:
    """Check what a client sent as a record; its other fields are ignored."""
    if not isinstance(row, dict):
        raise invalid(f"records[{place}] must be an object with inputs, not {_shown(row)}.")
    for part in ("inputs", *_PARTS):
        value = row.get(part, {})
        if not isinstance(value, dict) and (value is not None or part == "inputs"):
            raise invalid(f"records[{place}].{part} must be an object, not {_shown(value)}.")
    return row | {"source": _source(row.get("source"), place)}


def _source(given: object, place: int) -> dict[str, Any] | None:
    if not given:
        return None
    kind = given.get("source_type") if isinstance(given, dict) else None
    data = given.get("source_data") if isinstance(given, dict) else None
    if not isinstance(kind, str) or kind.upper() not in SOURCE_TYPES or not isinstance(data or {}, dict):
        raise invalid(
            f"records[{place}].source must be an object with source_type, one of {', '.join(SOURCE_TYPES)}, and "
            f"source_data, an object; it is {_shown(given)}."
        )
    return {"source_type": kind.upper(), "source_data": data or {}}


def _new(dataset_id: str, row: Mapping[str, Any], now: int, by: str) -> Record:
    source = row["source"]
    data = source["source_data"] if source else {}
    source_id = data.get("trace_id" if source and source["source_type"] == "TRACE" else "source_id")
    return Record(
        id=f"dr-{uuid.uuid4().hex}",
        dataset_id=dataset_id,
        inputs=row.get("inputs", {}),
        created_ms=now,
        updated_ms=now,
        outputs=row.get("outputs", {}),
        expectations=row.get("expectations"),
        tags=row.get("tags") or {},
        source=source,
        source_type=source["source_type"] if source else None,
        source_id=None if source_id is None else str(source_id),
        user_name=by,
        updated_by=by,
    )


def _merged(old: Record, row: Mapping[str, Any], now: int, by: str) -> Record:
    more = row.get("expectations")
    return replace(
        old,
        outputs=row.get("outputs", old.outputs),
        expectations={**(old.expectations or {}), **more} if more else old.expectations,
        tags={**old.tags, **(row.get("tags") or {})},
        updated_ms=now,
        updated_by=by or old.updated_by,
    )


def _check_sizes(records: Sequence[Record]) -> None:
    for record in records:
        parts = (record.inputs, record.outputs, record.expectations, record.tags, record.source)
        size = sum(len(json.dumps(part)) for part in parts)
        if size > limits.MAX_RECORD:
            raise invalid(
                f"A record of an evaluation dataset has at most {limits.MAX_RECORD:,} characters as JSON; the one with "
                f"the inputs {_shown(record.inputs)} has {size:,}. Nothing from this call was stored."
            )


def _last_author(scope: Scope, rows: Sequence[Mapping[str, Any]]) -> str:
    authors = [datasets.author(scope, row.get("tags") or {}) for row in rows]
    return next((author for author in reversed(authors) if author), datasets.author(scope, {}))


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}…"

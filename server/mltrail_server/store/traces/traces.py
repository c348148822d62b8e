"""Traces, their tags and metadata."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.traces import Trace, TraceState
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Row, Statement, add_new
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import blobs

_T = schema.trace
_TAG = schema.trace_tag
_METADATA = schema.trace_metadata
_SPANS = schema.trace_spans
_OF_TRACE = (_TAG, _METADATA, schema.trace_prompt, _SPANS, schema.trace_span_name, schema.assessment)
"""What a trace is made of beside its row. Links to runs are kept, see `links`."""

_FIELDS = (
    "id",
    "experiment_iid",
    "state",
    "started_ms",
    "duration_ms",
    "client_request_id",
    "request_preview",
    "response_preview",
    "inputs_digest",
    "session",
    "end_user",
    "job_id",
    "pipeline_id",
    "protected",
    "user_name",
    "announced",
    "origin_id",
)
COLUMNS = tuple(_T.c[name] for name in _FIELDS)
MOST_AT_ONCE = 500
"""SQLite takes 32,766 values in one statement, and ids are sent one by one."""

_ADD = Statement(
    lambda dialect: add_new(dialect, _T).returning(_T.c.id), columns=("project_id", *_FIELDS, "created_ms")
)
_OF_PROJECT = _T.c.project_id == sa.bindparam("project_id")
_ONE = Statement(sa.select(*COLUMNS).where(_OF_PROJECT, _T.c.id == sa.bindparam("id")))
_LOCKED = Statement(sa.select(*COLUMNS).where(_OF_PROJECT, _T.c.id == sa.bindparam("id")).with_for_update())
_PAIRS = Statement(
    sa.union_all(
        *(
            sa.select(sa.literal_column(f"'{kind}'").label("kind"), table.c.key, table.c.value).where(
                table.c.project_id == sa.bindparam("project_id"), table.c.trace_id == sa.bindparam("id")
            )
            for kind, table in (("tag", _TAG), ("metadata", _METADATA))
        )
    ).order_by("kind", "key")
)
_EXISTS = Statement(
    sa.select(_T.c.id).where(_OF_PROJECT, _T.c.id == sa.bindparam("id")).with_for_update(read=True, key_share=True)
)


def add(tx: Transaction, trace: Trace) -> bool:
    """Store a trace with its tags and metadata. Returns False, and stores nothing, if there is one with its id."""
    values = {name: getattr(trace, name) for name in _FIELDS}
    values["state"] = int(trace.state)
    if not tx.all(_ADD, **values, created_ms=tx.now):
        return False
    put_tags(tx, trace.id, trace.tags)
    put_metadata(tx, trace.id, trace.metadata)
    return True


def get(tx: Transaction, trace_id: str) -> Trace | None:
    return _with_pairs(tx, tx.one(_ONE, id=trace_id))


def get_to_write(tx: Transaction, trace_id: str) -> Trace | None:
    """Fetch a trace, and let nobody else change it until the end of the transaction."""
    return _with_pairs(tx, tx.one(_LOCKED, id=trace_id))


def exists(tx: Transaction, trace_id: str) -> bool:
    """Return whether there is such a trace, which stays until the end of the transaction."""
    return tx.one(_EXISTS, id=trace_id) is not None


def imported_among(tx: Transaction, trace_ids: Sequence[str]) -> set[str]:
    """Return which of up to `MOST_AT_ONCE` traces were imported."""
    where = (_T.c.project_id == tx.project_id, _T.c.id.in_(trace_ids), _T.c.origin_id.is_not(None))
    return set(tx.execute(sa.select(_T.c.id).where(*where)).scalars())


def of_ids(tx: Transaction, trace_ids: Sequence[str]) -> list[Trace]:
    """Fetch several traces, in the order of their ids here; those that do not exist are left out. One that is named
    several times takes its last place, as in MLflow.
    """
    found: dict[str, Trace] = {}
    wanted = list(dict.fromkeys(reversed(trace_ids)))[::-1]
    for start in range(0, len(wanted), MOST_AT_ONCE):
        part = wanted[start : start + MOST_AT_ONCE]
        query = sa.select(*COLUMNS).where(_T.c.project_id == tx.project_id, _T.c.id.in_(part))
        found |= {one.id: one for one in with_pairs(tx, list(tx.execute(query)))}
    return [found[one] for one in wanted if one in found]


def with_pairs(tx: Transaction, rows: Sequence[Row]) -> list[Trace]:
    """Make traces of rows that begin with `COLUMNS`, with their tags and metadata: two statements."""
    ids = [row.id for row in rows]
    tags, metadata = _pairs_of(tx, _TAG, ids), _pairs_of(tx, _METADATA, ids)
    return [_trace(tuple(row), tags.get(row.id, {}), metadata.get(row.id, {})) for row in rows]


def change(tx: Transaction, trace_id: str, **values: object) -> None:
    if isinstance(values.get("state"), TraceState):
        values["state"] = int(values["state"])  # type: ignore[call-overload] # the check is in the line above
    tx.run(_change(tuple(values)), id=trace_id, **{f"new_{name}": value for name, value in values.items()})


def put_tags(tx: Transaction, trace_id: str, tags: Mapping[str, str]) -> None:
    """Store tags; a key that exists gets the new value."""
    tx.upsert(_TAG, _pairs(tx, trace_id, tags), update=["value"])


def delete_tag(tx: Transaction, trace_id: str, key: str) -> bool:
    """Remove a tag, and return whether it existed."""
    where = (_TAG.c.project_id == tx.project_id, _TAG.c.trace_id == trace_id, _TAG.c.key == key)
    return tx.execute(sa.delete(_TAG).where(*where)).rowcount > 0


def put_metadata(tx: Transaction, trace_id: str, metadata: Mapping[str, str], *, only_missing: bool = False) -> None:
    """Store metadata; a key that exists gets the new value, or keeps its own with `only_missing`."""
    tx.upsert(_METADATA, _pairs(tx, trace_id, metadata), update=() if only_missing else ["value"])


@dataclass(frozen=True, slots=True)
class Selection:
    """Which traces: those that match all that is given. Times are milliseconds since the epoch, by the client's clock
    for when a trace started, and by ours for when it was stored.
    """

    experiment_iid: int | None = None
    ids: Sequence[str] | None = None
    started_until_ms: int | None = None
    stored_before_ms: int | None = None
    session: str | None = None
    end_user: str | None = None
    run_iid: int | None = None


def selected(tx: Transaction, selection: Selection, *, limit: int) -> list[Trace]:
    """List selected traces, the oldest first, without tags and metadata."""
    where: list[sa.ColumnElement[bool]] = [_T.c.project_id == tx.project_id]
    if selection.ids is not None:
        where.append(_T.c.id.in_(selection.ids))
    compared: dict[sa.Column[Any], Any] = {
        _T.c.experiment_iid: selection.experiment_iid,
        _T.c.session: selection.session,
        _T.c.end_user: selection.end_user,
    }
    where += [column == value for column, value in compared.items() if value is not None]
    if selection.started_until_ms is not None:
        where.append(_T.c.started_ms <= selection.started_until_ms)
    stored_before_ms = selection.stored_before_ms
    if stored_before_ms is not None:
        where.append(_T.c.created_ms < stored_before_ms)
    if selection.run_iid is not None:
        link = schema.candidate_trace
        of_run = (link.c.project_id == tx.project_id, link.c.candidate_iid == selection.run_iid)
        where.append(_T.c.id.in_(sa.select(link.c.trace_id).where(*of_run)))
    order = (_T.c.created_ms,) if stored_before_ms is not None else (_T.c.started_ms, _T.c.id)
    rows = tx.execute(sa.select(*COLUMNS).where(*where).order_by(*order).limit(limit))
    return [_trace(tuple(row), {}, {}) for row in rows]


def count_stored_before(tx: Transaction, stored_before_ms: int) -> int:
    query = sa.select(sa.func.count()).where(_T.c.project_id == tx.project_id, _T.c.created_ms < stored_before_ms)
    return int(tx.execute(query).scalar_one())


def remove(tx: Transaction, trace_ids: Sequence[str]) -> int:
    """Remove traces with all that belongs to them except their links to runs, and return how many there were. The bytes
    of their spans are left to the garbage collection.
    """
    removed = 0
    for start in range(0, len(trace_ids), MOST_AT_ONCE):
        part = list(trace_ids[start : start + MOST_AT_ONCE])
        lost = sa.select(_SPANS.c.blob_id).where(_SPANS.c.project_id == tx.project_id, _SPANS.c.trace_id.in_(part))
        blob_ids = list(tx.execute(lost).scalars())
        for table in _OF_TRACE:
            tx.execute(sa.delete(table).where(table.c.project_id == tx.project_id, table.c.trace_id.in_(part)))
        blobs.mark_unreferenced(tx, blob_ids)
        gone = sa.delete(_T).where(_T.c.project_id == tx.project_id, _T.c.id.in_(part))
        removed += tx.execute(gone).rowcount
    return removed


@cache
def _change(columns: tuple[str, ...]) -> Statement:
    """Build the UPDATE of these columns."""
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in columns}
    return Statement(sa.update(_T).where(_OF_PROJECT, _T.c.id == sa.bindparam("id")).values(values))


def _pairs(tx: Transaction, trace_id: str, pairs: Mapping[str, str]) -> Iterable[dict[str, object]]:
    owner = {"project_id": tx.project_id, "trace_id": trace_id}
    # Sorted, so that two writers of the same trace lock its rows in the same order.
    return [owner | {"key": key, "value": value} for key, value in sorted(pairs.items())]


def _pairs_of(tx: Transaction, table: sa.Table, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    if not ids:
        return {}
    query = sa.select(table.c.trace_id, table.c.key, table.c.value).where(
        table.c.project_id == tx.project_id, table.c.trace_id.in_(ids)
    )
    found: dict[str, dict[str, str]] = {}
    for trace_id, key, value in tx.execute(query.order_by(table.c.trace_id, table.c.key)):
        found.setdefault(trace_id, {})[key] = value
    return found


def _with_pairs(tx: Transaction, row: tuple[Any, ...] | None) -> Trace | None:
    if row is None:
        return None
    trace_id: str = row[0]
    pairs: dict[str, dict[str, str]] = {"tag": {}, "metadata": {}}
    for kind, key, value in tx.all(_PAIRS, id=trace_id):
        pairs[kind][key] = value
    return _trace(row, pairs["tag"], pairs["metadata"])


def _trace(row: tuple[Any, ...], tags: dict[str, str], metadata: dict[str, str]) -> Trace:
    given = dict(zip(_FIELDS, row, strict=False))
    given["state"] = TraceState(given["state"])
    given["protected"], given["announced"] = bool(given["protected"]), bool(given["announced"])
    return Trace(**given, tags=tags, metadata=metadata)

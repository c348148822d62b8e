"""Where the spans of traces lie: blobs in the file store, of which a trace can have several."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import blobs

_T = schema.trace_spans
_BLOB = schema.blob
_NAME = schema.trace_span_name

_OF_TRACE = (_T.c.project_id == sa.bindparam("project_id"), _T.c.trace_id == sa.bindparam("trace_id"))
_PARTS = Statement(
    sa.select(_T.c.part, _T.c.blob_id, _T.c.encoding, _T.c.spans, _T.c.size, _BLOB.c.size, _BLOB.c.sha256)
    .join(_BLOB, (_BLOB.c.project_id == _T.c.project_id) & (_BLOB.c.id == _T.c.blob_id))
    .where(*_OF_TRACE)
    .order_by(_T.c.part)
)
_INSERT = Statement(sa.insert(_T), columns=("project_id", "trace_id", "part", "blob_id", "encoding", "spans", "size"))


@dataclass(frozen=True, slots=True)
class SpanPart:
    """Some of a trace's spans. `size` is of the decompressed bytes, `stored` of the blob, whose digest is `sha256`."""

    part: int
    blob_id: str
    encoding: int
    spans: int
    size: int
    stored: int
    sha256: str | None


def parts(tx: Transaction, trace_id: str) -> list[SpanPart]:
    """List the parts of a trace's spans in the order in which they came."""
    return [SpanPart(*row) for row in tx.all(_PARTS, trace_id=trace_id)]


def parts_of(tx: Transaction, trace_ids: Sequence[str]) -> dict[str, list[SpanPart]]:
    """List the parts of several traces' spans."""
    query = (
        sa.select(_T.c.trace_id, _T.c.part, _T.c.blob_id, _T.c.encoding, _T.c.spans, _T.c.size, _BLOB.c.size)
        .add_columns(_BLOB.c.sha256)
        .join(_BLOB, (_BLOB.c.project_id == _T.c.project_id) & (_BLOB.c.id == _T.c.blob_id))
        .where(_T.c.project_id == tx.project_id, _T.c.trace_id.in_(trace_ids))
        .order_by(_T.c.trace_id, _T.c.part)
    )
    found: dict[str, list[SpanPart]] = {}
    for trace_id, *row in tx.execute(query):
        found.setdefault(trace_id, []).append(SpanPart(*row))
    return found


def add(tx: Transaction, trace_id: str, part: SpanPart) -> None:
    """Add a part with its blob."""
    blobs.add(tx, part.blob_id, size=part.stored, sha256=part.sha256)
    tx.run(
        _INSERT,
        trace_id=trace_id,
        part=part.part,
        blob_id=part.blob_id,
        encoding=part.encoding,
        spans=part.spans,
        size=part.size,
    )


def remove(tx: Transaction, trace_id: str, gone: Sequence[SpanPart]) -> None:
    """Remove parts whose spans are in another part. Their bytes are left to the garbage collection."""
    numbers = [part.part for part in gone]
    tx.execute(sa.delete(_T).where(_T.c.project_id == tx.project_id, _T.c.trace_id == trace_id, _T.c.part.in_(numbers)))
    blobs.mark_unreferenced(tx, [part.blob_id for part in gone])


def lock(tx: Transaction, trace_id: str) -> None:
    """Make other writers of a trace's spans wait until this transaction ends. On SQLite every writer waits anyway."""
    if tx.dialect == "postgresql":
        mark = sa.func.hashtextextended(f"spans:{trace_id}", tx.project_id)
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(mark)))


def add_names(tx: Transaction, trace_id: str, names: Iterable[tuple[str, str, str]]) -> None:
    """Note the names, types and states of a trace's spans for searches."""
    tx.upsert(
        _NAME,
        [
            {"project_id": tx.project_id, "trace_id": trace_id, "name": name, "type": kind, "state": state}
            for name, kind, state in names
        ],
    )

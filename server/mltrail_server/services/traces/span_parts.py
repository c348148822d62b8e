"""The parts of a trace's spans: how they are added, joined, recognized and read, and what they say of their trace."""

import hashlib
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from mltrail_server.artifacts.base import StoredBlob
from mltrail_server.domain import limits
from mltrail_server.domain.errors import Code, MltrailError, unavailable
from mltrail_server.domain.traces import (
    COST_KEY,
    FINAL_KEY,
    SERVERS_TAGS,
    SESSION_KEY,
    SPANS_TAG,
    TOKENS_KEY,
    USER_KEY,
    Trace,
    TraceState,
)
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import quotas, stamp
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.traces import spans as store
from mltrail_server.store.traces import traces as trace_store
from mltrail_server.store.traces.spans import SpanPart
from mltrail_server.store.tracking import usage

from . import arrival, span_records, traces
from .arrival import Batch
from .span_records import Encoding, Record

_MOST_PARTS = 40
"""More are joined to one, so that an exporter that sends span by span costs neither files nor the time of readers."""
_MOST_ATTEMPTS = 4
_LEVEL = 5  # of compression: hardly larger than at 6, and faster


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What had come of a trace before a batch of its spans. `records` are those of its parts if they had to be read."""

    parts: list[SpanPart] = field(default_factory=list)
    records: list[Record] | None = None


@dataclass(frozen=True, slots=True)
class _New:
    """A blob to store as a part of a trace: instead of all earlier parts if `replaces`."""

    blob: StoredBlob
    encoding: Encoding
    spans: int
    size: int
    replaces: bool


class _ChangedMeanwhileError(Exception):
    """Another request has stored spans of the same trace."""


def add(scope: Scope, experiment_iid: int, batch: Batch) -> None:
    """Store spans of a trace and what they say of it. The trace is begun if nobody has announced it. Spans that have
    come before are recognized.

    Raises what `traces.begin` raises, TOO_LARGE for more than a trace may have, and QUOTA.
    """
    if batch.refused is not None:
        raise batch.refused
    for _ in range(_MOST_ATTEMPTS):
        earlier = _earlier(scope, batch)
        new = _put(scope, batch, earlier)
        try:
            in_use = scope.project.write_together(partial(_write, scope, experiment_iid, batch, earlier, new))
        except _ChangedMeanwhileError:
            _discard(scope, new)
        except MltrailError as error:
            # A database that does not answer may have stored the row all the same, so then the bytes stay.
            if error.code is not Code.UNAVAILABLE:
                _discard(scope, new)
            raise
        else:
            if not in_use:
                _discard(scope, new)
            return
    raise unavailable("Too many requests are sending spans of this trace at the same time; try again.")


def joined(scope: Scope, parts: Sequence[SpanPart]) -> list[Record]:
    return span_records.joined([_records_of(part, data_of(scope, part)) for part in parts])


def data_of(scope: Scope, part: SpanPart) -> bytes:
    """Read and decompress a part, never more than a trace may have."""
    stored = b"".join(scope.deps.files.get(scope.project_id, part.blob_id, length=part.stored))
    return zlib.decompressobj().decompress(stored, limits.MAX_TRACE_BYTES)


def _earlier(scope: Scope, batch: Batch) -> _Earlier:
    """Find what has come before, and read it if the batch can't be judged without it."""
    with scope.project.read() as tx:
        parts = store.parts(tx, batch.trace_id)
        trace = trace_store.get(tx, batch.trace_id) if parts else None
    if trace is None:
        return _Earlier()
    both_ways = batch.is_file or any(part.encoding == Encoding.TRACES_JSON for part in parts)
    ended = batch.root is not None or trace.state in (TraceState.OK, TraceState.ERROR)
    if both_ways or (ended and FINAL_KEY not in trace.metadata) or len(parts) >= _MOST_PARTS:
        return _Earlier(parts, joined(scope, parts))
    return _Earlier(parts)


def _put(scope: Scope, batch: Batch, earlier: _Earlier) -> _New | None:
    """Store the bytes of a batch, unless they are there; together with those before if there are many parts."""
    data, encoding, spans, size = b"".join(batch.lines), batch.encoding, batch.count, batch.size
    replaces = False
    if earlier.records is not None:
        before, now = {one.id for one in earlier.records}, batch.ids
        if batch.is_file:
            replaces = before <= now
        elif now <= before and any(part.encoding == Encoding.TRACES_JSON for part in earlier.parts):
            return None
        elif len(earlier.parts) >= _MOST_PARTS:
            whole = span_records.joined([earlier.records, span_records.of_lines(data)])
            data, spans, replaces = span_records.lines(whole), len(whole), True
            size = len(data)
    packed = zlib.compress(data, _LEVEL)
    if _is_stored(earlier.parts, hashlib.sha256(packed).hexdigest(), replaces=replaces):
        return None
    blob = scope.deps.files.put(scope.project_id, io.BytesIO(packed), size=len(packed))
    return _New(blob, encoding, spans, size, replaces)


def _write(
    scope: Scope, experiment_iid: int, batch: Batch, earlier: _Earlier, new: _New | None, tx: Transaction
) -> bool:
    """Note where spans are, and what they say of their trace. Returns whether the new blob is in use from now on."""
    trace = traces.begin(tx, scope, arrival.trace_of(batch, experiment_iid))
    in_use = new is not None and _add(tx, batch.trace_id, earlier, new)
    store.add_names(tx, batch.trace_id, batch.names)
    _tell(tx, scope, trace, batch, earlier)
    if new is not None and in_use:
        quotas.take(tx, scope, usage.BYTES, new.blob.size)
    return in_use


def _add(tx: Transaction, trace_id: str, earlier: _Earlier, new: _New) -> bool:
    parts = store.parts(tx, trace_id)
    if new.replaces and parts != earlier.parts:
        raise _ChangedMeanwhileError
    if _is_stored(parts, new.blob.sha256, replaces=new.replaces):
        return False
    left = [] if new.replaces else parts
    refusal = arrival.over_limit(
        new.spans + sum(part.spans for part in left), new.size + sum(part.size for part in left)
    )
    if refusal is not None:
        raise refusal
    if new.replaces:
        store.remove(tx, trace_id, parts)
    number = max((part.part for part in parts), default=0) + 1
    part = SpanPart(number, new.blob.blob_id, new.encoding, new.spans, new.size, new.blob.size, new.blob.sha256)
    store.add(tx, trace_id, part)
    return True


def _is_stored(parts: Sequence[SpanPart], sha256: str | None, *, replaces: bool) -> bool:
    """Return whether a part with these very bytes is there, and is all there is if it is to replace the others."""
    return any(part.sha256 == sha256 for part in parts) and not (replaces and len(parts) > 1)


def _tell(tx: Transaction, scope: Scope, trace: Trace, batch: Batch, earlier: _Earlier) -> None:
    """Store what spans say of their trace. What its client has said itself stays."""
    changes = arrival.of_root(batch, trace)
    if FINAL_KEY not in trace.metadata:
        changes |= arrival.of_times(batch, trace)
    metadata = _new_metadata(trace, batch, earlier)
    columns = {SESSION_KEY: "session", USER_KEY: "end_user"}
    changes |= {column: metadata[key] for key, column in columns.items() if key in metadata}
    tags = _new_tags(scope, trace, batch)
    if changes:
        trace_store.change(tx, trace.id, **changes)
    if metadata:
        trace_store.put_metadata(tx, trace.id, metadata)
    if tags:
        trace_store.put_tags(tx, trace.id, tags)


def _new_metadata(trace: Trace, batch: Batch, earlier: _Earlier) -> dict[str, str]:
    found = arrival.metadata([*map(arrival.outline, earlier.records or ()), *batch.outlines])
    kept = set(trace.metadata) if FINAL_KEY in trace.metadata else {SESSION_KEY, USER_KEY}.intersection(trace.metadata)
    if earlier.parts and earlier.records is None:
        kept |= {TOKENS_KEY, COST_KEY}  # not all spans are known here; they are once the root has come
    return {key: value for key, value in found.items() if key not in kept and trace.metadata.get(key) != value}


def _new_tags(scope: Scope, trace: Trace, batch: Batch) -> dict[str, str]:
    kept = {*trace.tags, *stamp.reserved(scope), *SERVERS_TAGS}
    tags = {key: value for key, value in arrival.tags(batch).items() if key not in kept}
    if not batch.is_file and SPANS_TAG not in trace.tags:
        tags[SPANS_TAG] = "TRACKING_STORE"
    return tags


def _discard(scope: Scope, new: _New | None) -> None:
    if new is not None:
        scope.deps.files.delete(scope.project_id, new.blob.blob_id)


def _records_of(part: SpanPart, data: bytes) -> list[Record]:
    if part.encoding == Encoding.TRACES_JSON:
        return list(span_records.of_traces_json(data))
    return span_records.of_lines(data)

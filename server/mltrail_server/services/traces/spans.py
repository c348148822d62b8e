"""The spans of traces: from the wire to the file store and back.

A trace's spans lie in the file store, compressed, in one part or more: exporters send spans in several requests, out of
order, and again when an answer was lost. The table `trace_spans` says where.
"""

import zlib
from enum import IntEnum

from mltrail_server.domain import limits
from mltrail_server.domain.spans import Span
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.traces import spans as store
from mltrail_server.store.traces.spans import SpanPart

from . import span_records
from .span_records import Record


class Encoding(IntEnum):
    """What the bytes of a part are once they are decompressed."""

    LINES = 1  # one span a line, see `span_records`
    TRACES_JSON = 2  # MLflow's file, as a client sent it


def read(scope: Scope, trace_id: str) -> list[Span]:
    """Read the spans of a trace: the root first, then by their beginning. Empty if none has come yet."""
    return [span_records.as_span(record) for record in records(scope, trace_id)]


def records(scope: Scope, trace_id: str) -> list[Record]:
    with scope.project.read() as tx:
        parts = store.parts(tx, trace_id)
    return span_records.joined([_records_of(part, _bytes_of(scope, part)) for part in parts])


def _records_of(part: SpanPart, data: bytes) -> list[Record]:
    if part.encoding == Encoding.TRACES_JSON:
        return span_records.of_traces_json(data)
    return span_records.of_lines(data)


def _bytes_of(scope: Scope, part: SpanPart) -> bytes:
    """Read and decompress a part, never more than a trace may have."""
    stored = b"".join(scope.deps.files.get(scope.project_id, part.blob_id, length=part.stored))
    return zlib.decompressobj().decompress(stored, limits.MAX_TRACE_BYTES)

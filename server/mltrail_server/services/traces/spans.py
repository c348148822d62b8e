"""The spans of traces: from the wire to the file store and back.

A trace's spans lie in the file store, compressed, in one part or more: exporters send spans in several requests, out of
order, and again when an answer was lost. The table `trace_spans` says where. MLflow 3.18 may send the spans of a trace
both ways, as OpenTelemetry's messages and as `traces.json`: then one of them is kept, the file if it has all spans,
since that is what clients fetch.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore

import msgspec

from mltrail_server.domain import limits
from mltrail_server.domain.errors import Code, MltrailError, invalid, unavailable
from mltrail_server.domain.spans import Span
from mltrail_server.domain.traces import SIZES_KEY, Trace
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.traces import spans as store

from . import arrival, otlp, redact, span_parts, span_records, traces
from .span_records import Encoding, Record

_log = logging.getLogger(__name__)
_MOST_LINKS = 100
_LARGE = 4 * 1024**2
_LARGE_ONES = BoundedSemaphore(2)
_WAIT_SECONDS = 10
_MOST_AT_ONCE = 2 * limits.MAX_TRACE_BYTES


@dataclass(frozen=True, slots=True)
class SentSpans:
    """The spans of a trace as a list of OpenTelemetry's messages in JSON, how many they are, and whether these are as
    many as the client has announced.
    """

    messages: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"[]"))
    count: int = 0
    complete: bool = False


def read(scope: Scope, trace_id: str) -> list[Span]:
    """Read the spans of a trace: the root first, then by their beginning. Empty if none has come yet."""
    return [span_records.as_span(record) for record in records(scope, trace_id)]


def records(scope: Scope, trace_id: str) -> list[Record]:
    with scope.project.read() as tx:
        parts = store.parts(tx, trace_id)
    return span_parts.joined(scope, parts)


def messages_of(scope: Scope, traces: Sequence[Trace]) -> dict[str, SentSpans]:
    """Read the spans of several traces, encoded for clients. Raises INVALID if they are too many for one answer."""
    with scope.project.read() as tx:
        parts = store.parts_of(tx, [trace.id for trace in traces])
    if len(traces) > 1 and sum(part.size for of_trace in parts.values() for part in of_trace) > _MOST_AT_ONCE:
        raise invalid(f"These traces have more than {_MOST_AT_ONCE:,} bytes of spans. Ask for fewer at once.")
    found: dict[str, SentSpans] = {}
    for trace in traces:
        if trace.id in parts:
            of_trace = span_parts.joined(scope, parts[trace.id])
            complete = 0 < len(of_trace) >= _announced(trace)
            found[trace.id] = SentSpans(span_records.as_messages(trace.id, of_trace), len(of_trace), complete)
    return found


def traces_json(scope: Scope, trace_id: str) -> bytes | None:
    """Return MLflow's file `traces.json`: as a client sent it, or else written from the spans; None without spans."""
    with scope.project.read() as tx:
        parts = store.parts(tx, trace_id)
    if not parts:
        return None
    if len(parts) == 1 and parts[0].encoding == Encoding.TRACES_JSON:
        return span_parts.data_of(scope, parts[0])
    return span_records.as_traces_json(trace_id, span_parts.joined(scope, parts))


def check_can_receive() -> None:
    """Raise NOT_IMPLEMENTED if this server can't decode what exporters send."""
    otlp.check_installed()


def receive(
    scope: Scope, experiment_iid: int, body: bytes, *, as_json: bool, encoding: str, run_eid: str | None = None
) -> tuple[int, str]:
    """Store what an OpenTelemetry exporter sent, which may be of several traces; link those that have ended to a run.
    Returns how many spans were refused, and why the first of them was.

    Raises that error if all were refused: NOT_FOUND for an unknown experiment, FORBIDDEN for a trace of another job,
    TOO_LARGE, QUOTA; and INVALID for what can't be read. What was stored before an error is recognized when it is sent
    again.
    """
    redactor = redact.of(scope)
    unpacked = otlp.unpacked(body, encoding)
    with _room_for(unpacked):
        return _receive(scope, experiment_iid, otlp.decoded(unpacked, as_json=as_json), redactor, run_eid)


def receive_file(scope: Scope, experiment_iid: int, trace_id: str, data: bytes) -> None:
    """Store MLflow's file with all spans of a trace. Raises NOT_FOUND for a trace that was not announced."""
    with scope.project.read() as tx:
        trace = traces.existing(tx, trace_id)
    if trace.experiment_iid != experiment_iid:
        raise traces.no_trace(trace_id)
    redactor = redact.of(scope)
    with _room_for(data):
        batch = arrival.of_traces_json(trace_id, data, redactor)
        if batch.count:
            span_parts.add(scope, experiment_iid, batch)


@contextmanager
def _room_for(data: bytes) -> Iterator[None]:
    """Let few requests at a time decode many spans: it takes several times their size. Raises UNAVAILABLE."""
    if len(data) <= _LARGE:
        yield
        return
    if not _LARGE_ONES.acquire(timeout=_WAIT_SECONDS):
        raise unavailable("Several large traces are being stored; try again in a moment.")
    try:
        yield
    finally:
        _LARGE_ONES.release()


def _receive(
    scope: Scope, experiment_iid: int, sent: Iterable[otlp.SentSpan], redactor: redact.Redactor, run_eid: str | None
) -> tuple[int, str]:
    batches = arrival.gathered(sent, redactor)
    stored: list[arrival.Batch] = []
    refused, why = 0, None
    for batch in batches:
        try:
            span_parts.add(scope, experiment_iid, batch)
        except MltrailError as error:
            if error.code in (Code.UNAVAILABLE, Code.INTERNAL):
                raise
            refused += batch.count
            why = why or error
        else:
            stored.append(batch)
    if why is not None and not stored:
        raise why
    if run_eid is not None:
        _link(scope, [batch.trace_id for batch in stored if batch.root is not None], run_eid)
    return refused, why.message if why is not None else ""


def _announced(trace: Trace) -> int:
    """Return how many spans a trace has as its client says; 0 if it does not say."""
    try:
        stats = json.loads(trace.metadata.get(SIZES_KEY) or "{}")
    except (ValueError, RecursionError):
        return 0
    number = stats.get("num_spans", 0) if isinstance(stats, dict) else 0
    return number if isinstance(number, int) else 0


def _link(scope: Scope, trace_ids: Sequence[str], run_eid: str) -> None:
    """Link traces to a run. The spans are stored by then, so a run that can't be linked to is no error."""
    try:
        for start in range(0, len(trace_ids), _MOST_LINKS):
            traces.link_to_run(scope, trace_ids[start : start + _MOST_LINKS], run_eid)
    except MltrailError as error:
        _log.warning("spans of project %s are not linked to a run: %s", scope.project_id, error.message)

"""Spans as they arrive: gathered by trace, redacted, encoded to be stored, and asked what they say of their trace.

Only what is asked later is kept of each span, so memory does not grow beyond the size of what was sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mltrail_server.domain import limits, span_facts
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.evaluation_datasets import inputs_digest
from mltrail_server.domain.traces import COST_KEY, NAME_TAG, SESSION_KEY, TOKENS_KEY, USER_KEY, Trace, TraceState

from . import otlp, span_records
from .otlp import SentSpan
from .redact import Redactor
from .span_records import Encoding, Record

_ASKED = (span_facts.TOKENS, span_facts.COST, span_facts.SESSION, span_facts.CONVERSATION, span_facts.USER)
_MAX_TEXT = 250
_MAX_TYPE = 64
_ERROR = 2
_UNENDED = (TraceState.IN_PROGRESS, TraceState.STATE_UNSPECIFIED)


@dataclass(frozen=True, slots=True)
class Outline:
    """What is kept of a span."""

    id: str
    parent_id: str | None
    start: int
    end: int | None
    name: tuple[str, str, str]  # name, type and state, for searches
    attributes: Mapping[str, Any]


@dataclass(slots=True)
class Batch:
    """The spans of a trace that came in one request. `refused` is why they can't be stored; nothing is kept of them
    then but their number.
    """

    trace_id: str
    encoding: Encoding = Encoding.LINES
    is_file: bool = False  # `traces.json`, with all spans of the trace
    lines: list[bytes] = field(default_factory=list)
    size: int = 0  # bytes, not compressed
    count: int = 0
    outlines: list[Outline] = field(default_factory=list)
    root: Record | None = None
    resource: Mapping[str, Any] = field(default_factory=dict)
    refused: MltrailError | None = None

    @property
    def ids(self) -> set[str]:
        return {one.id for one in self.outlines}

    @property
    def started_ms(self) -> int:
        return min(one.start for one in self.outlines) // 1_000_000

    @property
    def ended_ms(self) -> int | None:
        ends = [one.end for one in self.outlines if one.end is not None]
        return max(ends) // 1_000_000 if ends else None

    @property
    def state(self) -> TraceState:
        """The root's state; as long as there is none, the trace goes on."""
        if self.root is None:
            return TraceState.IN_PROGRESS
        return TraceState.ERROR if self.root.status == _ERROR else TraceState.OK

    @property
    def names(self) -> list[tuple[str, str, str]]:
        return sorted({one.name for one in self.outlines})

    def add(self, record: Record, line: bytes = b"") -> None:
        self.count += 1
        self.size += len(line)
        if self.refused is None:
            self.refused = over_limit(self.count, self.size)
            if self.refused is not None:
                self.lines.clear()
                self.outlines.clear()
                self.root = None
        if self.refused is None:
            if line:
                self.lines.append(line)
            self.outlines.append(outline(record))
            if record.parent_id is None:
                self.root = record


def gathered(spans: Iterable[SentSpan], redactor: Redactor) -> list[Batch]:
    """Gather the spans of a request by trace."""
    batches: dict[str, Batch] = {}
    resources: dict[int, Mapping[str, Any]] = {}
    for span in spans:
        batch = batches.get(span.trace_id)
        if batch is None:
            if id(span.resource) not in resources:
                resources[id(span.resource)] = redactor.json(span.resource)
            batch = batches[span.trace_id] = Batch(span.trace_id, resource=resources[id(span.resource)])
        record = redactor.record(span.record)
        batch.add(record, span_records.line(record))
    return list(batches.values())


def of_traces_json(trace_id: str, data: bytes, redactor: Redactor) -> Batch:
    """Read MLflow's file. It is kept as it is, unless something in it is redacted. Raises INVALID, TOO_LARGE."""
    batch = Batch(trace_id, Encoding.TRACES_JSON, is_file=True)
    redacted: list[Record] = []
    changed = False
    for record in span_records.of_traces_json(data):
        safe = redactor.record(record)
        changed = changed or safe != record
        batch.add(safe)
        if redactor.patterns:
            redacted.append(safe)
    if changed:
        batch.encoding = Encoding.LINES
        batch.lines = [span_records.lines(redacted)]
    else:
        batch.lines = [data]
    batch.size = len(batch.lines[0])
    batch.refused = batch.refused or over_limit(batch.count, batch.size)
    return batch


def trace_of(batch: Batch, experiment_iid: int) -> Trace:
    """Describe a trace that nobody has announced, as far as these spans tell."""
    started_ms, ended_ms = batch.started_ms, batch.ended_ms
    trace = Trace(
        batch.trace_id,
        experiment_iid,
        batch.state,
        started_ms,
        ended_ms - started_ms if ended_ms is not None else None,
        announced=False,
        tags=tags(batch),
        metadata=metadata(batch.outlines),
    )
    return replace(trace, **of_root(batch, trace))


def of_root(batch: Batch, trace: Trace) -> dict[str, Any]:
    """Return what the root says of a trace and is not known yet: previews, and the digest of the inputs."""
    found: dict[str, Any] = {}
    if batch.root is None:
        return found
    inputs, outputs = batch.root.attributes.get(span_facts.INPUTS), batch.root.attributes.get(span_facts.OUTPUTS)
    if inputs is not None:
        if trace.inputs_digest is None:
            found["inputs_digest"] = inputs_digest(inputs)
        if trace.request_preview is None:
            found["request_preview"] = _storable(span_facts.preview(inputs, "user"))
    if outputs is not None and trace.response_preview is None:
        found["response_preview"] = _storable(span_facts.preview(outputs, "assistant"))
    return found


def of_times(batch: Batch, trace: Trace) -> dict[str, Any]:
    """Return what these spans change in the times and the state of a trace whose client has not said all."""
    found: dict[str, Any] = {}
    started_ms = min(trace.started_ms, batch.started_ms)
    if started_ms != trace.started_ms:
        found["started_ms"] = started_ms
    ends = [batch.ended_ms, None if trace.duration_ms is None else trace.started_ms + trace.duration_ms]
    known = [one for one in ends if one is not None]
    duration_ms = max(known) - started_ms if known else None
    if duration_ms != trace.duration_ms:
        found["duration_ms"] = duration_ms
    if batch.root is not None and trace.state in _UNENDED:
        found["state"] = int(batch.state)
    return found


def metadata(outlines: Sequence[Outline]) -> dict[str, str]:
    """Return what spans say of the whole trace: tokens, cost, session and user."""
    found: dict[str, str] = {}
    if tokens := span_facts.tokens(outlines):
        found[TOKENS_KEY] = span_records.compact(tokens)
    if cost := span_facts.cost(outlines):
        found[COST_KEY] = span_records.compact(cost)
    for one in outlines:
        session = one.attributes.get(span_facts.SESSION) or one.attributes.get(span_facts.CONVERSATION)
        if session and SESSION_KEY not in found:
            found[SESSION_KEY] = _storable(str(session))[:_MAX_TEXT]
        if (user := one.attributes.get(span_facts.USER)) and USER_KEY not in found:
            found[USER_KEY] = _storable(str(user))[:_MAX_TEXT]
    return found


def tags(batch: Batch) -> dict[str, str]:
    """Return the tags of a trace that its spans carry: attributes of the program that sent them, except what describes
    OpenTelemetry itself, and those that MLflow's clients set on the root.
    """
    found: dict[str, str] = {}
    for key, value in batch.resource.items():
        if not key.startswith(("telemetry.sdk.", "mlflow.")):
            found[key] = value if isinstance(value, str) else span_records.compact(value)
    if batch.root is not None:
        found[NAME_TAG] = batch.root.name
        for key, value in batch.root.attributes.items():
            if key.startswith(span_facts.TRACE_TAG):
                found[key.removeprefix(span_facts.TRACE_TAG)] = str(value)
    return {key: _storable(value) for key, value in found.items() if _is_key(key)}


def outline(record: Record) -> Outline:
    given = record.attributes
    kind = given.get(span_facts.TYPE)
    name = (
        _storable(record.name)[:_MAX_TEXT],
        _storable(kind)[:_MAX_TYPE] if isinstance(kind, str) and kind else span_facts.UNKNOWN_TYPE,
        span_records.STATES[record.status],
    )
    asked = {key: given[key] for key in _ASKED if key in given}
    return Outline(record.id, record.parent_id, record.start, record.end, name, asked)


def over_limit(spans: int, size: int) -> MltrailError | None:
    """Say why a trace with this many spans, or bytes, is refused."""
    if spans > limits.MAX_TRACE_SPANS:
        return MltrailError(
            Code.TOO_LARGE,
            f"A trace has at most {limits.MAX_TRACE_SPANS:,} spans. Trace fewer steps, or begin a trace for each part.",
        )
    return otlp.too_large() if size > limits.MAX_TRACE_BYTES else None


def _storable(text: str) -> str:
    """Replace what PostgreSQL can't store."""
    return text.replace("\x00", "\ufffd")


def _is_key(key: str) -> bool:
    try:
        limits.check_key(key, "tag")
    except MltrailError:
        return False
    return True

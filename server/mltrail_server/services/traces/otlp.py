"""Spans as OpenTelemetry's exporters send them: https://opentelemetry.io/docs/specs/otlp/.

The messages are decoded by `opentelemetry-proto`, the extra `traces`. Memory is bounded: a body is unpacked up to a
limit, and decoded span by span, each of which is handed on before the next one. Elements are counted: an empty one
takes two bytes here, and a hundred times as many as an object.
"""

import base64
import importlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mltrail_server.domain import limits, semantic_conventions
from mltrail_server.domain.errors import Code, MltrailError, invalid

from .span_records import INTERNAL, KINDS, Event, Link, Record, loaded

_COUNTED_FROM = 1 << 18
"""A smaller span is not counted before it is decoded: even if it is all elements, it takes few megabytes."""
_MOST_ELEMENTS = 800_000  # in a request
_OF_SPAN = 16  # elements that a span counts for
_MOST_DEPTH = 100  # protobuf's own limit
_CHUNK = 1 << 16
_BYTES = 2  # the wire type of texts and messages
_FIXED = {1: 8, 5: 4}
_TRACE_ID, _SPAN_ID = 16, 8  # bytes

# Fields: https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto
_RESOURCE_SPANS, _RESOURCE, _SCOPE_SPANS, _SPANS = 1, 1, 2, 2
# Which fields of a span are messages, and which fields of these.
_Fields = Mapping[int, Any]
_VALUE: dict[int, Any] = {}
_PAIR = {2: _VALUE}
_VALUE |= {5: {1: _VALUE}, 6: {1: _PAIR}}
_SPAN: _Fields = {9: _PAIR, 11: {3: _PAIR}, 13: {4: _PAIR}}


@dataclass(frozen=True, slots=True)
class SentSpan:
    """A span, its trace, and the attributes of the program that sent it."""

    trace_id: str
    record: Record
    resource: Mapping[str, Any]


def check_installed() -> None:
    """Raise NOT_IMPLEMENTED without the extra `traces`; MLflow's clients then upload `traces.json`."""
    if _messages() is None:
        raise MltrailError(
            Code.NOT_IMPLEMENTED,
            "REST OTLP span logging is not supported by this server: its operator can install the extra `traces` "
            "(pip install 'mltrail[server,traces]').",
        )


def unpacked(body: bytes, encoding: str) -> bytes:
    """Decompress a body of the given `Content-Encoding`. Raises INVALID, and TOO_LARGE before it takes more memory than
    a request may have.
    """
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        return _inflated(body, 16 + zlib.MAX_WBITS)
    if encoding == "deflate":
        # It should have a header, but some clients send it raw.
        is_raw = len(body) < 2 or body[0] & 15 != zlib.DEFLATED or int.from_bytes(body[:2], "big") % 31
        return _inflated(body, -zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS)
    raise invalid(f"Content-Encoding '{encoding[:40]}' is not supported: use gzip, deflate or none.")


def decoded(body: bytes, *, as_json: bool) -> Iterator[SentSpan]:
    """Decode an `ExportTraceServiceRequest`, span by span. Raises INVALID for anything else, and TOO_LARGE."""
    reader = _Reader()
    empty = True
    for resource, spans in _groups_of_json(body) if as_json else _groups_of_protobuf(body):
        attributes = reader.attributes(resource.attributes)
        for span in spans:
            yield SentSpan(*reader.span(span), attributes)
        empty = False
    if empty:
        raise invalid("Invalid OpenTelemetry format: the request holds no spans.")


@cache
def _messages() -> Any:  # noqa: ANN401 - protobuf's modules
    try:
        return importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    except ImportError:
        return None


@cache
def _kinds() -> tuple[Any, Any, type[Exception]]:
    """Return the messages `Resource` and `Span`, and the error of one that can't be decoded."""
    resource = importlib.import_module("opentelemetry.proto.resource.v1.resource_pb2").Resource
    span = importlib.import_module("opentelemetry.proto.trace.v1.trace_pb2").Span
    return resource, span, importlib.import_module("google.protobuf.message").DecodeError


def _groups_of_protobuf(body: bytes) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Read the resources of a request, each with its spans."""
    resource_kind, _, error_kind = _kinds()
    for group in _inner(body, 0, len(body), _RESOURCE_SPANS):
        found = [body[place:end] for place, end in _inner(body, *group, _RESOURCE)]
        if any(len(one) > _COUNTED_FROM for one in found):
            raise _too_many()
        try:
            resource = resource_kind.FromString(b"".join(found))  # parts of a message are merged so
        except error_kind as error:
            raise _unreadable() from error
        yield resource, _spans_of_protobuf(body, group)


def _spans_of_protobuf(body: bytes, group: tuple[int, int]) -> Iterator[Any]:
    _, span_kind, error_kind = _kinds()
    for scope in _inner(body, *group, _SCOPE_SPANS):
        for place, end in _inner(body, *scope, _SPANS):
            if end - place > _COUNTED_FROM:
                _count(body, place, end, _SPAN, 0)
            try:
                span = span_kind.FromString(body[place:end])
            except error_kind as error:
                raise _unreadable() from error
            yield span


def _groups_of_json(body: bytes) -> Iterator[tuple[Any, Iterator[Any]]]:
    if len(body) > _COUNTED_FROM and body.count(b"{") + body.count(b"[") > _MOST_ELEMENTS:
        raise _too_many()
    json_format = importlib.import_module("google.protobuf.json_format")
    try:
        whole = json.loads(body)
        _convert_ids(whole)
        request = _messages().ExportTraceServiceRequest()
        json_format.ParseDict(whole, request, ignore_unknown_fields=True)
    except RecursionError as error:
        raise invalid("Invalid OpenTelemetry format: the body is nested too deeply.") from error
    except (json_format.Error, ValueError, TypeError, AttributeError, KeyError) as error:
        raise invalid(f"Invalid OpenTelemetry format: {str(error)[:200]}") from error
    for group in request.resource_spans:
        yield group.resource, (span for scope in group.scope_spans for span in scope.spans)


def _convert_ids(whole: Mapping[str, Any]) -> None:
    """Turn ids from hexadecimal, as OTLP has them in JSON, into base64, as protocol buffers do."""
    for group in whole.get("resourceSpans") or ():
        for scope in group.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                for one in (span, *(span.get("links") or ())):
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if one.get(name):
                            one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()


class _Reader:
    """Turns protobuf's messages into spans, and counts their elements. Raises TOO_LARGE when they are too many."""

    def __init__(self) -> None:
        self._elements = 0

    def span(self, span: Any) -> tuple[str, Record]:  # noqa: ANN401 - protobuf's message
        """Return the id of the trace, and the span."""
        for name, given, size in (("trace", span.trace_id, _TRACE_ID), ("span", span.span_id, _SPAN_ID)):
            if len(given) != size or not any(given):
                raise invalid(
                    f"Invalid OpenTelemetry format: the span {span.name[:60]!r} has no {name} id of {size} bytes."
                )
        self._note(_OF_SPAN + len(span.events) + len(span.links))
        parent = span.parent_span_id
        attributes = {key: _unwrapped(value) for key, value in self.attributes(span.attributes).items()}
        record = Record(
            id=span.span_id.hex(),
            name=span.name,
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano or None,
            parent_id=parent.hex().rjust(2 * _SPAN_ID, "0")[-2 * _SPAN_ID :] if any(parent) else None,
            kind=span.kind if 0 < span.kind < len(KINDS) else INTERNAL,
            status=span.status.code if span.status.code in (0, 1, 2) else 0,
            message=span.status.message,
            attributes={**attributes, **semantic_conventions.translated(attributes)},
            events=[Event(one.name, one.time_unix_nano, self.attributes(one.attributes)) for one in span.events],
            links=[
                Link(one.trace_id.hex(), one.span_id.hex(), self.attributes(one.attributes) or None)
                for one in span.links
                if len(one.trace_id) == _TRACE_ID and len(one.span_id) == _SPAN_ID
            ],
            trace_state=span.trace_state,
        )
        return f"tr-{span.trace_id.hex()}", record

    def attributes(self, pairs: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf's messages
        self._note(len(pairs))
        return {pair.key: self._value(pair.value) for pair in pairs}

    def _value(self, value: Any) -> Any:  # noqa: ANN401 - protobuf's message
        kind = value.WhichOneof("value")
        if kind == "array_value":
            self._note(len(value.array_value.values))
            return [self._value(one) for one in value.array_value.values]
        if kind == "kvlist_value":
            return self.attributes(value.kvlist_value.values)
        if kind == "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        return None if kind is None else getattr(value, kind)

    def _note(self, more: int) -> None:
        self._elements += more
        if self._elements > _MOST_ELEMENTS:
            raise _too_many()


def _unwrapped(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Decode an attribute that is JSON text, as MLflow does: some of its clients send all attributes so, and what other
    exporters have to say of inputs and outputs is JSON text, too. A number or a word stays text.
    """
    if not isinstance(value, str) or value[:1] not in ('"', "{", "["):
        return value
    found = loaded(value)
    return found if isinstance(found, str | dict | list) else value


def _inflated(body: bytes, window: int) -> bytes:
    unpacker = zlib.decompressobj(window)
    pieces: list[bytes] = []
    size = 0
    try:
        for start in range(0, len(body), _CHUNK):
            piece = unpacker.decompress(body[start : start + _CHUNK], limits.MAX_TRACE_BYTES + 1 - size)
            size += len(piece)
            pieces.append(piece)
            if size > limits.MAX_TRACE_BYTES:
                raise too_large()
    except zlib.error as error:
        raise invalid(f"The body can't be decompressed: {error}.") from error
    if not unpacker.eof:
        raise invalid("The compressed body is cut off; send it again.")
    return b"".join(pieces)


def too_large() -> MltrailError:
    return MltrailError(
        Code.TOO_LARGE,
        f"The spans are larger than {limits.MAX_TRACE_BYTES:,} bytes. Send them in smaller batches, and keep large "
        "inputs and outputs out of spans.",
    )


def _inner(data: bytes, place: int, end: int, number: int) -> Iterator[tuple[int, int]]:
    """Find where the messages begin and end that are the field `number` of an encoded message."""
    while place < end:
        tag, place = _read_varint(data, place)
        if tag & 7 != _BYTES:
            place = _after(data, place, tag & 7)
            continue
        size, place = _read_varint(data, place)
        if place + size > end:
            raise _unreadable()
        if tag >> 3 == number:
            yield place, place + size
        place += size


def _count(data: bytes, place: int, end: int, fields: _Fields, counted: int, depth: int = 0) -> int:
    """Count the elements of an encoded message, and of those in it. Raises TOO_LARGE, and INVALID for no message."""
    if depth > _MOST_DEPTH:
        raise invalid("Invalid OpenTelemetry format: the body is nested too deeply.")
    while place < end:
        counted += 1
        if counted > _MOST_ELEMENTS:
            raise _too_many()
        tag, place = _read_varint(data, place)
        if tag & 7 != _BYTES:
            place = _after(data, place, tag & 7)
            continue
        size, place = _read_varint(data, place)
        inner = fields.get(tag >> 3)
        if inner is not None and size:
            counted = _count(data, place, min(place + size, end), inner, counted, depth + 1)
        place += size
    return counted


def _after(data: bytes, place: int, kind: int) -> int:
    """Skip a number of this wire type."""
    if kind == 0:
        return _read_varint(data, place)[1]
    if kind not in _FIXED:
        raise _unreadable()
    return place + _FIXED[kind]


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 70:
        byte = data[place]
        value |= (byte & 127) << shift
        place += 1
        if byte < 128:
            return value, place
        shift += 7
    raise _unreadable()


def _too_many() -> MltrailError:
    return MltrailError(
        Code.TOO_LARGE, f"The spans have more than {_MOST_ELEMENTS:,} attributes and values. Send smaller batches."
    )


def _unreadable() -> MltrailError:
    return invalid("Invalid OpenTelemetry format: the body is not an ExportTraceServiceRequest, or is cut off.")

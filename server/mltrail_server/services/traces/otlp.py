"""Spans as OpenTelemetry's exporters send them: https://opentelemetry.io/docs/specs/otlp/.

The messages are decoded by `opentelemetry-proto`, the extra `traces`. Memory is bounded: a body is unpacked up to a
limit, its elements are counted before they become objects, and each span is handed on before the next is converted.
"""

import base64
import importlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mltrail_server.domain import limits
from mltrail_server.domain.errors import Code, MltrailError, invalid

from .span_records import INTERNAL, KINDS, Event, Link, Record

_COUNTED_FROM = 1 << 20
"""A smaller message is not counted: even if it is all elements, it takes tens of megabytes."""
_MOST_ELEMENTS = 1_000_000
_MOST_DEPTH = 100  # protobuf's own limit
_CHUNK = 1 << 16
_TRACE_ID, _SPAN_ID = 16, 8  # bytes

# Which fields of a message are messages, down from `ExportTraceServiceRequest`:
# https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto
_Fields = Mapping[int, Any]
_VALUE: dict[int, Any] = {}
_PAIR = {2: _VALUE}
_VALUE |= {5: {1: _VALUE}, 6: {1: _PAIR}}
_SPAN: _Fields = {9: _PAIR, 11: {3: _PAIR}, 13: {4: _PAIR}}
_REQUEST: _Fields = {1: {1: {1: _PAIR}, 2: {1: {3: _PAIR}, 2: _SPAN}}}


@dataclass(frozen=True, slots=True)
class SentSpan:
    """A span, its trace, and the attributes of the program that sent it."""

    trace_id: str
    record: Record
    resource: Mapping[str, Any]


def is_installed() -> bool:
    return _messages() is not None


def check_installed() -> None:
    """Raise NOT_IMPLEMENTED without the extra `traces`; MLflow's clients then upload `traces.json`."""
    if not is_installed():
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
    request = _of_json(body) if as_json else _of_protobuf(body)
    if not request.resource_spans:
        raise invalid("Invalid OpenTelemetry format: the request holds no spans.")
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield SentSpan(*_span(span), resource)


@cache
def _messages() -> Any:  # noqa: ANN401 - protobuf's modules
    try:
        return importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    except ImportError:
        return None


def _of_protobuf(body: bytes) -> Any:  # noqa: ANN401 - protobuf's message
    if len(body) > _COUNTED_FROM:
        _count(memoryview(body), _REQUEST, 0, 0)
    decode_error: type[Exception] = importlib.import_module("google.protobuf.message").DecodeError
    try:
        return _messages().ExportTraceServiceRequest.FromString(body)
    except decode_error as error:
        raise invalid(
            "Invalid OpenTelemetry format: the body is no ExportTraceServiceRequest, or is cut off."
        ) from error


def _of_json(body: bytes) -> Any:  # noqa: ANN401 - protobuf's message
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
    return request


def _convert_ids(whole: Mapping[str, Any]) -> None:
    """Turn ids from hexadecimal, as OTLP has them in JSON, into base64, as protocol buffers do."""
    for group in whole.get("resourceSpans") or ():
        for scope in group.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                for one in (span, *(span.get("links") or ())):
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if one.get(name):
                            one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()


def _span(span: Any) -> tuple[str, Record]:  # noqa: ANN401 - protobuf's message
    if len(span.trace_id) != _TRACE_ID or not any(span.trace_id):
        raise invalid(
            f"Invalid OpenTelemetry format: the span {span.name[:60]!r} has no trace id of {_TRACE_ID} bytes."
        )
    if len(span.span_id) != _SPAN_ID or not any(span.span_id):
        raise invalid(f"Invalid OpenTelemetry format: the span {span.name[:60]!r} has no span id of {_SPAN_ID} bytes.")
    parent = span.parent_span_id
    record = Record(
        id=span.span_id.hex(),
        name=span.name,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano or None,
        parent_id=parent.hex().rjust(2 * _SPAN_ID, "0")[-2 * _SPAN_ID :] if any(parent) else None,
        kind=span.kind if 0 < span.kind < len(KINDS) else INTERNAL,
        status=span.status.code if span.status.code in (0, 1, 2) else 0,
        message=span.status.message,
        attributes={pair.key: _unwrapped(_value(pair.value)) for pair in span.attributes},
        events=[Event(one.name, one.time_unix_nano, _attributes(one.attributes)) for one in span.events],
        links=[
            Link(one.trace_id.hex(), one.span_id.hex(), _attributes(one.attributes) or None)
            for one in span.links
            if len(one.trace_id) == _TRACE_ID and len(one.span_id) == _SPAN_ID
        ],
        trace_state=span.trace_state,
    )
    return f"tr-{span.trace_id.hex()}", record


def _attributes(pairs: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf's messages
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:  # noqa: ANN401 - protobuf's message
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)


def _unwrapped(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Decode an attribute that is JSON text, as MLflow does: some of its clients send all attributes so, and what other
    exporters have to say of inputs and outputs is JSON text, too. A number or a word stays text.
    """
    if not isinstance(value, str) or value[:1] not in ('"', "{", "["):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
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


def _count(data: memoryview, fields: _Fields, count: int, depth: int) -> int:
    """Count the elements of an encoded message, and of those in it: an empty one takes two bytes here, and a hundred
    times as many once it is decoded. Raises TOO_LARGE, and INVALID for what is no message.
    """
    if depth > _MOST_DEPTH:
        raise invalid("Invalid OpenTelemetry format: the body is nested too deeply.")
    place, end = 0, len(data)
    while place < end:
        tag, place = _read_varint(data, place)
        kind = tag & 7
        count += 1
        if count > _MOST_ELEMENTS:
            raise _too_many()
        if kind == 0:
            _, place = _read_varint(data, place)
        elif kind == 1:
            place += 8
        elif kind == 5:
            place += 4
        elif kind == 2:
            size, place = _read_varint(data, place)
            inner = fields.get(tag >> 3)
            if inner is not None:
                count = _count(data[place : place + size], inner, count, depth + 1)
            place += size
        else:
            raise _unreadable()
    return count


def _read_varint(data: memoryview, place: int) -> tuple[int, int]:
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
    return invalid("Invalid OpenTelemetry format: the body is no ExportTraceServiceRequest, or is cut off.")

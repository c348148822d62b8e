"""Spans as they are stored, and the shapes in which clients send and fetch them.

Stored are lines of JSON, so that parts can be joined without being read, and so that reading them needs no decoder of
protocol buffers. MLflow's `traces.json`, which old clients send and fetch, is stored as it came.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any

import msgspec

from mltrail_server.domain import span_facts
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.spans import Span, SpanEvent

KINDS = (
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
)
INTERNAL = 1
STATUSES = ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")
STATES = ("UNSET", "OK", "ERROR")
_PREFIX = "tr-"
_HEX_ID = re.compile(r"tr-[0-9a-f]{32}")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_MOST_DEPTH = 100  # as deep as messages of protocol buffers are
_MAX_INT64 = 2**63
_MAX_UINT64 = 2**64

Attributes = dict[str, Any]


class Encoding(IntEnum):
    """What the bytes of a part are once they are decompressed."""

    LINES = 1  # one span a line
    TRACES_JSON = 2  # MLflow's file, as a client sent it


class Event(msgspec.Struct, omit_defaults=True):
    name: str
    at: int  # nanoseconds since the epoch
    attributes: Attributes = {}


class Link(msgspec.Struct, omit_defaults=True):
    """A span of this trace or another that this one has to do with. Both ids are in hexadecimal."""

    trace_id: str
    span_id: str
    attributes: Attributes | None = None


class Record(msgspec.Struct, omit_defaults=True):
    """A span as it is stored: ids in hexadecimal, times in nanoseconds since the epoch, attributes decoded.

    `kind` and `status` are OpenTelemetry's numbers.
    """

    id: str
    name: str
    start: int
    end: int | None = None
    parent_id: str | None = None
    kind: int = INTERNAL
    status: int = 0
    message: str = ""
    attributes: Attributes = {}
    events: list[Event] = []
    links: list[Link] = []
    trace_state: str = ""


class _TracesJson(msgspec.Struct):
    spans: list[msgspec.Raw]


_LINE = msgspec.json.Decoder(Record)
_TRACES_JSON = msgspec.json.Decoder(_TracesJson)
_ENCODER = msgspec.json.Encoder()


def lines(records: Iterable[Record]) -> bytes:
    """Encode spans as they are stored."""
    return b"".join(line(record) for record in records)


def of_lines(data: bytes) -> list[Record]:
    found = []
    for encoded in data.split(b"\n")[:-1]:
        try:
            found.append(_LINE.decode(encoded))
        except msgspec.DecodeError:  # NaN and Infinity, which JSON does not have
            found.append(msgspec.convert(json.loads(encoded), Record))
    return found


def of_traces_json(data: bytes) -> Iterator[Record]:
    """Read MLflow's `traces.json`, span by span. Raises INVALID for anything else."""
    for span in _spans_of(data):
        try:
            record = _of_mlflow(_json(span) if isinstance(span, msgspec.Raw) else span)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, msgspec.ValidationError) as error:
            raise invalid(f"A span in traces.json can't be read: {type(error).__name__}: {error!s:.200}.") from error
        yield record


def as_traces_json(trace_id: str, records: Iterable[Record]) -> bytes:
    """Write MLflow's `traces.json`: ids in base64, attributes as JSON text."""
    return json.dumps({"spans": [_as_mlflow(trace_id, one) for one in records]}, ensure_ascii=False).encode()


def as_message(trace_id: str, record: Record) -> dict[str, Any]:
    """Write a span as JSON of OpenTelemetry's message `Span`, as MLflow's `traces/get` returns it."""
    message: dict[str, Any] = {
        "trace_id": _base64(otel_id(trace_id)),
        "span_id": _base64(record.id),
        "name": record.name,
        "kind": KINDS[record.kind],
        "start_time_unix_nano": record.start,
        "attributes": _pairs({span_facts.TRACE_ID: trace_id, **record.attributes}),
        "status": {
            **({"message": record.message} if record.message else {}),
            **({"code": STATUSES[record.status]} if record.status else {}),
        },
    }
    if record.parent_id:
        message["parent_span_id"] = _base64(record.parent_id)
    if record.end is not None:
        message["end_time_unix_nano"] = record.end
    if record.trace_state:
        message["trace_state"] = record.trace_state
    if record.events:
        message["events"] = [
            {"time_unix_nano": one.at, "name": one.name, "attributes": _pairs(one.attributes)} for one in record.events
        ]
    if record.links:
        message["links"] = [
            {
                "trace_id": _base64(one.trace_id),
                "span_id": _base64(one.span_id),
                "attributes": _pairs(one.attributes or {}),
            }
            for one in record.links
        ]
    return message


def as_messages(trace_id: str, records: Iterable[Record]) -> msgspec.Raw:
    """Write the list of these messages. Each is encoded before the next is made: they take much more memory then."""
    return msgspec.Raw(b"[" + b",".join(_ENCODER.encode(as_message(trace_id, one)) for one in records) + b"]")


def as_span(record: Record) -> Span:
    given = record.attributes
    kind = given.get(span_facts.TYPE)
    return Span(
        id=record.id,
        name=record.name,
        started_ns=record.start,
        parent_id=record.parent_id,
        ended_ns=record.end,
        status=STATES[record.status],
        status_message=record.message,
        type=kind if isinstance(kind, str) and kind else span_facts.UNKNOWN_TYPE,
        inputs=given.get(span_facts.INPUTS),
        outputs=given.get(span_facts.OUTPUTS),
        attributes=given,
        events=tuple(SpanEvent(one.name, one.at, one.attributes) for one in record.events),
    )


def compact(value: object) -> str:
    """Write a value as MLflow writes JSON into tags and metadata."""
    return json.dumps(value, ensure_ascii=False)


def otel_id(trace_id: str) -> str:
    """Return OpenTelemetry's id of a trace, in hexadecimal. An id that none was derived from gets zeros."""
    return trace_id.removeprefix(_PREFIX) if _HEX_ID.fullmatch(trace_id) else "0" * 32


def joined(parts: Sequence[list[Record]]) -> list[Record]:
    """Join the parts of a trace in the order in which they came. A span that was sent again replaces the earlier one.
    The root comes first, then spans by their beginning, as MLflow has them.
    """
    by_id = {record.id: record for records in parts for record in records}
    return sorted(by_id.values(), key=lambda one: (one.parent_id is not None, one.start))


def line(record: Record) -> bytes:
    encoded = _ENCODER.encode(record) + b"\n"
    if b"null" not in encoded or not _has_infinite(msgspec.to_builtins(record)):
        return encoded
    # msgspec writes NaN as null, and a metric that is not a number is not one that is missing.
    return json.dumps(msgspec.to_builtins(record), ensure_ascii=False).encode() + b"\n"


def _has_infinite(value: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(value, float):
        return value != value or value in (float("inf"), float("-inf"))  # noqa: PLR0124 - NaN
    if isinstance(value, dict):
        return any(_has_infinite(one) for one in value.values())
    return isinstance(value, list) and any(_has_infinite(one) for one in value)


def _spans_of(data: bytes) -> Sequence[Any]:
    """Find the spans, and leave them encoded if possible: a large file takes several times its size once it is read."""
    try:
        found: Sequence[Any] = _TRACES_JSON.decode(data).spans
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        whole = _json(data)
        if not isinstance(whole, dict) or not isinstance(whole.get("spans"), list):
            raise invalid('traces.json must be a JSON object with a list of spans: {"spans": […]}.') from None
        found = whole["spans"]
    return found


def _json(data: bytes | msgspec.Raw) -> Any:  # noqa: ANN401 - any JSON
    try:
        return msgspec.json.decode(data)
    except RecursionError as error:
        raise invalid("traces.json is nested too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        found = json.loads(bytes(data))  # Python's clients write bare NaN
        msgspec.json.encode(found)  # refuses half characters, which can't be stored
    except RecursionError as error:
        raise invalid("traces.json is nested too deeply.") from error
    except ValueError as error:
        raise invalid(f"traces.json is not JSON: {str(error)[:200]}.") from error
    return found


def _of_mlflow(span: Mapping[str, Any]) -> Record:
    if "context" in span:
        return _of_old_mlflow(span)
    status = span.get("status") or {}
    kind = span.get("kind")
    record = {
        "id": _id(span["span_id"], 8),
        "name": span["name"],
        "start": int(span["start_time_unix_nano"]),
        "end": int(span["end_time_unix_nano"]) if span.get("end_time_unix_nano") else None,
        "parent_id": _id(span["parent_span_id"], 8) if span.get("parent_span_id") else None,
        "kind": KINDS.index(kind) if kind in KINDS else INTERNAL,
        "status": _status(status.get("code")),
        "message": status.get("message") or "",
        "attributes": {key: loaded(value) for key, value in (span.get("attributes") or {}).items()},
        "events": [_event(one) for one in span.get("events") or ()],
        "links": [_link(one) for one in span.get("links") or ()],
    }
    return msgspec.convert(record, Record)


def _of_old_mlflow(span: Mapping[str, Any]) -> Record:
    """Read a span of MLflow 2."""
    record = {
        "id": _id(span["context"]["span_id"], 8),
        "name": span["name"],
        "start": int(span["start_time"]),
        "end": int(span["end_time"]) if span.get("end_time") else None,
        "parent_id": _id(span["parent_id"], 8) if span.get("parent_id") else None,
        "status": _status(span.get("status_code")),
        "message": span.get("status_message") or "",
        "attributes": {key: loaded(value) for key, value in (span.get("attributes") or {}).items()},
        "events": [_event(one) for one in span.get("events") or ()],
    }
    return msgspec.convert(record, Record)


def _status(code: object) -> int:
    """Read a status by OpenTelemetry's name, or by MLflow's, which some versions wrote."""
    for names in (STATUSES, STATES):
        if code in names:
            return names.index(str(code))
    return 0


def _event(given: Mapping[str, Any]) -> dict[str, Any]:
    at = given["time_unix_nano"] if "time_unix_nano" in given else given["timestamp"]
    return {"name": given["name"], "at": int(at), "attributes": _within_depth(dict(given.get("attributes") or {}))}


def _link(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "trace_id": str(given["trace_id"]).rpartition("/")[2].removeprefix(_PREFIX),
        "span_id": str(given["span_id"]),
        "attributes": _within_depth(given.get("attributes")),
    }


def _as_mlflow(trace_id: str, record: Record) -> dict[str, Any]:
    attributes = {span_facts.TRACE_ID: trace_id, **record.attributes}
    return {
        "trace_id": _base64(otel_id(trace_id)),
        "span_id": _base64(record.id),
        "parent_span_id": _base64(record.parent_id) if record.parent_id else None,
        "name": record.name,
        "kind": KINDS[record.kind],
        "start_time_unix_nano": record.start,
        "end_time_unix_nano": record.end,
        "events": [{"name": one.name, "time_unix_nano": one.at, "attributes": one.attributes} for one in record.events],
        "status": {"code": STATUSES[record.status], "message": record.message},
        "attributes": {key: json.dumps(value, ensure_ascii=False) for key, value in attributes.items()},
        "links": [
            {"trace_id": _PREFIX + one.trace_id, "span_id": one.span_id, "attributes": one.attributes}
            for one in record.links
        ],
    }


def loaded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Decode an attribute, which MLflow's clients send as JSON text. What is no JSON stays text, and so does what is
    nested too deeply to be shown, and what has half characters, which can't be stored. Raises ValueError for a value
    that is no text and nested too deeply.
    """
    if not isinstance(value, str):
        return _within_depth(value)
    try:
        found = json.loads(value)
        if _HALF.search(value):
            json.dumps(found, ensure_ascii=False).encode()
        return _within_depth(found) if value.count("[") + value.count("{") > _MOST_DEPTH else found
    except (ValueError, RecursionError):
        return value


def _within_depth(value: Any, left: int = _MOST_DEPTH) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict | list):
        if not left:
            raise ValueError(f"a value is nested more than {_MOST_DEPTH} levels deep")
        for one in value.values() if isinstance(value, dict) else value:
            _within_depth(one, left - 1)
    return value


def _id(text: str, size: int) -> str:
    """Read an id of this many bytes, in base64 as MLflow writes it, or in hexadecimal as some versions did."""
    if len(text.removeprefix("0x")) == 2 * size:
        return bytes.fromhex(text.removeprefix("0x")).hex()
    try:
        return base64.b64decode(text, validate=True).hex().rjust(2 * size, "0")
    except binascii.Error as error:
        raise ValueError(f"{text[:40]!r} is not the id of a span") from error


def _base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def _pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value)} for key, value in attributes.items()]


def _any_value(value: Any) -> dict[str, Any]:  # noqa: ANN401, PLR0911 - any JSON, a case per type
    """Write a value as JSON of OpenTelemetry's message `AnyValue`."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, int):
        return {"int_value": value} if -_MAX_INT64 <= value < _MAX_INT64 else {"string_value": str(value)}
    if isinstance(value, float):
        return {"double_value": _double(value)}
    if isinstance(value, dict):
        return {"kvlist_value": {"values": _pairs(value)}}
    if isinstance(value, list):
        return {"array_value": {"values": [_any_value(one) for one in value]}}
    return {"string_value": str(value)}


def _double(value: float) -> float | str:
    """Write what JSON has no number for as protocol buffers do."""
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    return "Infinity" if value == float("inf") else "-Infinity" if value == float("-inf") else value

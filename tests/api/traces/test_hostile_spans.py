"""Requests that are no spans, or too many: each is refused with a reason, in bounded memory."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mltrail_server.domain import limits
from mltrail_server.services.traces import otlp
from tests.api.traces.caller import Traces
from tests.api.traces.exporter import PROTOBUF, TRACE, message, send, span, status_of, stored
from tests.api.traces.traces_json import ID, fetch, file_of, put
from tests.mlflow_client import failure, good

JSON = "application/json"
GOOD = message([span(attributes={"a": "b"})])
BOMB_SIZE = 100 * 1024**2


def nested(depth: int) -> bytes:
    """Encode arrays in arrays by hand: protobuf refuses to do it."""
    value = b""
    for _ in range(depth):
        array = field(1, value)
        value = field(5, array)
    attribute = field(9, field(1, b"deep") + field(2, value))
    one = field(1, bytes.fromhex(TRACE)) + field(2, b"12345678") + attribute
    return field(1, field(2, field(2, one)))


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def with_ids(**ids: bytes) -> bytes:
    one = span()
    for name, value in ids.items():
        setattr(one, name, value)
    return message([one])


def in_json(**fields: Any) -> bytes:
    one = {"traceId": TRACE, "spanId": "b7ad6b7169203331", "name": "a", **fields}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}).encode()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (PROTOBUF, b""),
        (PROTOBUF, b"\xff" * 100),
        (PROTOBUF, b"not a message"),
        (PROTOBUF, GOOD[:-3]),
        (PROTOBUF, GOOD.replace(b"agent", b"\xff\xfe\xfd\xfc\xfb")),  # no UTF-8
        (PROTOBUF, ExportTraceServiceRequest().SerializeToString()),
        (PROTOBUF, nested(200)),
        (PROTOBUF, with_ids(trace_id=b"short")),
        (PROTOBUF, with_ids(trace_id=bytes(16))),
        (PROTOBUF, with_ids(span_id=b"")),
        (JSON, b"{}"),
        (JSON, b"[]"),
        (JSON, b"7"),
        (JSON, b'{"resourceSpans": 7}'),
        (JSON, b'{"resourceSpans": [7]}'),
        (JSON, b'{"resourceSpans": [{"scopeSpans": [{"spans": ["x"]}]}]}'),
        (JSON, b'{"resourceSpans":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        (JSON, in_json(traceId="xyz")),
        (JSON, in_json(traceId=7)),
        (JSON, in_json(startTimeUnixNano="soon")),
        (JSON, in_json(startTimeUnixNano=-1)),
        (JSON, in_json(name={"a": 1})),
        (JSON, in_json(name="\ud800")),
        (JSON, in_json(attributes=[{"key": "a", "value": {"intValue": 1, "stringValue": "b"}}])),
    ],
)
def test_what_is_no_request_is_refused_and_nothing_is_stored(traces: Traces, kind: str, body: bytes) -> None:
    status, code, text = status_of(send(traces, body=body, kind=kind))
    assert (status, code) == (400, 3)
    assert text.startswith("Invalid OpenTelemetry format"), text
    assert traces.refused("3.0", "GET", f"/tr-{TRACE}")[0] == 404


def test_what_newer_exporters_add_is_ignored(traces: Traces) -> None:
    assert send(traces, body=in_json(flags=257, fromTheFuture={"a": [1]}, kind=99), kind=JSON).status_code == 200
    assert stored(traces)[0]["kind"] == "SPAN_KIND_INTERNAL"


@pytest.mark.parametrize(
    ("encoding", "body", "says"),
    [
        ("gzip", GOOD, "can't be decompressed"),
        ("gzip", gzip.compress(GOOD, mtime=0)[:-9], "is cut off"),
        ("deflate", b"\x78\x9c" + b"\xff" * 9, "can't be decompressed"),
        ("deflate", b"", "is cut off"),
        ("br", GOOD, "Content-Encoding 'br' is not supported"),
        ("gzip, gzip", gzip.compress(gzip.compress(GOOD, mtime=0), mtime=0), "is not supported"),
    ],
    ids=["no gzip", "gzip cut off", "no deflate", "nothing", "brotli", "twice"],
)
def test_what_can_not_be_unpacked_is_refused(traces: Traces, encoding: str, body: bytes, says: str) -> None:
    status, code, text = status_of(send(traces, body=body, headers={"Content-Encoding": encoding}))
    assert (status, code) == (400, 3)
    assert says in text


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", lambda body: gzip.compress(body, 1)), ("deflate", lambda body: zlib.compress(body, 1))],
)
def test_a_bomb_is_refused_before_it_takes_memory(
    traces: Traces, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    bomb = pack(b"\x00" * BOMB_SIZE)

    peak, answer = measured(lambda: send(traces, body=bomb, headers={"Content-Encoding": encoding}))

    assert status_of(answer)[:2] == (413, 8)
    assert peak < 4 * limits.MAX_TRACE_BYTES


IDS = field(1, bytes.fromhex(TRACE)) + field(2, b"12345678")


@pytest.mark.parametrize(
    "spans",
    [
        field(2, IDS) * 1_000,
        field(2, IDS + b"\x4a\x00" * 300_000),  # a span of empty attributes
        field(2, IDS + field(9, field(2, field(5, b"\x0a\x00" * 300_000)))),  # of an array of nothings
        field(2, IDS + field(9, field(2, field(5, b"\x0a\x00" * 4_000)))) * 3,
    ],
    ids=["spans", "attributes", "values", "arrays"],
)
def test_too_many_elements_are_refused_before_they_take_memory(
    traces: Traces, spans: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a smaller limit than there is, for a faster test."""
    monkeypatch.setattr(otlp, "_MOST_ELEMENTS", 10_000)
    peak, answer = measured(lambda: send(traces, body=field(1, field(2, spans))))

    status, code, text = status_of(answer)
    assert (status, code) == (413, 8)
    assert "attributes and values" in text
    assert peak < 8 * 1024**2


def test_millions_of_empty_elements_in_json(traces: Traces) -> None:
    body = in_json(attributes=[{}]).replace(b"[{}]", b"[" + b"{}," * 3_000_000 + b"{}]")
    peak, answer = measured(lambda: send(traces, body=body, kind=JSON))
    assert status_of(answer)[:2] == (413, 8)
    assert peak < 4 * limits.MAX_TRACE_BYTES


def test_a_body_that_is_larger_than_a_trace_may_be(traces: Traces) -> None:
    one = span(attributes={"mlflow.spanInputs": "x" * (limits.MAX_TRACE_BYTES + 1)})
    status, code, text = status_of(send(traces, one))
    assert (status, code) == (413, 8)
    assert str(limits.MAX_TRACE_BYTES) in text


def test_a_large_message_is_counted_and_read(traces: Traces) -> None:
    """What is too large to be read without being counted first is read like anything else."""
    given = {f"key {number}": {"a": [number, "x" * 1000]} for number in range(1500)}
    body = message([span(attributes=given)])
    assert len(body) > otlp._COUNTED_FROM
    assert send(traces, body=body).status_code == 200
    assert stored(traces)[0]["attributes"] == {"mlflow.traceRequestId": f"tr-{TRACE}", **given}
    status = status_of(send(traces, body=body[:-7]))
    assert status[:2] == (400, 3)


def test_names_are_inert_and_storable(traces: Traces) -> None:
    """NUL and very long names, which PostgreSQL refuses, and keys that no tag may have."""
    hostile = {"service.name": "a\x00b", "../../etc": "x", "": "y", "k" * 300: "z"}
    name = "<script>\x00" + "n" * 5000
    one = span(name=name, attributes={"mlflow.spanType": "T" * 500, "mlflow.traceTag.\x00": "x", "\x00": "\x00"})
    assert send(traces, body=message([one], hostile)).status_code == 200
    assert stored(traces)[0]["name"] == name
    tags = traces.info(f"tr-{TRACE}")["tags"]
    assert tags["service.name"] == "a\ufffdb"
    assert not {"../../etc", "", "k" * 300}.intersection(tags)


HOSTILE_TEXTS = ('{"a":' * 900 + "1" + "}" * 900, "[" * 5000, r'"\ud800"', r'"a\u0000b"', "NaN")


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_json_text_in_attributes_is_read_as_far_as_it_can_be_shown(traces: Traces, text: str) -> None:
    """Deep JSON, half characters and NUL: what is sent as text comes back, and no search or page fails for it."""
    given = dict.fromkeys(("mlflow.spanInputs", "mlflow.spanOutputs", "session.id", "user.id"), text)
    assert send(traces, span(attributes=given)).status_code == 200
    traces.start(ID)
    assert put(traces, file_of(1, 2, **given)).status_code == 200
    traces.start(ID, trace_metadata={"mlflow.trace.sizeStats": text})
    answer = traces.call("GET", "api/3.0/mlflow/traces/get", query_string={"trace_id": ID})
    assert len(good(answer)["trace"]["spans"]) == 2
    assert len(json.loads(fetch(traces))["spans"]) == 2
    assert traces.info(ID)["trace_id"] == ID


@pytest.mark.parametrize("where", ["attributes", "events"])
def test_values_that_are_nested_too_deeply_are_refused(traces: Traces, where: str) -> None:
    traces.start(ID)
    file = json.loads(file_of(1))
    deep: Any = 1
    for _ in range(101):
        deep = [deep]
    given = {"deep": deep}
    event = {"name": "exception", "time_unix_nano": 1, "attributes": given}
    file["spans"][0][where] = given if where == "attributes" else [event]
    status, code, said = failure(put(traces, json.dumps(file).encode()))
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "nested more than 100 levels deep" in said


def measured(work: Callable[[], Any]) -> tuple[int, Any]:
    """Return how many bytes Python allocated at most while this ran, and its result."""
    tracemalloc.start()
    try:
        result = work()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()

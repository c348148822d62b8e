"""Spans as an OpenTelemetry exporter sends them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from werkzeug.test import TestResponse

from tests.mlflow_client import Mlflow

PROTOBUF = "application/x-protobuf"
TRACE = "0af7651916cd43dd8448eb211c80319c"
ROOT = "b7ad6b7169203331"
STARTED = 1_795_890_258_176_001_834


def span(
    number: int | str = ROOT,
    *,
    trace: str = TRACE,
    parent: str | None = None,
    name: str = "agent",
    status: int = 1,
    attributes: Mapping[str, Any] | None = None,
    at: int = 0,
    lasts: int | None = 13_000_000,
) -> Span:
    """Make a span; `at` is how many nanoseconds after `STARTED` it begins, and `lasts` how many it takes."""
    span_id = number if isinstance(number, str) else f"{number:016x}"
    return Span(
        trace_id=bytes.fromhex(trace),
        span_id=bytes.fromhex(span_id),
        parent_span_id=bytes.fromhex(parent or ""),
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=STARTED + at,
        end_time_unix_nano=STARTED + at + lasts if lasts is not None else 0,
        status={"code": status},
        attributes=pairs(attributes or {}),
    )


def pairs(given: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value_of(value)) for key, value in given.items()]


def value_of(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=pairs(value)))
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[value_of(one) for one in value]))
    return AnyValue() if value is None else AnyValue(string_value=value)


def message(spans: Iterable[Span], resource: Mapping[str, Any] | None = None) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {}))
    group.scope_spans.add().spans.extend(spans)
    return request.SerializeToString()


def send(
    mlflow: Mlflow,
    *spans: Span,
    body: bytes | None = None,
    experiment: str | None = "0",
    kind: str = PROTOBUF,
    headers: Mapping[str, str] | None = None,
) -> TestResponse:
    sent = {"Content-Type": kind, **({"x-mlflow-experiment-id": experiment} if experiment else {}), **(headers or {})}
    return mlflow.call("POST", "v1/traces", data=message(spans) if body is None else body, headers=sent)


def stored(mlflow: Mlflow, trace: str = TRACE) -> list[dict[str, Any]]:
    """Read the spans of a trace as MLflow's pages do, with decoded attributes."""
    answer = mlflow.call("GET", "ajax-api/3.0/mlflow/get-trace-artifact", query_string={"request_id": f"tr-{trace}"})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    spans = json.loads(answer.data)["spans"]
    for one in spans:
        one["attributes"] = {key: json.loads(value) for key, value in one["attributes"].items()}
    return list(spans)


def status_of(answer: TestResponse) -> tuple[int, int, str]:
    """Read an error: HTTP's status, gRPC's code, and the sentence."""
    assert answer.status_code >= 400
    if answer.mimetype == "application/json":
        body = answer.get_json()
        assert set(body) == {"code", "message"}
        return answer.status_code, body["code"], body["message"]
    found = Status.FromString(answer.data)
    return answer.status_code, found.code, found.message

"""Spans as OpenTelemetry's exporters send them: https://opentelemetry.io/docs/specs/otlp/#otlphttp."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from tests.api.traces.exporter import PROTOBUF, ROOT, STARTED, TRACE, send, span, stored
from tests.mlflow_client import Mlflow

GIVEN = {
    "mlflow.spanInputs": {"question": "How long is a return?", "limit": 3},
    "mlflow.spanOutputs": ["30 days", 0.75, True, None],
    "mlflow.spanType": "AGENT",
    "temperature": 0.2,
    "n": 7,
}


def test_what_an_exporter_sends_is_read_back(mlflow: Mlflow) -> None:
    child = span(2, parent=ROOT, name="search", at=1_000, attributes={"mlflow.spanType": "TOOL"})

    answer = send(mlflow, child, span(attributes=GIVEN))

    assert (answer.status_code, answer.content_type) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.data) == ExportTraceServiceResponse()
    root, second = stored(mlflow)
    assert root["attributes"] == {"mlflow.traceRequestId": f"tr-{TRACE}", **GIVEN}
    assert (root["name"], root["parent_span_id"], root["status"]["code"]) == ("agent", None, "STATUS_CODE_OK")
    assert (root["start_time_unix_nano"], root["end_time_unix_nano"]) == (STARTED, STARTED + 13_000_000)
    assert (second["name"], second["parent_span_id"]) == ("search", root["span_id"])

"""OpenTelemetry's protocol over HTTP: https://opentelemetry.io/docs/specs/otlp/#otlphttp.

The URL is the one that MLflow's clients and MLflow's documentation for OpenTelemetry's exporters use; the experiment
is named by a header. Answers and errors are OpenTelemetry's messages, in the encoding of the request. They are simple,
and written here, so that a server without the extra `traces` can say what it lacks. MLflow's own clients read MLflow's
errors.
"""

import json

from flask import Request, Response

from mltrail_server.domain import limits
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.http.bodies import read_body
from mltrail_server.http.call import Call
from mltrail_server.services.traces import spans

from .wire import OTLP_PATH, experiment_number

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_EXPERIMENT = "x-mlflow-experiment-id"
_RUN = "x-mlflow-run-id"
_MLFLOW = "mlflow-python-client/"

_GRPC_CODES = {
    Code.INVALID: 3,
    Code.NOT_FOUND: 5,
    Code.ALREADY_EXISTS: 6,
    Code.CONFLICT: 9,
    Code.UNAUTHENTICATED: 16,
    Code.FORBIDDEN: 7,
    Code.LIMIT: 8,
    Code.QUOTA: 8,
    Code.UNAVAILABLE: 14,
    Code.NOT_IMPLEMENTED: 12,
    Code.NO_ENDPOINT: 12,
    Code.NO_METHOD: 12,
    Code.TOO_LARGE: 8,
    Code.SLOW: 4,
    Code.INTERNAL: 13,
}
"""https://grpc.io/docs/guides/status-codes/"""


def receive(call: Call) -> Response:
    """Store spans. Some of a request's traces may be refused, which the answer says."""
    spans.check_can_receive()
    kind = call.request.mimetype
    if kind not in (PROTOBUF, JSON):
        raise invalid(f"Invalid Content-Type: {kind or 'none'}. Expected: {PROTOBUF} or {JSON}.")
    experiment_id = call.request.headers.get(_EXPERIMENT, "")
    if not experiment_id:
        raise invalid(
            f"The header {_EXPERIMENT} is missing: it names the experiment that the traces belong to. With "
            f"OpenTelemetry's exporters, set OTEL_EXPORTER_OTLP_TRACES_HEADERS to {_EXPERIMENT}=<id>."
        )
    rejected, why = spans.receive(
        call.scope,
        experiment_number(experiment_id),
        read_body(call.request, most=limits.MAX_TRACE_BYTES),
        as_json=kind == JSON,
        encoding=call.request.headers.get("Content-Encoding", "").strip().lower(),
        run_eid=call.request.headers.get(_RUN) or None,
    )
    return Response(_answer(kind, rejected, why), content_type=kind)


def wants_status(request: Request) -> bool:
    """Return whether an error is to be said in OpenTelemetry's words: MLflow's clients read MLflow's."""
    return request.path.endswith(OTLP_PATH) and not request.headers.get("User-Agent", "").startswith(_MLFLOW)


def render(error: MltrailError, request: Request, status: int, message: str) -> Response:
    kind = JSON if request.mimetype == JSON else PROTOBUF
    return Response(_status(kind, _GRPC_CODES[error.code], message), status=status, content_type=kind)


def _answer(content_type: str, rejected: int = 0, why: str = "") -> bytes:
    """Encode an `ExportTraceServiceResponse`."""
    if content_type == JSON:
        return json.dumps(
            {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": why}} if rejected or why else {}
        ).encode()
    if not rejected and not why:
        return b""
    text = why.encode()
    inner = (b"\x08" + _varint(rejected) if rejected else b"") + b"\x12" + _varint(len(text)) + text
    return b"\x0a" + _varint(len(inner)) + inner


def _status(content_type: str, code: int, message: str) -> bytes:
    """Encode a `google.rpc.Status`, which says why nothing was accepted: one of gRPC's codes, and a sentence."""
    if content_type == JSON:
        return json.dumps({"code": code, "message": message}).encode()
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])

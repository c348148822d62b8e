"""MLflow's `traces.json`, sent and fetched as its clients do."""

import base64
import json
from typing import Any

from werkzeug.test import TestResponse

from tests.api.traces.exporter import TRACE
from tests.mlflow_client import FILES, Mlflow, good

ID = f"tr-{TRACE}"
FOLDER = f"0/traces/{ID}/artifacts"
FILE = f"{FOLDER}/traces.json"
ATTACHMENT = f"{FOLDER}/attachments/0b0e7a0e-5f0a-4a53-9d1e-111111111111"


def file_of(*numbers: int, **attributes: str) -> bytes:
    """Write a file as MLflow 3.18 does: ids in base64, each attribute as JSON text."""
    spans = [
        {
            "trace_id": "CvdlGRbNQ92ESOshHIAxnA==",
            "span_id": "t61rcWkgMzE=" if number == 1 else "AAAAAAAAAAI=",
            "parent_span_id": None if number == 1 else "t61rcWkgMzE=",
            "name": f"step {number}",
            "kind": "SPAN_KIND_INTERNAL",
            "start_time_unix_nano": 1795890258176001834 + number,
            "end_time_unix_nano": 1795890258176827392,
            "events": [],
            "status": {"code": "STATUS_CODE_OK", "message": ""},
            "attributes": {"mlflow.traceRequestId": json.dumps(ID), "mlflow.spanInputs": '{"x": "ä"}', **attributes},
            "links": [],
        }
        for number in numbers
    ]
    return json.dumps({"spans": spans}, ensure_ascii=False).encode()


def put(mlflow: Mlflow, body: bytes, path: str = FILE) -> TestResponse:
    return mlflow.call("PUT", f"{FILES}/{path}", data=body)


def fetch(mlflow: Mlflow, path: str = FILE) -> bytes:
    answer = mlflow.call("GET", f"{FILES}/{path}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.data


def send_spans(mlflow: Mlflow, trace_id: str, *spans: dict[str, Any]) -> None:
    """Send the spans of a trace as MLflow's file: each with name, type, status and other attributes."""
    written = [
        {
            "trace_id": "6L2KR9lGRrCBlXodOCkrDA==",
            "span_id": base64.b64encode(bytes([number + 1] * 8)).decode(),
            "parent_span_id": None,
            "name": span["name"],
            "start_time_unix_nano": 1,
            "end_time_unix_nano": 2,
            "events": [],
            "status": {"code": f"STATUS_CODE_{span.get('status', 'OK')}", "message": ""},
            "attributes": {
                "mlflow.traceRequestId": json.dumps(trace_id),
                "mlflow.spanType": json.dumps(span.get("type", "UNKNOWN")),
                **{key: json.dumps(value) for key, value in span.get("attributes", {}).items()},
            },
        }
        for number, span in enumerate(spans)
    ]
    good(put(mlflow, json.dumps({"spans": written}).encode(), FILE.replace(ID, trace_id)))

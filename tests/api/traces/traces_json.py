"""MLflow's `traces.json`, sent and fetched as its clients do."""

import json

from werkzeug.test import TestResponse

from tests.api.traces.exporter import TRACE
from tests.mlflow_client import FILES, Mlflow

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

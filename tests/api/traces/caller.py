"""Traces that a caller logs, as MLflow's clients of today and of MLflow 2 do."""

import json
from typing import Any

from flask.testing import FlaskClient

from tests.mlflow_client import Mlflow, failure, good


class Traces(Mlflow):
    """Calls `<base>/api/3.0/mlflow/traces…`, and with `two` in a method's name `<base>/api/2.0/mlflow/traces…`."""

    def three(self, method: str, path: str = "", **fields: Any) -> Any:
        return good(self._send("3.0", method, path, fields))

    def two(self, method: str, path: str = "", **fields: Any) -> Any:
        return good(self._send("2.0", method, path, fields))

    def refused(self, version: str, method: str, path: str = "", **fields: Any) -> tuple[int, str, str]:
        return failure(self._send(version, method, path, fields))

    def start(self, trace_id: str = "tr-1", **fields: Any) -> Any:
        return self.three("POST", trace=a_trace(trace_id, **fields))["trace"]["trace_info"]

    def info(self, trace_id: str = "tr-1") -> Any:
        return self.three("GET", f"/{trace_id}")["trace"]["trace_info"]

    def assess(self, trace_id: str, name: str, value: object, **more: Any) -> None:
        """Say something of a trace: a value that is a dictionary is an expectation."""
        what = {"feedback": {"value": value}}
        if isinstance(value, dict):
            text = json.dumps(value["expected"])
            what = {"expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": text}}}
        said = {"assessment_name": name, "source": {"source_type": "CODE", "source_id": "test"}, **what, **more}
        self.three("POST", f"/{trace_id}/assessments", assessment=said)

    def _send(self, version: str, method: str, path: str, fields: dict[str, Any]) -> Any:
        carried = {"query_string": fields} if method == "GET" else {"json": fields}
        return self.call(method, f"api/{version}/mlflow/traces{path}", **carried)


def a_trace(trace_id: str = "tr-1", *, experiment: str = "0", **fields: Any) -> dict[str, Any]:
    """Describe a trace as a client does."""
    info = {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2026-11-28T18:24:18.176Z",
        "execution_duration": "0.305s",
        "state": "OK",
        "trace_metadata": {"mlflow.trace_schema.version": "3"},
        "tags": {"mlflow.traceName": "agent"},
        "request_preview": '{"x": "a"}',
        "response_preview": '"b"',
    }
    return {"trace_info": {key: value for key, value in (info | fields).items() if value is not None}}


def traces_by(client: FlaskClient, token: str) -> Traces:
    return Traces(client, project="42", token=token)

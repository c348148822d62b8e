"""How much a client may send, and what the error says when it sends more."""

import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.domain import limits
from tests.mlflow_client import LOCAL_TOKEN, Mlflow, failure

LONG = "x" * 100_001
MANY = [{"key": f"k{number}", "value": "v"} for number in range(1001)]


def send(client: FlaskClient, body: "Endless", **environ: str) -> tuple[int, str, str]:
    return failure(
        client.post(
            "/api/v4/projects/1/ml/mlflow/api/2.0/mlflow/runs/search",
            content_type="application/json",
            headers={"Authorization": f"Bearer {LOCAL_TOKEN}"},
            environ_overrides={"wsgi.input": body, **environ},
        )
    )


class Endless(io.RawIOBase):
    """A body that never ends, and counts what was read of it."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b" " * len(buffer)
        self.read_bytes += len(buffer)
        return len(buffer)


def test_a_body_that_is_announced_as_too_large_is_refused_unread(client: FlaskClient) -> None:
    body = Endless()
    status, code, message = send(client, body, CONTENT_LENGTH=str(limits.MAX_BODY + 1))
    assert (status, code) == (413, "INVALID_PARAMETER_VALUE")
    assert "larger than 16777216 bytes" in message
    assert body.read_bytes == 0


def test_a_body_of_unknown_size_is_read_no_further_than_the_limit(client: FlaskClient) -> None:
    body = Endless()
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": "yes"}
    assert send(client, body, **chunked)[0] == 413
    assert body.read_bytes < limits.MAX_BODY + 1024 * 1024


def test_the_largest_batch_that_mlflow_sends_passes(mlflow: Mlflow, run_id: str) -> None:
    text = "\N{HIRAGANA LETTER A}"
    params = [
        {"key": f"p{number}", "value": text * limits.MAX_PARAM_VALUE} for number in range(limits.MAX_BATCH_PARAMS)
    ]
    tags = [{"key": f"t{number}", "value": text * limits.MAX_TAG_VALUE} for number in range(limits.MAX_BATCH_TAGS)]
    body = {"run_id": run_id, "params": params, "tags": tags}
    assert len(json.dumps(body)) > 8_000_000
    mlflow.post("runs/log-batch", **body)
    model = {
        "run_id": run_id,
        "artifact_path": "m",
        "utc_time_created": "now",
        "flavors": {},
        "signature": "s" * 5_000_000,
    }
    mlflow.post("runs/log-model", run_id=run_id, model_json=json.dumps(model))


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("runs/create", {"experiment_id": "0", "run_name": LONG}),
        ("runs/create", {"experiment_id": "0", "user_id": LONG}),
        ("runs/create", {"experiment_id": "0", "tags": MANY}),
        ("runs/create", {"experiment_id": "0", "tags": [{"key": "mlflow.runName", "value": LONG[:600]}]}),
        ("runs/update", {"run_id": "?", "run_name": LONG}),
        ("runs/update", {"run_id": "?", "status": "\u00b2"}),
        ("runs/update", {"run_id": "?", "status": "1" * 5000}),
        ("runs/set-tag", {"run_id": "?", "key": "mlflow.runName", "value": LONG}),
        ("runs/log-inputs", {"run_id": "?", "models": [{"model_id": "m"}] * 1001}),
        ("runs/outputs", {"run_id": "?", "models": [{"model_id": "m"}] * 1001}),
        ("experiments/create", {"name": "e", "tags": MANY}),
        ("registered-models/create", {"name": "m", "tags": MANY}),
        ("registered-models/create", {"name": "m", "description": LONG}),
        ("model-versions/create", {"name": "m", "tags": MANY}),
        ("model-versions/create", {"name": "m", "description": LONG}),
        ("model-versions/create", {"name": "m", "source": LONG}),
        ("model-versions/create", {"name": "m", "run_link": LONG}),
        ("logged-models", {"experiment_id": "0", "name": LONG}),
        ("logged-models", {"experiment_id": "0", "model_type": LONG}),
        ("logged-models", {"experiment_id": "0", "params": MANY}),
        ("logged-models", {"experiment_id": "0", "tags": MANY}),
    ],
)
def test_what_is_too_long_is_refused_in_words(mlflow: Mlflow, run_id: str, path: str, fields: dict[str, Any]) -> None:
    fields = {name: run_id if value == "?" else value for name, value in fields.items()}
    status, code, message = mlflow.error("POST", path, **fields)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert message.startswith(("Invalid value", "The run's name"))
    assert len(message) < 6000

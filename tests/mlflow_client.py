"""A small client that speaks MLflow's REST API to one project, and what it is answered."""

from collections.abc import Callable, Mapping
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

LOCAL_TOKEN = "local-token-of-the-tests"
Make = Callable[..., Any]
"""Makes a version of a model."""
INVALID = (400, "INVALID_PARAMETER_VALUE")
MISSING = (404, "RESOURCE_DOES_NOT_EXIST")
TAKEN = (400, "RESOURCE_ALREADY_EXISTS")
FILES = "api/2.0/mlflow-artifacts/artifacts"
MLFLOW_ARTIFACTS = "api/2.0/mlflow-artifacts"


class Mlflow:
    """Calls `<base>/api/2.0/mlflow/<path>` as a client would."""

    def __init__(
        self, client: FlaskClient, *, project: str = "1", token: str | None = LOCAL_TOKEN, root: str = ""
    ) -> None:
        self.client = client
        self.base = f"{root}/api/v4/projects/{project}/ml/mlflow"
        self.token = token

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        return self.client.open(f"{self.base}/{path}", method=method, headers=headers, **options)

    def post(self, path: str, **fields: Any) -> Any:
        """Send a POST that must succeed, and answer its JSON."""
        return good(self.call("POST", f"api/2.0/mlflow/{path}", json=fields))

    def get(self, path: str, **query: Any) -> Any:
        return good(self.call("GET", f"api/2.0/mlflow/{path}", query_string=query))

    def error(self, method: str, path: str, **fields: Any) -> tuple[int, str, str]:
        """Send a call that must fail, and answer status, MLflow's error code and message."""
        carried = {"query_string": fields} if method == "GET" else {"json": fields}
        return failure(self.call(method, f"api/2.0/mlflow/{path}", **carried))


def good(response: TestResponse) -> Any:
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def failure(response: TestResponse) -> tuple[int, str, str]:
    assert response.status_code >= 400, response.get_data(as_text=True)
    body: Mapping[str, str] = response.get_json()
    assert set(body) == {"error_code", "message"}
    return response.status_code, body["error_code"], body["message"]

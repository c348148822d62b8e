"""Calls that a token is let in with, or refused."""

from typing import Any

from flask.testing import FlaskClient

from tests.mlflow_client import Mlflow

READ = ("GET", "experiments/get", {"experiment_id": "0"})
WRITE = ("POST", "experiments/create", {"name": "churn"})


def refused(client: FlaskClient, token: str | None, *, project: str = "42", call: Any = READ) -> tuple[int, str, str]:
    method, path, fields = call
    return Mlflow(client, project=project, token=token).error(method, path, **fields)


def admitted(client: FlaskClient, token: str, *, project: str = "42", call: Any = READ) -> bool:
    method, path, fields = call
    carried = {"query_string": fields} if method == "GET" else {"json": fields}
    answer = Mlflow(client, project=project, token=token).call(method, f"api/2.0/mlflow/{path}", **carried)
    return answer.status_code == 200

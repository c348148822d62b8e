"""Files by MLflow's artifact routes."""

from werkzeug.test import TestResponse

from tests.mlflow_client import FILES, Mlflow


def put(mlflow: Mlflow, path: str, content: bytes = b"bytes") -> TestResponse:
    return mlflow.call("PUT", f"{FILES}/{path}", data=content)


def fetch(mlflow: Mlflow, path: str, **headers: str) -> TestResponse:
    return mlflow.call("GET", f"{FILES}/{path}", headers=headers, buffered=True)

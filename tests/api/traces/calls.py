"""Calls of MLflow 3's protocol, below `api/3.0/mlflow`."""

from typing import Any

from tests.mlflow_client import Mlflow, failure, good


def post(mlflow: Mlflow, path: str, **fields: Any) -> Any:
    return good(mlflow.call("POST", f"api/3.0/mlflow/{path}", json=fields))


def patch(mlflow: Mlflow, path: str, **fields: Any) -> Any:
    return good(mlflow.call("PATCH", f"api/3.0/mlflow/{path}", json=fields))


def delete(mlflow: Mlflow, path: str, **fields: Any) -> Any:
    return good(mlflow.call("DELETE", f"api/3.0/mlflow/{path}", json=fields))


def get(mlflow: Mlflow, path: str, **query: Any) -> Any:
    return good(mlflow.call("GET", f"api/3.0/mlflow/{path}", query_string=query))


def error(mlflow: Mlflow, method: str, path: str, **fields: Any) -> tuple[int, str, str]:
    carried = {"query_string": fields} if method == "GET" else {"json": fields}
    return failure(mlflow.call(method, f"api/3.0/mlflow/{path}", **carried))

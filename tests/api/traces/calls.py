"""Calls of MLflow 3's protocol, below `api/3.0/mlflow`."""

import uuid
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


def start_trace(mlflow: Mlflow, experiment_id: str = "0", **fields: Any) -> str:
    """Store a trace that has ended, and answer its id."""
    info = {
        "trace_id": f"tr-{uuid.uuid4().hex}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}},
        "request_time": "2026-11-28T18:24:19.505Z",
        "execution_duration": "0.013s",
        "state": "OK",
        **fields,
    }
    made: str = post(mlflow, "traces", trace={"trace_info": info})["trace"]["trace_info"]["trace_id"]
    return made

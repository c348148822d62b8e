"""Requests that are written by hand."""

from typing import Any

import urllib3

from tests.contract.conftest import TOKEN
from tests.e2e.processes import Server

BASE = "/api/v4/projects/1/ml/mlflow"
API = f"{BASE}/api/2.0/mlflow"
JAVA = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json; charset=utf-8"}


def call(server: Server, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Any:
    answer = urllib3.request(method, f"{server.url}{API}/{path}", body=body, headers=headers or JAVA)
    assert answer.status == 200, answer.data
    return answer.json()

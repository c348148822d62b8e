"""The tables that MLflow's clients write are read as they are.

https://mlflow.org/docs/latest/api_reference/python_api/mlflow.html#mlflow.log_table
"""

import subprocess

import pytest

from mltrail_contract import CaseTable
from mltrail_server.domain.cases.table import Answer, Case
from mltrail_server.services.review.cases import reading
from tests.clients.environments import ENVIRONMENTS, HERE

TABLE = CaseTable("golden", "eval_results_table.json", "id", label="target", prediction="prediction")


@pytest.mark.clients
@pytest.mark.parametrize(("client", "how"), [("mlflow-2", "log_table"), ("mlflow-3", "evaluate")])
def test_mlflow_s_table_is_read(client: str, how: str) -> None:
    command = [ENVIRONMENTS / client / "bin/python", HERE / "case_tables.py", how]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert reading.read(done.stdout, TABLE) == [
        Case("a", "2", Answer("2")),
        Case("b", "4", Answer("5")),
        Case("c", "6", Answer(None)),
    ]

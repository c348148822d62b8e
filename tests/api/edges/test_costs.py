"""What the calls that a training loop waits for cost: statements, and round trips to PostgreSQL."""

from itertools import count
from typing import Any

import pytest

from tests.costs import Costs
from tests.mlflow_client import Mlflow

_TIMES = 8
"""Calls before the one that is counted: psycopg prepares a statement when it is run for the sixth time."""
_PAIRS = [{"key": f"k{number}", "value": "v"} for number in range(20)]
_CALLS: dict[str, tuple[dict[str, Any], int, int]] = {
    "create": ({"experiment_id": "0", "tags": _PAIRS}, 4, 6),
    "log-metric": ({"key": "loss", "value": 0.5, "timestamp": 1}, 2, 4),
    "log-parameter": ({"value": "v"}, 2, 4),
    "set-tag": ({"key": "t", "value": "v"}, 2, 4),
}
"""The body of each call, its statements on PostgreSQL, and its round trips with BEGIN and COMMIT."""


@pytest.mark.every_case
@pytest.mark.parametrize("name", _CALLS)
@pytest.mark.parametrize("backend", ["postgresql"])
def test_what_a_call_costs(mlflow: Mlflow, run_id: str, costs: Costs, name: str) -> None:
    body, statements, round_trips = _CALLS[name]
    steps = count()

    def call() -> None:
        step = next(steps)
        changing = {"log-metric": {"step": step}, "log-parameter": {"key": f"p{step}"}}.get(name, {})
        mlflow.post(f"runs/{name}", **({} if name == "create" else {"run_id": run_id}), **body, **changing)

    for _ in range(_TIMES):
        call()
    with costs() as cost:
        call()
    assert (len(cost.statements), cost.round_trips) == (statements, round_trips), cost.statements

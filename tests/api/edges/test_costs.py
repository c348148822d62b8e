"""What the calls that a training loop waits for cost: statements, and round trips to PostgreSQL."""

from itertools import count
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from tests.api.tracking.runs import by, new_run
from tests.costs import Costs, cost_of
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL, Team

_TIMES = 8
"""Calls before the one that is counted: psycopg prepares a statement when it is run for the sixth time."""
_PAIRS = [{"key": f"k{number}", "value": "v"} for number in range(20)]
_CALLS: dict[str, dict[str, Any]] = {
    "create": {"experiment_id": "0", "tags": _PAIRS},
    "log-metric": {"key": "loss", "value": 0.5, "timestamp": 1},
    "log-batch": {"metrics": [{"key": "loss", "value": 0.5, "timestamp": 1}], "params": _PAIRS, "tags": _PAIRS},
    "log-parameter": {"value": "v"},
    "set-tag": {"key": "t", "value": "v"},
}


@pytest.mark.every_case
@pytest.mark.parametrize("name", _CALLS)
@pytest.mark.parametrize("backend", ["postgresql"])
def test_the_usual_call_waits_once_for_postgresql(mlflow: Mlflow, run_id: str, costs: Costs, name: str) -> None:
    body = _CALLS[name]
    steps = count()

    def call() -> None:
        step = next(steps)
        changing = {"log-metric": {"step": step}, "log-parameter": {"key": f"p{step}"}}.get(name, {})
        mlflow.post(f"runs/{name}", **({} if name == "create" else {"run_id": run_id}), **body, **changing)

    for _ in range(_TIMES):
        call()
    with costs() as cost:
        call()
    assert (len(cost.statements), cost.round_trips) == (1, 1), cost.statements


@pytest.mark.parametrize("backend", ["postgresql"])
def test_the_end_of_a_run_waits_once_for_postgresql(mlflow: Mlflow, run_id: str, costs: Costs) -> None:
    def end() -> None:
        mlflow.post("runs/update", run_id=run_id, status="FINISHED", end_time=1)

    for _ in range(_TIMES):
        end()
    with costs() as cost:
        end()
    # One statement finds and locks the run, one changes and returns it; they are sent together.
    assert (len(cost.statements), cost.round_trips) == (2, 1), cost.statements


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_jobs_next_run_takes_five_statements(gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team) -> None:
    mlflow = by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))
    new_run(mlflow)
    with cost_of(gitlab_deps) as cost:
        new_run(mlflow)
    # Experiment, number, run, job, and one for all tags.
    assert len(cost.statements) == 5, cost.statements

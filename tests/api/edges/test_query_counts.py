"""What a call costs in SQL statements. A loop that slips into a hot path multiplies them, and shows here."""

import pytest

from mltrail_server.services.context.deps import Deps
from tests.costs import Costs
from tests.mlflow_client import Mlflow
from tests.statements import Counter


@pytest.fixture
def writing(deps: Deps) -> int:
    """How many statements store metrics: history and latest values, which are one on PostgreSQL."""
    return 2 if deps.db.is_sqlite else 1


@pytest.fixture
def at_once(deps: Deps) -> bool:
    """Whether the usual calls are one statement, see `store/tracking/at_once.py`."""
    return not deps.db.is_sqlite


def metrics(count: int, *, step: int) -> list[dict[str, object]]:
    return [{"key": f"m{number}", "value": number, "timestamp": 1, "step": step} for number in range(count)]


def test_logging_one_metric(mlflow: Mlflow, run_id: str, statements: Counter, at_once: bool) -> None:
    mlflow.post("runs/log-metric", run_id=run_id, key="loss", value=1, timestamp=1, step=0)
    with statements() as seen:
        mlflow.post("runs/log-metric", run_id=run_id, key="loss", value=1, timestamp=1, step=1)
    assert len(seen) == (1 if at_once else 3), seen  # the run, history and latest; the key's number is known


@pytest.mark.parametrize("count", [1, 1000])
def test_a_batch_of_metrics_costs_the_same_at_any_size(
    mlflow: Mlflow, run_id: str, statements: Counter, at_once: bool, count: int
) -> None:
    mlflow.post("runs/log-batch", run_id=run_id, metrics=metrics(count, step=0))
    with statements() as seen:
        mlflow.post("runs/log-batch", run_id=run_id, metrics=metrics(count, step=1))
    assert len(seen) == (1 if at_once else 3), seen


@pytest.mark.parametrize("count", [1, 1000])
def test_new_metric_names_cost_the_same_at_any_number(
    mlflow: Mlflow, run_id: str, statements: Counter, writing: int, count: int
) -> None:
    mlflow.post("runs/log-batch", run_id=run_id, metrics=metrics(1, step=0) if count > 1 else [])
    with statements() as seen:
        mlflow.post("runs/log-batch", run_id=run_id, metrics=metrics(count, step=1))
    assert len(seen) == 5 + writing, seen  # four more: which have numbers, next ones, names, and what they got
    assert len(mlflow.get("runs/get", run_id=run_id)["run"]["data"]["metrics"]) == count


@pytest.mark.parametrize("count", [1, 100])
def test_a_batch_of_params_and_tags_costs_the_same_at_any_size(
    mlflow: Mlflow, run_id: str, statements: Counter, at_once: bool, count: int
) -> None:
    pairs = [{"key": f"k{number}", "value": "v"} for number in range(count)]
    with statements() as seen:
        mlflow.post("runs/log-batch", run_id=run_id, params=pairs, tags=pairs)
    assert len(seen) == (1 if at_once else 3), seen  # the run, the params, the tags


def test_creating_and_getting_a_run(
    mlflow: Mlflow, run_id: str, statements: Counter, at_once: bool, deps: Deps
) -> None:
    with statements() as seen:
        mlflow.post("runs/create", experiment_id="0", tags=[{"key": f"t{number}"} for number in range(20)])
    assert len(seen) == (1 if at_once else 4), seen  # the experiment, the run's number, the run, its tags
    with statements() as seen:
        mlflow.get("runs/get", run_id=run_id)
    # The run with all that was logged to it; on SQLite also its metrics.
    assert len(seen) == (2 if deps.db.is_sqlite else 1), seen


@pytest.mark.parametrize("count", [1, 40])
def test_a_page_of_a_search_costs_the_same_at_any_size(
    mlflow: Mlflow, statements: Counter, deps: Deps, count: int
) -> None:
    for number in range(count):
        made = mlflow.post("runs/create", experiment_id="0", run_name=f"r{number}")["run"]["info"]
        mlflow.post("runs/log-batch", run_id=made["run_id"], metrics=metrics(3, step=number))
    asked = {"experiment_ids": ["0"], "filter": "metrics.m1 > 0", "order_by": ["metrics.m2 DESC"]}
    mlflow.post("runs/search", **asked)
    with statements() as seen:
        found = mlflow.post("runs/search", **asked)
    assert len(found["runs"]) == count
    # How many match, and which; the page with all that was logged to them; on SQLite also their metrics.
    assert len(seen) == (3 if deps.db.is_sqlite else 2), seen


def test_an_experiment_with_its_tags(mlflow: Mlflow, costs: Costs, deps: Deps) -> None:
    tags = [{"key": "team", "value": "a"}, {"key": "Ünïcode", "value": '"{}"'}]
    number = mlflow.post("experiments/create", name="tagged", tags=tags)["experiment_id"]
    for read in (
        lambda: mlflow.get("experiments/get", experiment_id=number)["experiment"],
        lambda: mlflow.get("experiments/get-by-name", experiment_name="tagged")["experiment"],
        lambda: mlflow.post("experiments/search", max_results=1)["experiments"][0],
    ):
        for _ in range(3):
            read()
        with costs() as cost:
            found = read()
        assert found["tags"] == tags
        assert len(cost.statements) == 1, cost.statements
        assert deps.db.is_sqlite or cost.round_trips == 1


def test_the_history_of_a_metric(mlflow: Mlflow, run_id: str, statements: Counter) -> None:
    mlflow.post("runs/log-batch", run_id=run_id, metrics=[metrics(1, step=step)[0] for step in range(500)])
    with statements() as seen:
        found = mlflow.get("metrics/get-history", run_id=run_id, metric_key="m0", max_results=100)
    assert len(found["metrics"]) == 100
    assert len(seen) == 1, seen

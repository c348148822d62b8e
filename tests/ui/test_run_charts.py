"""A run's charts by the prefix of their metrics, what was logged once, and what was measured of its machine."""

import re
from collections.abc import Iterable

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import statements_of
from tests.ui.browsing import ML, page, sign_in


@pytest.fixture(autouse=True)
def signed_in(client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)


def run_with(mlflow: Mlflow, keys: Iterable[str], *, steps: Iterable[int] = (0, 1)) -> str:
    made: str = mlflow.post("runs/create", experiment_id="0", run_name="net", start_time=1000)["run"]["info"]["run_id"]
    points = [
        {"key": key, "value": step + 0.5, "timestamp": 1000 + step, "step": step} for key in keys for step in steps
    ]
    mlflow.post("runs/log-batch", run_id=made, metrics=points)
    return made


def test_charts_are_grouped_and_single_values_are_a_table(client: FlaskClient, mlflow: Mlflow) -> None:
    made = run_with(mlflow, ["train/loss", "val/loss", "layer2/norm", "layer2/mean", "system/cpu"])
    mlflow.post("runs/log-metric", run_id=made, key="test_acc", value=0.75, timestamp=1, step=0)
    for at in (1, 2):
        mlflow.post("runs/log-metric", run_id=made, key="queue", value=at, timestamp=at, step=0)
    shown = page(client, f"{ML}/candidates/1/charts")
    assert re.findall(r"<summary>([^<]+) <span", shown) == ["Training and validation", "Metrics", "layer2"]
    figures = re.findall(r"data-keys=\"(\[.*?\])\"", shown)
    assert figures == ['["val/loss", "train/loss"]', '["queue"]', '["layer2/mean"]', '["layer2/norm"]']
    assert re.search(r'data-live-metric="test_acc">0.75<', shown)
    found = page(client, f"{ML}/candidates/1/charts?find=LAYER&log=1")
    assert '["queue"]' not in found
    assert '<input type="hidden" name="log" value="1">' in found
    assert "No metric has" in page(client, f"{ML}/candidates/1/charts?find=zzz")


def test_a_page_of_many_metrics_costs_as_few_statements(client: FlaskClient, mlflow: Mlflow, deps: Deps) -> None:
    run_with(mlflow, ["loss"], steps=(0, 1))
    run_with(mlflow, [f"layer{number}/norm" for number in range(60)], steps=(0, 1))
    with statements_of(deps) as few:
        client.get(f"{ML}/candidates/1/charts")
    with statements_of(deps) as many:
        client.get(f"{ML}/candidates/2/charts")
    assert len(many) <= len(few)


def test_pictures_have_the_state_of_the_page(client: FlaskClient, mlflow: Mlflow) -> None:
    run_with(mlflow, ["loss"], steps=range(10))
    shown = page(client, f"{ML}/candidates/1/charts?log=1&smooth=0.5&zoom=2,6")
    address = re.search(r'<img src="([^"]+)"', shown)
    assert address
    assert "log=1&smooth=0.5&zoom=2,6" in address[1]
    drawn = client.get(address[1]).get_data(as_text=True)
    assert ">2</text>" in drawn
    assert ">6</text>" in drawn
    assert drawn.count("<path") == 3  # the frame, the values, and the smoothed line
    assert client.get(address[1].replace("log=1&", "")).get_data(as_text=True) != drawn


def test_what_the_machine_did(client: FlaskClient, mlflow: Mlflow) -> None:
    run_with(mlflow, ["loss"])
    assert "No system metrics" in page(client, f"{ML}/candidates/1/system")
    made = run_with(mlflow, ["system/gpu_0_memory_usage_megabytes", "system/cpu_utilization_percentage"])
    mlflow.post("runs/set-tag", run_id=made, key="host", value="gpu-7")
    shown = page(client, f"{ML}/candidates/2/system")
    assert "GPU 0 memory usage (MB)" in shown
    assert "CPU utilization (%)" in shown
    assert "gpu-7" in shown
    assert 'data-axis="time"' in shown
    assert 'data-axis="step"' in page(client, f"{ML}/candidates/2/system?axis=step")

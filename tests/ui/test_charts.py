"""Curves: sampled so that no spike is lost, as JSON and as a picture; and runs side by side."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.ui.browsing import ML, page, sign_in


@pytest.fixture(autouse=True)
def signed_in(client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)


def logged(mlflow: Mlflow, values: list[Any], *, name: str = "run", key: str = "loss", **params: str) -> str:
    made: str = mlflow.post("runs/create", experiment_id="0", run_name=name)["run"]["info"]["run_id"]
    for start in range(0, len(values), 1000):
        points = [
            {"key": key, "value": value, "timestamp": step * 1000, "step": step}
            for step, value in enumerate(values[start : start + 1000], start)
        ]
        mlflow.post("runs/log-batch", run_id=made, metrics=points)
    mlflow.post("runs/log-batch", run_id=made, params=[{"key": key, "value": value} for key, value in params.items()])
    return made


def curves(client: FlaskClient, **query: Any) -> Any:
    answer = client.get(f"{ML}/curves?{urlencode(query, doseq=True)}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()["curves"]


def test_a_short_history_is_given_as_it_is(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, [3.0, "NaN", 1.0])
    (curve,) = curves(client, run=1, key="loss")
    assert curve == {"run": 1, "x": [0, 2], "y": [3.0, 1.0], "logged": 2, "nans": 1, "sampled": False}
    (by_time,) = curves(client, run=1, key="loss", axis="time")
    assert by_time["x"] == [0, 2000]


def test_a_long_history_is_sampled_and_keeps_its_spikes(client: FlaskClient, mlflow: Mlflow) -> None:
    values = [1.0] * 5000
    values[3210], values[4321] = 99.0, -7.0
    logged(mlflow, values)
    (curve,) = curves(client, run=1, key="loss")
    assert curve["sampled"]
    assert curve["logged"] == 5000
    assert len(curve["x"]) <= 1100
    assert (max(curve["y"]), min(curve["y"])) == (99.0, -7.0)
    assert (curve["x"][0], curve["x"][-1]) == (0, 4999)
    assert curve["x"] == sorted(curve["x"])


def test_curves_of_several_runs_come_in_the_order_asked(client: FlaskClient, mlflow: Mlflow) -> None:
    for number in range(3):
        logged(mlflow, [float(number)] * 2)
    assert [curve["run"] for curve in curves(client, run=[3, 1], key="loss")] == [3, 1]
    assert curves(client, run=1, key="no such") == []


@pytest.mark.parametrize("query", ["", "run=1", "run=x&key=loss", "run=1&key=loss&axis=z", "key=loss&" + "run=1&" * 2])
def test_odd_questions_are_refused_or_answered(client: FlaskClient, mlflow: Mlflow, query: str) -> None:
    logged(mlflow, [1.0])
    assert client.get(f"{ML}/curves?{query}").status_code in (200, 400)
    assert (
        client.get(f"{ML}/curves?" + "&".join(f"run={number}" for number in range(30)) + "&key=loss").status_code == 400
    )


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1e308, -1e308, 0.0], ["NaN"], [0.1, 0.2, 0.3]])
def test_the_picture_draws_whatever_was_logged(client: FlaskClient, mlflow: Mlflow, values: list[Any]) -> None:
    logged(mlflow, values)
    answer = client.get(f"{ML}/curves.svg?run=1&key=loss")
    assert answer.mimetype == "image/svg+xml"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    drawn = answer.get_data(as_text=True)
    assert drawn.startswith("<svg")
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_steps_of_any_size_are_drawn(client: FlaskClient, mlflow: Mlflow) -> None:
    made = logged(mlflow, [0.0] * 1100)
    points = [{"key": "loss", "value": 1.0, "timestamp": 1, "step": step} for step in (-(2**62), 2**62)]
    mlflow.post("runs/log-batch", run_id=made, metrics=points)
    (curve,) = curves(client, run=1, key="loss")
    assert (curve["x"][0], curve["x"][-1]) == (-(2**62), 2**62)


def test_a_metric_has_a_page_of_its_points(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, [float(step) for step in range(250)], key="val/loss")
    shown = page(client, f"{ML}/candidates/1/metric?key=val/loss")
    assert "Latest: <strong>249.0</strong> at step 249" in shown
    following = re.search(r'href="(\?key=val[^"]+)">Later', shown)
    assert following
    assert '<td class="number">249</td>' in page(client, f"{ML}/candidates/1/metric{following[1]}")
    assert "has logged no metric" in page(client, f"{ML}/candidates/1/metric?key=other")


def test_runs_side_by_side_show_what_differs(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, [0.5, 0.4], name="old", key="val_loss", lr="0.1", model="tree")
    logged(mlflow, [0.5, 0.3], name="new", key="val_loss", lr="0.01", model="tree")
    shown = page(client, f"{ML}/compare?run=1&run=2")
    assert ">lr</th>" in shown
    assert ">model</th>" not in shown
    assert re.search(r'delta better">\N{MINUS SIGN}0.10', shown)
    assert ">model</th>" in page(client, f"{ML}/compare?run=1&run=2&all=1")
    turned = page(client, f"{ML}/compare?run=1,2&base=2")
    assert re.search(r'delta worse">\+0.10', turned)
    assert "<polyline" in shown
    assert "Parallel coordinates" in shown


def test_a_comparison_takes_odd_runs(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, ["NaN"], name="<b>nan", lr="x")
    logged(mlflow, [1e308], name="huge", lr="1")
    mlflow.post("runs/create", experiment_id="0")
    raw = client.get(f"{ML}/compare?run=1&run=2&run=3").get_data(as_text=True)
    assert "<b>nan" not in raw
    assert "NaN" in raw
    assert client.get(f"{ML}/compare").status_code == 303
    assert client.get(f"{ML}/compare?run=99").status_code == 404
    assert client.get(f"{ML}/compare?run=a").status_code == 400
    assert client.get(f"{ML}/compare?run={','.join(str(one) for one in range(30))}").status_code == 400

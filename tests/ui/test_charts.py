"""Curves: sampled so that no spike is lost, as JSON and as a picture; and runs side by side."""

import math
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import statements_of
from tests.ui.browsing import ML, page, sign_in

BACKENDS = ("sqlite", "postgresql")
"""Sums, casts and roundings differ between the two."""


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
    (chart,) = answer.get_json()["charts"]
    return chart["curves"]


def test_a_short_history_is_given_as_it_is(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, [3.0, "NaN", 1.0])
    (curve,) = curves(client, run=1, key="loss")
    assert curve == {"run": 1, "x": [0, 1, 2], "y": [3.0, None, 1.0], "logged": 2, "nans": 1}
    (by_time,) = curves(client, run=1, key="loss", axis="wall")
    assert by_time["x"] == [0, 1000, 2000]


def test_a_long_history_is_sampled_and_keeps_its_spikes(client: FlaskClient, mlflow: Mlflow) -> None:
    values = [1.0] * 5000
    values[3210], values[4321] = 99.0, -7.0
    logged(mlflow, values)
    (curve,) = curves(client, run=1, key="loss")
    assert curve["logged"] == 5000
    assert len(curve["x"]) == len(curve["y"]) == len(curve["low"]) == len(curve["high"]) <= 334
    assert (max(curve["high"]), min(curve["low"])) == (99.0, -7.0)
    assert max(curve["y"]) < 99
    assert (curve["end"], curve["y"][-1]) == (4999, 1.0)
    assert curve["x"] == sorted(curve["x"])
    assert 14 < curve["part"] < 16


def test_a_closer_look_gives_every_value(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, [float(step) for step in range(5000)])
    (curve,) = curves(client, run=1, key="loss", **{"from": 3200, "to": 3299})
    assert curve == {"run": 1, "x": list(range(3200, 3300)), "y": list(range(3200, 3300)), "logged": 100}
    (newest,) = curves(client, run=1, key="loss", **{"from": 4998})
    assert newest["x"] == [4998, 4999]


def test_infinities_are_gaps_and_counted(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, [1.0, "Infinity", "-Infinity", 1e308, 2.0])
    (curve,) = curves(client, run=1, key="loss")
    assert curve["y"] == [1.0, None, None, 1e308, 2.0]
    assert curve["infinite"] == 2
    logged(mlflow, ["Infinity", *[1.5] * 1500, "NaN", *[1e300] * 1500])
    (sampled,) = curves(client, run=2, key="loss")
    assert (sampled["infinite"], sampled["nans"]) == (1, 1)
    assert (sampled["low"][0], sampled["high"][-1]) == (1.5, 1e300)
    logged(mlflow, [*["NaN"] * 3000, *[1.5] * 1500])
    (late,) = curves(client, run=3, key="loss")
    assert len(late["x"]) < 350


def test_several_metrics_and_runs_come_in_one_answer_of_few_statements(
    client: FlaskClient, mlflow: Mlflow, deps: Deps
) -> None:
    for number in range(6):
        logged(mlflow, [float(number)] * 40, key="loss" if number % 2 else "val_loss")
    with statements_of(deps) as few:
        client.get(f"{ML}/curves?run=1,2&key=loss&key=val_loss&key=missing")
    with statements_of(deps) as many:
        answer = client.get(f"{ML}/curves?run=1,2,3,4,5,6&key=loss&key=val_loss&key=missing")
    assert len(few) == len(many)
    found = {chart["key"]: [curve["run"] for curve in chart["curves"]] for chart in answer.get_json()["charts"]}
    assert found == {"loss": [2, 4, 6], "val_loss": [1, 3, 5], "missing": []}


def test_a_hundred_long_curves_stay_small(client: FlaskClient, mlflow: Mlflow) -> None:
    for number in range(4):
        logged(mlflow, [number + math.sin(step) for step in range(1500)])
    one = len(client.get(f"{ML}/curves?run=1&key=loss").data)
    answer = client.get(f"{ML}/curves?run={','.join(map(str, range(1, 101)))}&key=loss")
    assert one < 20_000
    assert len(answer.data) < 4 * one + 1000


def test_time_is_counted_from_the_start_of_each_run(client: FlaskClient, mlflow: Mlflow) -> None:
    for begun in (1_000_000, 5_000_000):
        made = mlflow.post("runs/create", experiment_id="0", start_time=begun)["run"]["info"]["run_id"]
        points = [{"key": "loss", "value": 1.0, "timestamp": begun + at, "step": at} for at in (500, 1500)]
        mlflow.post("runs/log-batch", run_id=made, metrics=points)
    logged(mlflow, [1.0, 2.0])  # as of a run that was logged afterwards, long before it "started"
    found = curves(client, run="1,2,3", key="loss", axis="time")
    assert [curve["x"] for curve in found] == [[500, 1500], [500, 1500], [0, 1000]]
    (part,) = curves(client, run="2", key="loss", axis="time", **{"from": 1000})
    assert part["x"] == [1500]


def test_many_values_at_one_step_are_drawn_by_time(client: FlaskClient, mlflow: Mlflow) -> None:
    made = logged(mlflow, [])
    points = [{"key": "queue", "value": number, "timestamp": 1000 * number, "step": 0} for number in range(1, 4)]
    mlflow.post(
        "runs/log-batch", run_id=made, metrics=[*points, {"key": "loss", "value": 1, "timestamp": 1, "step": 3}]
    )
    queue, loss = client.get(f"{ML}/curves?run=1&key=queue&key=loss").get_json()["charts"]
    assert (queue["axis"], loss["axis"]) == ("time", "step")
    assert queue["curves"][0]["x"] == [0, 1000, 2000]


def test_values_keep_the_digits_that_tell_them_apart(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, [1_000_000.123456, 1_000_000.123457])
    (close,) = curves(client, run=1, key="loss")
    assert close["y"] == [1_000_000.123456, 1_000_000.123457]
    logged(mlflow, [0.123456789, 0.9])
    (wide,) = curves(client, run=2, key="loss")
    assert wide["y"] == [0.12346, 0.9]


def test_every_value_can_be_downloaded(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, [0.1234567890123, "NaN"], key="-loss")
    answer = client.get(f"{ML}/curves.csv?run=1&key=-loss")
    assert answer.mimetype == "text/csv"
    assert answer.get_data(as_text=True).splitlines() == [
        "run,metric,step,time,value",
        "1,'-loss,0,1970-01-01T00:00:00.000Z,0.1234567890123",
        "1,'-loss,1,1970-01-01T00:00:01.000Z,nan",
    ]


def test_curves_of_several_runs_come_in_the_order_asked(client: FlaskClient, mlflow: Mlflow) -> None:
    for number in range(3):
        logged(mlflow, [float(number)] * 2)
    assert [curve["run"] for curve in curves(client, run=[3, 1], key="loss")] == [3, 1]
    assert curves(client, run=1, key="no such") == []
    assert curves(client, run=99, key="loss") == []


ODD = ["", "run=1", "run=x&key=loss", "run=1&key=loss&axis=z", "key=loss&" + "run=1&" * 2, "run=1&key=loss&from=x"]


@pytest.mark.parametrize("query", ODD)
def test_odd_questions_are_refused_or_answered(client: FlaskClient, mlflow: Mlflow, query: str) -> None:
    logged(mlflow, [1.0])
    assert client.get(f"{ML}/curves?{query}").status_code in (200, 400)
    assert (
        client.get(f"{ML}/curves?" + "&".join(f"run={number}" for number in range(101)) + "&key=loss").status_code
        == 400
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
    assert (curve["x"][0], curve["end"]) == (-(2**62), 2**62)


def test_a_metric_has_a_page_of_its_points(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, [float(step) for step in range(250)], key="val/loss")
    shown = page(client, f"{ML}/candidates/1/metric?key=val/loss")
    assert re.search(r"<dt>Latest</dt><dd><strong[^>]*>249</strong> at step 249", shown)
    assert "<dt>Lowest</dt><dd>0</dd>" in shown
    following = re.search(r'href="(\?key=val[^"]+)">Later', shown)
    assert following
    assert '<td class="number">249</td>' in page(client, f"{ML}/candidates/1/metric{following[1]}")
    assert "has no metric with that name" in page(client, f"{ML}/candidates/1/metric?key=other")


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
    assert "<polyline" not in shown
    logged(mlflow, [0.5, 0.2], name="newest", key="val_loss", lr="0.001", model="tree")
    assert "Parallel coordinates of 3 runs" in page(client, f"{ML}/compare?run=1,2,3")


def test_a_comparison_takes_odd_runs(client: FlaskClient, mlflow: Mlflow) -> None:
    logged(mlflow, ["NaN"], name="<b>nan", lr="x")
    logged(mlflow, [1e308], name="huge", lr="1")
    mlflow.post("runs/create", experiment_id="0")
    raw = client.get(f"{ML}/compare?run=1&run=2&run=3").get_data(as_text=True)
    assert "<b>nan" not in raw
    assert "NaN" in raw
    assert client.get(f"{ML}/compare").status_code == 303
    assert client.get(f"{ML}/compare?run=99").status_code == 404
    assert client.get(f"{ML}/compare?run=a").status_code == 404
    assert client.get(f"{ML}/compare?run={','.join(str(one) for one in range(300))}").status_code == 200

"""A sweep's page: which parameter mattered, on what evidence, and the runs that were chosen."""

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient

from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import Counter
from tests.ui import sweeps
from tests.ui.browsing import page, sign_in
from tests.ui.run_table import ROOT, Log, names

SWEEP = f"{ROOT}/sweep"


@pytest.fixture(autouse=True)
def signed_in(client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)


def url(**query: Any) -> str:
    return f"{SWEEP}?{urlencode(query, doseq=True)}"


def headline(shown: str) -> str:
    found = re.search(r'<p class="headline">(.*?)</p>', shown)
    assert found
    return found[1]


def test_it_names_the_parameter_that_mattered(client: FlaskClient, mlflow: Mlflow) -> None:
    sweeps.log(mlflow, 60)
    shown = page(client, SWEEP)
    assert re.match(r"lr mattered most for val_loss: on its own it explains \d\d % of the variation", headline(shown))
    assert "60 runs match; 60 count" in shown
    assert re.search(r'<tr class="matters"><th scope="row">lr</th>', shown)
    assert re.search(r'<tr class="unclear"><th scope="row">dropout</th>\s*<td>.*?Can.t tell', shown)
    assert "Lower is better" in shown
    assert shown.count("<polyline") == 60
    assert shown.count("<circle") == 4 * 60
    assert 'href="/1/-/ml/experiments/0/sweep" aria-current="page"' in shown


def test_few_runs_are_said_to_be_too_few(client: FlaskClient, mlflow: Mlflow) -> None:
    sweeps.log(mlflow, 6)
    shown = page(client, SWEEP)
    assert headline(shown).startswith("Too few runs to tell which parameter mattered: 6 runs")
    assert "Not judged: too few runs" in shown
    assert shown.count("<polyline") == 6


def test_noise_is_not_taken_for_an_effect(client: FlaskClient, mlflow: Mlflow) -> None:
    sweeps.log(mlflow, 40, of=lambda _params, chance: chance.random())
    shown = page(client, SWEEP)
    assert headline(shown) == "With 40 runs, no parameter's effect on val_loss can be told apart from chance."
    assert 'class="matters"' not in shown


def test_which_runs_count_is_said(client: FlaskClient, mlflow: Mlflow) -> None:
    sweeps.log(mlflow, 12)
    sweeps.log(mlflow, 3, status="FAILED")
    sweeps.log(mlflow, 2, status="RUNNING")
    sweeps.log(mlflow, 1, of=lambda _params, _chance: "NaN")
    shown = page(client, SWEEP)
    assert "18 runs match; 12 count" in shown
    assert "3 failed or were canceled. 2 are still running. 1 finished without it, or with NaN." in shown


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (lambda _params, _chance: 1.5, "All runs have the same val_loss, so there is nothing to explain."),
        (lambda _params, _chance: "NaN", "No finished run has logged val_loss."),
    ],
    ids=["constant", "nan"],
)
def test_there_may_be_nothing_to_explain(client: FlaskClient, mlflow: Mlflow, of: Any, said: str) -> None:
    sweeps.log(mlflow, 12, of=of)
    assert headline(page(client, SWEEP)) == said


def test_an_experiment_without_runs_or_metrics(client: FlaskClient, mlflow: Mlflow) -> None:
    assert headline(page(client, SWEEP)) == "No metrics have been logged yet."
    mlflow.post("runs/create", experiment_id="0")
    assert headline(page(client, url(metric="nothing"))) == "No finished run has logged nothing."
    assert client.get("/1/-/ml/experiments/9/sweep").status_code == 404


def test_values_at_the_ends_of_what_a_float_holds(client: FlaskClient, mlflow: Mlflow) -> None:
    values = iter([1.7976931348623157e308, -1.7976931348623157e308, "Infinity", "-Infinity", "NaN", *range(30)])
    sweeps.log(mlflow, 35, of=lambda _params, _chance: next(values))
    raw = client.get(SWEEP).get_data(as_text=True)
    points = "".join(re.findall(r'points="([^"]+)"', raw) + re.findall(r'c[xy]="([^"]+)"', raw))
    assert points
    assert not re.search("[a-df-z]", points)


def test_runs_are_chosen_by_their_values(client: FlaskClient, mlflow: Mlflow) -> None:
    sweeps.log(mlflow, 40)
    lines = list(sweeps.settings(40))
    query = {"low:params.lr": "0.001", "high:params.lr": "0.01", "is:params.optimizer": ["adam", "sgd"]}
    wanted = {
        f"trial-{number}"
        for number, params in enumerate(lines)
        if 0.001 <= float(params["lr"]) <= 0.01 and params["optimizer"] != "lion"
    }
    shown = page(client, url(**query))
    assert set(names(shown)) == wanted
    assert shown.count('class="off"') == 5 * (40 - len(wanted))
    assert 'value="0.001"' in shown
    table = re.search(r'href="(/1/-/ml/experiments/0\?[^"]+)">.*?Open these in the table', shown)
    assert table
    assert set(names(page(client, table[1]))) == wanted


def test_what_a_filter_can_say_is_opened_as_a_filter(client: FlaskClient, mlflow: Mlflow) -> None:
    sweeps.log(mlflow, 30)
    query = {"filter": "params.depth != '2'", "high:metrics.val_loss": "0.5", "is:params.optimizer": "adam"}
    shown = page(client, url(**query))
    table = re.search(r'href="/1/-/ml/experiments/0(\?[^"]+)">.*?Open these in the table', shown)
    assert table
    assert parse_qs(urlsplit(table[1]).query) == {
        "filter": ["params.depth != '2' AND metrics.val_loss <= 0.5 AND params.optimizer = 'adam'"],
        "order": ["metrics.`val_loss` ASC"],
    }
    assert names(page(client, f"{ROOT}{table[1]}")) == names(shown)


def test_odd_addresses_show_a_page(client: FlaskClient, mlflow: Mlflow) -> None:
    sweeps.log(mlflow, 12)
    for query in (
        {"filter": "nonsense"},
        {"filter": "metrics.val_loss LIKE 'x'"},
        {"metric": "no such"},
        {"low:params.lr": "x", "is:params.none": "y", "high:other": "3"},
        {"c": ["params.lr", "metrics.minutes", "params.none", "job"]},
        {"c": ""},
        {"low:params.lr": "nan", "high:params.lr": "-1e308"},
        {"view": "deleted"},
    ):
        assert "<h1>" in page(client, url(**query))
    assert 'role="alert"' in page(client, url(filter="metrics.val_loss <"))
    assert shown_axes(page(client, url(c=["params.depth", "metrics.minutes"]))) == [
        "params.depth",
        "metrics.minutes",
        "metrics.val_loss",
    ]


def shown_axes(shown: str) -> list[str]:
    return re.findall(r'class="axis" data-key="([^"]+)"', shown)


def test_names_and_values_are_text(client: FlaskClient, mlflow: Mlflow) -> None:
    for number in range(12):
        made = mlflow.post("runs/create", experiment_id="0", run_name="<b>run")["run"]["info"]["run_id"]
        params = [{"key": "key", "value": f"<u>{number % 2}"}]
        points = [{"key": "val_loss", "value": number, "timestamp": 1}]
        mlflow.post("runs/log-batch", run_id=made, params=params, metrics=points)
        mlflow.post("runs/update", run_id=made, status="FINISHED")
    raw = client.get(SWEEP).get_data(as_text=True)
    assert not re.search("<[bu]>", raw)


def test_seeds_are_repeats_and_no_parameters(client: FlaskClient, mlflow: Mlflow) -> None:
    for number in range(36):
        made = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
        params = [{"key": "seed", "value": str(number % 3)}, {"key": "x", "value": str(number // 3)}]
        params.append({"key": "y", "value": str(number // 3 * 7 % 12)})
        points = [{"key": "val_loss", "value": number // 3 + number % 3, "timestamp": 1}]
        mlflow.post("runs/log-batch", run_id=made, params=params, metrics=points)
        mlflow.post("runs/update", run_id=made, status="FINISHED")
    shown = page(client, SWEEP)
    assert "12 configurations in 36 runs" in headline(shown)
    assert "Runs that differ only in seed count as one configuration" in shown


@pytest.mark.parametrize("count", [12, 25])
@pytest.mark.parametrize("params", ["none", "equal", "seeds"])
def test_runs_may_differ_in_no_parameter(client: FlaskClient, log: Log, count: int, params: str) -> None:
    for number in range(count):
        logged = {"none": {}, "equal": {"lr": "0.1"}, "seeds": {"lr": "0.1", "seed": str(number)}}[params]
        log("run", params=logged, val_loss=number * number / 100)
    assert headline(page(client, SWEEP)) == "The runs do not differ in any parameter."


def test_many_runs_cost_the_same_statements(client: FlaskClient, mlflow: Mlflow, statements: Counter) -> None:
    sweeps.log(mlflow, 12)
    page(client, SWEEP)
    with statements() as few:
        page(client, SWEEP)
    sweeps.log(mlflow, 30)
    with statements() as many:
        page(client, SWEEP)
    assert len(many) == len(few)
    assert len(few) <= 12

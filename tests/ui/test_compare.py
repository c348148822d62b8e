"""Runs side by side: what differs in code, data, environment, parameters, metrics, tags and pictures."""

import gzip
import html
import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.ui.compare import NONE
from tests.mlflow_client import LOCAL_TOKEN, Mlflow, good
from tests.statements import Counter
from tests.ui.browsing import ML, page, sign_in

SHA = ("a" * 40, "b" * 40)


@pytest.fixture(autouse=True)
def signed_in(client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)


def logged(mlflow: Mlflow, name: str, *, tags: Any = (), params: Any = (), metrics: Any = (), **files: bytes) -> str:
    pairs = [[{"key": key, "value": value} for key, value in dict(some).items()] for some in (tags, params)]
    made: str = mlflow.post("runs/create", experiment_id="0", run_name=name, tags=pairs[0])["run"]["info"]["run_id"]
    points = [{"key": key, "value": value, "timestamp": 1} for key, value in dict(metrics).items()]
    mlflow.post("runs/log-batch", run_id=made, params=pairs[1], metrics=points)
    for path, body in files.items():
        file(mlflow, made, path, body)
    return made


def file(mlflow: Mlflow, run: str, path: str, body: bytes) -> None:
    good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/{path}", data=body))


def data(mlflow: Mlflow, run: str, digest: str, *columns: str) -> None:
    schema = {"mlflow_colspec": [{"name": name, "type": "double"} for name in columns]}
    dataset = {"name": "telco", "digest": digest, "source_type": "local", "source": "x", "schema": json.dumps(schema)}
    context = {"key": "mlflow.data.context", "value": "training"}
    mlflow.post("runs/log-inputs", run_id=run, datasets=[{"dataset": dataset, "tags": [context]}])


def section(shown: str, title: str) -> str:
    found = re.search(rf'<span class="where">{title} .*?</tbody>', shown, re.DOTALL)
    return found[0] if found else ""


def rows(part: str) -> dict[str, list[str]]:
    """Read the rows of a section: a name, and the text of each cell."""
    return {
        " ".join(re.sub("<[^>]+>", "", head).split()): [
            " ".join(re.sub("<[^>]+>", " ", cell).split())
            for cell in re.findall("<td[^>]*>(.*?)</td>", rest, re.DOTALL)
        ]
        for head, rest in re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', part, re.DOTALL)
    }


def test_what_changed_between_two_runs(client: FlaskClient, mlflow: Mlflow) -> None:
    old = logged(
        mlflow,
        "old",
        tags={"mlflow.source.git.commit": SHA[0], "team": "blue", "mlflow.user": "ann"},
        params={"lr": "0.1", "model": "tree"},
        metrics={"val_loss": 0.4},
    )
    new = logged(
        mlflow,
        "new",
        tags={"mlflow.source.git.commit": SHA[1], "mlflow.source.git.dirty": "True", "team": "red"},
        params={"lr": "0.01", "model": "tree"},
        metrics={"val_loss": 0.3},
    )
    file(mlflow, old, "model/requirements.txt", b"mlflow==3.5.0\nnumpy==2.1.0\nscipy==1.14.0\n")
    file(mlflow, new, "model/requirements.txt", b"mlflow==3.5.0\nnumpy==2.3.1\npandas==2.2.0\n")
    file(mlflow, new, "model/python_env.yaml", b"python: 3.12.1\n")
    data(mlflow, old, "d1", "age", "tenure")
    data(mlflow, new, "d2", "age", "charges")
    shown = page(client, f"{ML}/compare?run=1,2")
    assert rows(section(shown, "Code")) == {"Commit": ["aaaaaaaa", "bbbbbbbb uncommitted changes"]}
    assert rows(section(shown, "Data")) == {"telco (training)": ["d1", "d2 + charges (double); \N{MINUS SIGN} tenure"]}
    assert rows(section(shown, "Environment")) == {
        "numpy": ["2.1.0", "2.3.1"],
        "pandas": [NONE, "2.2.0"],
        "python": [NONE, "3.12.1"],
        "scipy": ["1.14.0", NONE],
    }
    assert rows(section(shown, "Parameters")) == {"lr": ["0.1", "0.01"]}
    assert "worse" not in section(shown, "Metrics")
    assert "better" in section(shown, "Metrics")
    assert rows(section(shown, "Tags")) == {"team": ["blue", "red"]}
    order = re.findall(r'<span class="where">(\w+)', shown)
    assert order == ["Code", "Data", "Environment", "Parameters", "Metrics", "Tags"]
    everything = page(client, f"{ML}/compare?run=1,2&all=1")
    assert rows(section(everything, "Parameters")) == {"lr": ["0.1", "0.01"], "model": ["tree", "tree"]}
    assert rows(section(everything, "Environment"))["mlflow"] == ["3.5.0", "3.5.0"]
    assert list(rows(section(page(client, f"{ML}/compare?run=1,2&all=1&find=MOD"), "Parameters"))) == ["model"]


def test_what_is_not_known_is_said(client: FlaskClient, mlflow: Mlflow) -> None:
    made = logged(mlflow, "one", tags={"mlflow.source.git.commit": SHA[0]})
    logged(mlflow, "two")
    shown = page(client, f"{ML}/compare?run=1,2")
    assert rows(section(shown, "Code"))["Commit"] == ["aaaaaaaa", NONE]
    assert "No run has logged requirements.txt" in section(shown, "Environment")
    file(mlflow, made, "conda.yaml", b"dependencies:\n- python=3.11.7\n- pip:\n  - torch==2.5.0\n")
    shown = page(client, f"{ML}/compare?run=1,2")
    assert rows(section(shown, "Environment")) == {"python": ["3.11.7", NONE], "torch": ["2.5.0", NONE]}
    assert "1 run without requirements.txt" in section(shown, "Environment")


def test_pictures_of_the_same_step_are_side_by_side(client: FlaskClient, mlflow: Mlflow) -> None:
    for name in ("one", "two"):
        made = logged(mlflow, name)
        for step in (0, 9, 10) if name == "one" else (0, 9):
            file(
                mlflow,
                made,
                f"images/digits%25step%25{step}%25timestamp%25{step}%25abc{step}.png",
                b"\x89PNG\r\n\x1a\n",
            )
    shown = page(client, f"{ML}/compare?run=1,2")
    assert 'Pictures <span class="count">at step 10</span>' in shown
    assert re.findall(r'alt="(digits of \w+)"', shown) == ["digits of one", "digits of two"]
    assert '<span class="soft">step 9</span>' in shown
    pictures = re.findall(r'<img loading="lazy" src="([^"]+)"', client.get(f"{ML}/compare?run=1,2&step=0").text)
    assert len(pictures) == 2
    for one in pictures:
        assert client.get(html.unescape(one)).status_code == 200


def test_runs_that_are_not_there_leave_the_others(client: FlaskClient, mlflow: Mlflow) -> None:
    for name in ("one", "two"):
        logged(mlflow, name, params={"x": name})
    deleted = logged(mlflow, "three", params={"x": "three"})
    mlflow.post("runs/delete", run_id=deleted)
    shown = page(client, f"{ML}/compare?run=2,99,x,1,3,2&base=98")
    assert "This project has no run number 99" in shown
    assert "“x” is not a run's number" in shown
    assert rows(section(shown, "Parameters")) == {"x": ["two", "one", "three"]}
    assert 'badge danger">deleted' in shown
    answer = client.get(f"{ML}/compare?run=99,98")
    assert answer.status_code == 404
    assert "None of these runs can be shown" in answer.text
    assert "<nav" in answer.text
    assert "no runs number 99, 98" in answer.text
    assert "only one run here" in page(client, f"{ML}/compare?run=1")


def test_a_hundred_runs_with_300_parameters_fit(client: FlaskClient, mlflow: Mlflow) -> None:
    for number in range(101):
        params = {f"parameter_{name}": f"{number * 7919 % (name + 11) / 13:.6f}" for name in range(300)}
        metrics = {f"metric_{name}/loss": number * 31 % (name + 7) / 17 for name in range(40)}
        run = logged(mlflow, f"trial-{number}", params=list(params.items())[:100], metrics=metrics)
        for start in (100, 200):
            pairs = [{"key": key, "value": value} for key, value in list(params.items())[start : start + 100]]
            mlflow.post("runs/log-batch", run_id=run, params=pairs)
    answer = client.get(f"{ML}/compare?run={','.join(map(str, range(1, 102)))}")
    assert answer.status_code == 200
    assert len(gzip.compress(answer.data)) < 200_000
    shown = html.unescape(answer.text)
    assert "At most 100 runs can be compared at once. Left out: the last 1 run in the address" in shown
    assert "more do not fit here; find them by name." in shown
    assert list(rows(section(page(client, f"{ML}/compare?run=1,2&find=parameter_299"), "Parameters"))) == [
        "parameter_299"
    ]


def test_it_costs_the_same_whatever_the_number_of_runs(
    client: FlaskClient, mlflow: Mlflow, statements: Counter
) -> None:
    for number in range(5):
        made = logged(mlflow, f"{number}", params={"x": str(number)}, metrics={"loss": number})
        file(mlflow, made, "requirements.txt", b"numpy==1\n")
        data(mlflow, made, f"d{number}", "a")
    with statements() as few:
        page(client, f"{ML}/compare?run=1,2")
    with statements() as many:
        page(client, f"{ML}/compare?run=1,2,3,4,5")
    assert len(few) == len(many)

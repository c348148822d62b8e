"""People read plain sentences: pages show neither MLflow's sentences nor the names of its fields."""

import html
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.mlflow_client import Mlflow
from tests.ui.browsing import ML, form_token
from tests.ui.run_table import Log, url

FILTERS_OWN_NAMES = re.compile(r"(Valid keys are|sort by one of) .*")
MLFLOW = re.compile(
    r"max_results|order_by|page_token|next_page_token|run_id|run_uuid|experiment_ids?\b|model_id|parameter '|"
    r"with (id|name|ID)|\(name=|Registered [Mm]odel|Model Version|No Experiment|Invalid |No such artifact|"
    r"'active' state|MLFLOW_|tracking URI"
)


def said(answer: TestResponse) -> str:
    """What an error page says, or what stands in the alert of a page."""
    text = answer.get_data(as_text=True)
    shapes = (
        r'<div class="alert danger".*?<div>(.*?)</div>',
        r'<p role="alert" class="problem">(.*?)</p>',
        r'<span class="soft">\d+</span></h1>\s*<p class="prose">(.*?)</p>',
    )
    found = next((one for shape in shapes if (one := re.search(shape, text, re.DOTALL))), None)
    assert found, text
    return html.unescape(found[1])


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        (url(filter="metrics.loss <"), 200, "The filter is wrong at character 15: a value is missing at the end"),
        (url(filter="colour = 'red'"), 200, "There is no attribute 'colour' to filter by"),
        (url(order="metrics.loss DOWN"), 200, "Can't sort by 'metrics.loss DOWN': only ASC or DESC"),
        (url(order="colour DESC"), 200, "Can't sort by 'colour'; sort by one of"),
        (url(page="nonsense"), 200, "The address of this page is damaged"),
        (f"{ML}/experiments/0.csv?filter=metrics.loss+%3C", 400, "The filter is wrong at character"),
        (f"{ML}/experiments/77", 404, "This project has no experiment 77."),
        (f"{ML}/experiments?page=nonsense", 400, "The address of this page is damaged"),
        (f"{ML}/candidates/77", 404, "This project has no run number 77."),
        (f"{ML}/candidates/1/metric", 400, "Name the metric whose history you want to see."),
        (f"{ML}/candidates/1/metric?key=loss&page=nonsense", 400, "The address of this page is damaged"),
        (f"{ML}/candidates/1/files/none.txt", 404, "There is no file 'none.txt' here."),
        (f"{ML}/runs/{'a' * 32}", 404, f"This project has no run {'a' * 32}."),
        (f"{ML}/models/nobody", 404, "This project has no model 'nobody'."),
        (f"{ML}/models?page=nonsense", 400, "The address of this page is damaged"),
        (f"{ML}/models/churn/versions/7", 404, "The model 'churn' has no version 7."),
        (f"{ML}/models/churn/versions/first", 400, "'first' is not a version."),
        (f"{ML}/compare?run=77", 404, "This project has no run number 77: it may belong to another project"),
        (f"{ML}/nothing", 404, f"There is no page at {ML}/nothing."),
        ("/no/such/thing", 404, "There is no page at /no/such/thing."),
    ],
)
def test_an_address(client: FlaskClient, mlflow: Mlflow, log: Log, address: str, status: int, sentence: str) -> None:
    log("one", loss=0.5)
    mlflow.post("registered-models/create", name="churn")
    answer = client.get(address)
    assert answer.status_code == status
    assert sentence in said(answer)
    assert not MLFLOW.search(FILTERS_OWN_NAMES.sub("", said(answer)))


@pytest.mark.parametrize(
    ("path", "fields", "sentence"),
    [
        ("experiments", {"name": " "}, "An experiment needs a name."),
        ("experiments", {"name": "x" * 501}, "An experiment's name has at most 500 characters."),
        ("experiments", {"name": "Default"}, "Experiment 'Default' already exists."),
        ("experiments/0", {"do": "restore"}, "The experiment 0 is not deleted."),
        ("candidates/1", {"do": "tag", "key": "a?b", "value": "c"}, "The tag name 'a?b' can't be used"),
        ("candidates/1", {"do": "tag", "key": "a//b", "value": "c"}, "The tag name 'a//b' can't be used"),
        ("candidates/1", {"do": "untag", "key": "gone"}, "This run has no tag 'gone' any more."),
        ("models", {"name": ""}, "A model needs a name."),
        ("models", {"name": ".."}, 'A model can\'t be named ".."'),
        ("models", {"name": "churn"}, "The model 'churn' already exists."),
        ("models/churn", {"do": "alias", "alias": "champion", "version": "7"}, "The model 'churn' has no version 7."),
        ("models/churn", {"do": "alias", "alias": "latest", "version": "7"}, "'latest' can't be set as an alias"),
        ("models/churn", {"do": "alias", "alias": "v1", "version": "7"}, "'v1' can't be set as an alias"),
    ],
)
def test_a_form(
    client: FlaskClient, mlflow: Mlflow, log: Log, path: str, fields: dict[str, Any], sentence: str
) -> None:
    log("one", loss=0.5)
    mlflow.post("registered-models/create", name="churn")
    answer = client.post(f"{ML}/{path}", data={"csrf_token": form_token(client)} | fields)
    assert answer.status_code == 303
    shown = said(client.get(answer.headers["Location"]))
    assert sentence in shown
    assert not MLFLOW.search(shown)


def test_a_wrong_token(client: FlaskClient) -> None:
    answer = client.post("/-/sign-in", data={"csrf_token": form_token(client), "token": "guessed", "next": "/"})
    assert answer.status_code == 401
    assert "This is not this server's token." in said(answer)
    assert not MLFLOW.search(said(answer))


def test_a_deleted_run_and_experiment(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    run = log("one", loss=0.5)
    made = mlflow.post("experiments/create", name="old")["experiment_id"]
    mlflow.post("runs/delete", run_id=run)
    mlflow.post("experiments/delete", experiment_id=made)
    for path, fields, sentence in (
        ("candidates/1", {"do": "describe", "note": "late"}, "This run is deleted. Restore it first."),
        (f"experiments/{made}", {"do": "describe", "note": "late"}, "This experiment is deleted. Restore it first."),
    ):
        answer = client.post(f"{ML}/{path}", data={"csrf_token": form_token(client)} | fields)
        assert said(client.get(answer.headers["Location"])) == sentence

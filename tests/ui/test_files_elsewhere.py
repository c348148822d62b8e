"""Pages of things whose files lie elsewhere: they name the place as a text, and link to nothing."""

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from mltrail_server.app import create_app
from mltrail_server.services.context.deps import Deps
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.ui.browsing import sign_in


@pytest.fixture
def browser(deps: Deps) -> FlaskClient:
    app = create_app(replace(deps, settings=replace(deps.settings, artifact_locations="s3://bucket/team")))
    client = app.test_client()
    sign_in(client, LOCAL_TOKEN)
    return client


@pytest.fixture
def mlflow(browser: FlaskClient) -> Mlflow:
    return Mlflow(browser)


def shown(browser: FlaskClient, path: str) -> str:
    answer = browser.get(f"/1/-/ml/{path}")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200, text
    return text


@pytest.mark.parametrize("source", ['s3://bucket/"><script>alert(1)</script>', "hf://owner/model", "gs://b/'onload='x"])
def test_a_versions_source_is_inert(browser: FlaskClient, mlflow: Mlflow, source: str) -> None:
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("model-versions/create", name="churn", source=source)
    text = shown(browser, "models/churn/versions/1.0.0")
    assert "<script>alert" not in text
    assert not re.search(r"(href|src|action)=.?(s3|hf|gs):", text)
    assert "which this server does not read" in text


def test_a_run_and_its_experiment_say_where_their_files_are(browser: FlaskClient, mlflow: Mlflow) -> None:
    place = "s3://bucket/team/churn"
    iid = mlflow.post("experiments/create", name="e", artifact_location=place)["experiment_id"]
    mlflow.post("runs/create", experiment_id=iid)
    for path in ("candidates/1", f"experiments/{iid}"):
        text = shown(browser, path)
        assert place in text
        assert "which this server does not read" in text


@pytest.mark.parametrize("location", ["s3://other/x", "javascript:alert(1)", "<script>alert(1)</script>"])
def test_an_experiment_says_that_a_place_is_not_used(browser: FlaskClient, mlflow: Mlflow, location: str) -> None:
    iid = mlflow.post("experiments/create", name="e", artifact_location=location)["experiment_id"]
    text = shown(browser, f"experiments/{iid}")
    assert "which is not used" in text
    assert "<script>alert" not in text
    assert 'href="javascript:' not in text

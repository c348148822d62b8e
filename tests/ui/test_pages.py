"""Pages: who may see them, and what they show."""

import re

import pytest
from flask.testing import FlaskClient

from tests.api.trail import SHAS, Trail
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.team import Team
from tests.ui.browsing import form_token, page, sign_in


def test_a_stranger_is_sent_to_the_sign_in_and_back(client: FlaskClient) -> None:
    answer = client.get("/1/-/ml/experiments?page=x")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/-/sign-in?next=/1/-/ml/experiments?page%3Dx"
    assert sign_in(client, LOCAL_TOKEN).headers["Location"] == "/1/-/ml/experiments"
    assert "Default" in page(client, "/1/-/ml/experiments")
    client.post("/-/sign-out", data={"csrf_token": form_token(client)})
    assert client.get("/1/-/ml/experiments").status_code == 302


def test_a_wrong_token_gets_the_sign_in_again(client: FlaskClient) -> None:
    sign_in(client, "wrong")
    assert client.get("/1/-/ml/experiments").status_code == 302


@pytest.mark.parametrize(
    "target", ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "javascript:x"]
)
def test_the_way_back_stays_here(client: FlaskClient, target: str) -> None:
    answer = sign_in(client, LOCAL_TOKEN, to=target)
    assert answer.headers["Location"] == "/"


def test_forms_of_other_sites_are_refused(client: FlaskClient) -> None:
    assert sign_in(client, LOCAL_TOKEN, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert sign_in(client, LOCAL_TOKEN, Origin="https://evil.example.com").status_code == 403


def test_runs_are_a_table_that_filters_and_sorts(client: FlaskClient, marked_up_run: str) -> None:
    raw = client.get("/1/-/ml/experiments/0").get_data(as_text=True)
    assert "<script>alert" not in raw
    assert "<b>first" not in raw
    shown = page(client, "/1/-/ml/experiments/0?filter=metrics.`val/acc` > 0.2&order=metrics.`val/acc` DESC")
    assert "0.25" in shown
    assert "No runs match" in page(client, "/1/-/ml/experiments/0?filter=metrics.`val/acc` > 0.3")
    wrong = page(client, "/1/-/ml/experiments/0?filter=metrics.loss <")
    assert 'role="alert"' in wrong
    assert "0.25" in wrong


def test_a_run_shows_what_was_logged_and_gives_its_files(client: FlaskClient, marked_up_run: str) -> None:
    shown = page(client, "/1/-/ml/candidates/1")
    assert marked_up_run in shown
    assert "/candidates/1/files" in shown
    assert "plots/" in page(client, "/1/-/ml/candidates/1/files")
    inside = page(client, "/1/-/ml/candidates/1/files?folder=plots")
    link = re.search(r'href="([^"]+/files/[^"]+a%20b\.html)"', inside)
    assert link
    file = client.get(link[1], buffered=True)
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in file.headers["Content-Security-Policy"]


def test_what_is_not_there_is_a_page_too(client: FlaskClient, marked_up_run: str) -> None:
    for path in ("/1/-/ml/candidates/99", "/1/-/ml/experiments/99", "/1/-/ml/models/none", "/nothing/here"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.mimetype == "text/html"


def test_models_show_versions_and_aliases(client: FlaskClient, mlflow: Mlflow, marked_up_run: str) -> None:
    assert "No models yet" in page(client, "/1/-/ml/models")
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("model-versions/create", name="churn", source=f"runs:/{marked_up_run}/model", run_id=marked_up_run)
    mlflow.post("registered-models/alias", name="churn", alias="champion", version="1")
    assert "champion" in page(client, "/1/-/ml/models")
    shown = page(client, "/1/-/ml/models/churn")
    assert "1.0.0" in shown
    assert "models:/churn@champion" in shown


def test_a_verified_run_shows_its_job(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    job = trail.train(trail.main(SHAS["b"]), [0.5])
    sign_in(gitlab_client, team.tokens["guest"], base_url="https://mltrail.example.com")
    answer = gitlab_client.get("/team/churn/-/ml/candidates/1", base_url="https://mltrail.example.com")
    shown = answer.get_data(as_text=True)
    assert "verified by its job" in shown
    assert f"/team/churn/-/jobs/{job.id}" in shown
    sign_in(gitlab_client, team.tokens["stranger"], base_url="https://mltrail.example.com")
    hidden = gitlab_client.get("/team/churn/-/ml/candidates/1", base_url="https://mltrail.example.com")
    assert hidden.status_code == 404

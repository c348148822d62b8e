"""Changes by forms on pages: who may, what they do, and what happens without the form's own token."""

import html
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.trail import SHAS, Trail
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import ML, form_token, page, sign_in


def send(client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    return client.post(path, data={"csrf_token": form_token(client)} | fields)


def button(shown: str) -> str:
    """The value of the page's button that rolls back."""
    found = re.search(r'value="(roll-back:[^"]+)"', shown)
    assert found
    return found[1]


def alert(client: FlaskClient, path: str) -> str:
    found = re.search(r'<div class="alert (?:danger|success)".*?<div>(.*?)</div>', page(client, path), re.DOTALL)
    assert found
    return found[1]


def undo(client: FlaskClient, path: str) -> str:
    """Send the form of the message's button on a page, and return what is said then."""
    form = re.search(r'<form method="post" action="([^"]+)" class="undo">(.*?)</form>', page(client, path), re.DOTALL)
    assert form
    answer = client.post(form[1], data=dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form[2])))
    return alert(client, answer.headers["Location"])


def test_what_is_deleted_says_that_it_can_be_restored(client: FlaskClient, marked_up_run: str) -> None:
    assert marked_up_run
    until = "can be restored at any time until the server's operator removes"
    experiment = send(client, f"{ML}/experiments", name="sweeps").headers["Location"]
    for here in (f"{ML}/candidates/1", experiment):
        assert until not in html.unescape(page(client, here))
        assert until in html.unescape(send(client, here, do="delete").get_data(as_text=True))
        send(client, here, do="delete", sure="1")
        page(client, f"{ML}/experiments")  # where the message is read
        assert until in html.unescape(page(client, here))
        send(client, here, do="restore")
        page(client, f"{ML}/experiments")
        assert until not in html.unescape(page(client, here))


def test_a_run_is_renamed_described_and_tagged(client: FlaskClient, marked_up_run: str, mlflow: Mlflow) -> None:
    here = f"{ML}/candidates/1"
    for fields, said in (
        ({"do": "rename", "name": "the better one"}, "Renamed “<b>first</b>” to “the better one”."),
        ({"do": "describe", "note": "Trained on Sunday."}, "Saved the description of the run “the better one”."),
        ({"do": "tag", "key": "team", "value": "red"}, "Set “team” of the run “the better one” to “red”."),
        ({"do": "tag", "key": "team", "value": "green"}, "Changed “team” of the run “the better one” from “red” to "),
    ):
        answer = send(client, here, **fields)
        assert (answer.status_code, answer.headers["Location"]) == (303, here)
        assert alert(client, here).startswith(said)
    shown = page(client, here)
    assert "the better one</h1>" in shown
    assert "Trained on Sunday." in shown
    assert mlflow.get("runs/get", run_id=marked_up_run)["run"]["info"]["run_name"] == "the better one"
    send(client, here, do="untag", key="team")
    assert alert(client, here) == "Removed “team” from the run “the better one”."
    assert "green" not in page(client, here)


def test_each_change_can_be_undone(client: FlaskClient, marked_up_run: str) -> None:
    here = f"{ML}/candidates/1"
    for change, said in (
        ({"do": "rename", "name": "another"}, "Renamed “another” to “<b>first</b>”."),
        ({"do": "describe", "note": "new"}, "Removed the description of the run “<b>first</b>”."),
        ({"do": "tag", "key": "team", "value": "red"}, "Removed “team” from the run “<b>first</b>”."),
        ({"do": "delete", "sure": "1"}, "Restored the run “<b>first</b>”."),
    ):
        send(client, here, **change)
        assert undo(client, here) == said
    send(client, here, do="describe", note="x" * 5000)
    send(client, here, do="describe", note="short")
    shown = page(client, here)
    assert "Saved the description" in shown
    assert 'class="undo"' not in shown, "the former text is longer than a cookie can hold"


def test_a_message_is_shown_once_and_fits_into_a_cookie(client: FlaskClient, marked_up_run: str) -> None:
    here = f"{ML}/candidates/1"
    for name in ("é" * 500, "\N{GRINNING FACE}" * 500, "a"):
        answer = send(client, here, do="rename", name=name)
        assert len(answer.headers["Set-Cookie"]) < 4000
    assert "to “a”" in alert(client, here)
    assert 'class="alert success"' not in page(client, here)


def test_a_run_is_deleted_and_comes_back(client: FlaskClient, marked_up_run: str) -> None:
    asked = send(client, f"{ML}/candidates/1", do="delete")
    assert asked.status_code == 200
    assert "Delete the run “&lt;b&gt;first&lt;/b&gt;”?" in asked.get_data(as_text=True)
    assert "/candidates/1" in page(client, f"{ML}/experiments/0")
    send(client, f"{ML}/candidates/1", do="delete", sure="1")
    assert "No runs yet" in page(client, f"{ML}/experiments/0")
    assert "/candidates/1" in page(client, f"{ML}/experiments/0?view=deleted")
    send(client, f"{ML}/candidates/1", do="restore")
    assert "/candidates/1" in page(client, f"{ML}/experiments/0")


def test_an_experiment_is_made_renamed_and_deleted(client: FlaskClient, marked_up_run: str) -> None:
    made = send(client, f"{ML}/experiments", name="sweeps")
    here = made.headers["Location"]
    assert "sweeps</h1>" in page(client, here)
    send(client, here, do="rename", name="old sweeps")
    send(client, here, do="describe", note="Of last year")
    assert "Of last year" in page(client, f"{ML}/experiments")
    assert "Its runs are deleted with it" in send(client, here, do="delete").get_data(as_text=True)
    send(client, here, do="delete", sure="1")
    assert alert(client, f"{ML}/experiments").startswith("Deleted the experiment “old sweeps” with its runs.")
    assert "old sweeps" not in page(client, f"{ML}/experiments")
    assert "old sweeps" in page(client, f"{ML}/experiments?view=deleted")
    assert send(client, f"{ML}/experiments", name="").status_code == 303


def test_models_aliases_and_versions(client: FlaskClient, marked_up_run: str, mlflow: Mlflow) -> None:
    send(client, f"{ML}/models", name="churn eu", description="Who leaves")
    here = f"{ML}/models/churn%20eu"
    assert "Who leaves" in page(client, here)
    for _ in range(2):
        mlflow.post(
            "model-versions/create", name="churn eu", source=f"runs:/{marked_up_run}/plots", run_id=marked_up_run
        )
    send(client, here, do="alias", alias="champion", version="1")
    send(client, here, do="alias", alias="champion", version="2")
    shown = page(client, here)
    assert "Roll back to 1.0.0" in shown
    send(client, here, do="roll-back:1.0.0", alias="champion")
    assert "meanwhile" in alert(client, here)
    send(client, here, do=button(shown), alias="champion", reason="it was slow")
    assert "it was slow" in page(client, here)
    assert mlflow.get("registered-models/alias", name="churn eu", alias="champion")["model_version"]["version"] == "1"
    send(client, f"{here}/versions/1.0.0", do="describe", description="Shipped in May")
    assert "Shipped in May" in page(client, f"{here}/versions/1")
    assert "a b.html" in page(client, f"{here}/versions/1")
    asked = send(client, here, do="unalias", alias="champion").get_data(as_text=True)
    assert "Remove the alias “champion” of “churn eu”?" in asked
    assert "Whoever loads models:/churn eu@champion gets an error" in asked
    assert mlflow.get("registered-models/alias", name="churn eu", alias="champion")["model_version"]["version"] == "1"
    send(client, here, do="unalias", alias="champion", sure="1")
    assert undo(client, here) == "“champion” now points at 1.0.0."
    send(client, here, do="unalias", alias="champion", sure="1")
    send(client, f"{here}/versions/1.0.0", do="delete", sure="1")
    assert ">1.0.0</a></th>" not in page(client, here)
    answer = send(client, here, do="rename", name="churn")
    assert answer.headers["Location"] == f"{ML}/models/churn"
    send(client, f"{ML}/models/churn", do="delete", sure="1")
    assert "No models yet" in page(client, f"{ML}/models")


def test_the_page_says_what_cannot_be_done(client: FlaskClient, marked_up_run: str) -> None:
    send(client, f"{ML}/models", name="churn")
    send(client, f"{ML}/models", name="churn")
    assert "already exists" in alert(client, f"{ML}/models")
    send(client, f"{ML}/models/churn", do="alias", alias="champion", version="7")
    assert "has no version 7" in alert(client, f"{ML}/models/churn")
    send(client, f"{ML}/candidates/1", do="rename", name=" ")
    assert "needs a name" in alert(client, f"{ML}/candidates/1")
    assert send(client, f"{ML}/candidates/1", do="explode").status_code == 400


def test_a_form_without_the_sessions_token_changes_nothing(client: FlaskClient, marked_up_run: str) -> None:
    for data in ({}, {"csrf_token": "guessed"}):
        answer = client.post(f"{ML}/candidates/1", data={"do": "delete", **data})
        assert answer.status_code == 403
    foreign = {"Origin": "https://evil.example.com"}
    data = {"do": "delete", "csrf_token": form_token(client)}
    assert client.post(f"{ML}/candidates/1", data=data, headers=foreign).status_code == 403
    assert "/candidates/1" in page(client, f"{ML}/experiments/0")
    client.post("/-/sign-out", data={"csrf_token": form_token(client)})
    answer = send(client, f"{ML}/candidates/1", do="delete")
    assert answer.headers["Location"].startswith("/-/sign-in?next=")


@pytest.mark.parametrize(
    ("role", "status"), [("stranger", 404), ("guest", 403), ("reporter", 403), ("developer", 303), ("maintainer", 303)]
)
def test_roles_decide(trail: Trail, team: Team, gitlab_client: FlaskClient, role: str, status: int) -> None:
    trail.train(trail.main(SHAS["b"]), [0.5])
    sign_in(gitlab_client, team.tokens[role], base_url=EXTERNAL_URL)
    data = {"csrf_token": form_token(gitlab_client, base_url=EXTERNAL_URL), "do": "rename", "name": "mine"}
    answer = gitlab_client.post("/team/churn/-/ml/candidates/1", data=data, base_url=EXTERNAL_URL)
    assert answer.status_code == status
    if role == "stranger":
        return
    shown = gitlab_client.get("/team/churn/-/ml/candidates/1", base_url=EXTERNAL_URL).get_data(as_text=True)
    assert ("mine</h1>" in shown) == (role == "maintainer")
    assert ('value="rename"' in shown) == (role == "maintainer"), "no button that would only be refused"
    assert ("only its own jobs may write to it" in shown) == (role == "developer")
    assert ("Written by others" in shown) == (role == "maintainer")


def test_a_promoted_alias_is_moved_by_maintainers(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    for name, lr in (("b", "0.1"), ("d", "0.2")):
        pipeline = trail.main(SHAS[name])
        trail.train(pipeline, [0.8], lr=lr)
        job = team.gitlab.add_job(pipeline, "promote", "deploy", team.users["maintainer"], "running")
        headers = {"Authorization": f"Bearer {team.gitlab.mint(job, EXTERNAL_URL)}"}
        done = gitlab_client.post(
            "/api/v4/projects/42/ml/promotions", headers=headers, json={"pipeline_id": pipeline.id}
        )
        assert done.status_code == 200
    here = "/team/churn/-/ml/models/churn"
    for role, offered in (("developer", False), ("maintainer", True)):
        sign_in(gitlab_client, team.tokens[role], base_url=EXTERNAL_URL)
        shown = gitlab_client.get(here, base_url=EXTERNAL_URL).get_data(as_text=True)
        assert ("Roll back to 1.0.0" in shown) == offered
        data = {
            "csrf_token": form_token(gitlab_client, base_url=EXTERNAL_URL),
            "do": "roll-back:1.1.0",
            "alias": "champion",
        }
        gitlab_client.post(here, data=data, base_url=EXTERNAL_URL)
        shown = gitlab_client.get(here, base_url=EXTERNAL_URL).get_data(as_text=True)
        assert ("Maintainer role" in shown) != offered
    assert LOCAL_TOKEN not in shown
    mlflow = Mlflow(gitlab_client, project="42", token=team.tokens["guest"])
    assert mlflow.get("registered-models/alias", name="churn", alias="champion")["model_version"]["version"] == "1"


def test_a_maintainer_promotes_a_run(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    trail.train(trail.main(SHAS["b"]), [0.8])
    trail.work()
    here = "/team/churn/-/ml/candidates/1"
    for role, code, message in (
        ("developer", 303, "takes the Maintainer role"),
        ("maintainer", 303, "Created churn 1.0.0 (first: no earlier release) and pointed “champion” at it."),
    ):
        sign_in(gitlab_client, team.tokens[role], base_url=EXTERNAL_URL)
        shown = gitlab_client.get(here, base_url=EXTERNAL_URL).get_data(as_text=True)
        assert (f'action="{here}/promote"' in shown) == (role == "maintainer")
        data = {"csrf_token": form_token(gitlab_client, base_url=EXTERNAL_URL)}
        answer = gitlab_client.post(f"{here}/promote", data=data, base_url=EXTERNAL_URL)
        assert answer.status_code == code
        assert message in gitlab_client.get(answer.headers["Location"], base_url=EXTERNAL_URL).get_data(as_text=True)
    version = gitlab_client.get("/team/churn/-/ml/models/churn/versions/1.0.0", base_url=EXTERNAL_URL)
    shown = version.get_data(as_text=True)
    assert "Provenance statement" in shown
    assert "Model card" in shown
    assert "predicateType" in shown


def test_links_of_gitlabs_form_lead_to_the_page(client: FlaskClient, marked_up_run: str, mlflow: Mlflow) -> None:
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("model-versions/create", name="churn", source=f"runs:/{marked_up_run}/plots", run_id=marked_up_run)
    assert client.get(f"{ML}/models/1").headers["Location"] == f"{ML}/models/churn"
    assert client.get(f"{ML}/models/1/versions/1").headers["Location"] == f"{ML}/models/churn/versions/1.0.0"
    assert client.get(f"{ML}/models/1/versions/9").status_code == 404
    assert client.get(f"{ML}/models/9").status_code == 404


def test_an_mlflow_run_id_leads_to_the_run(client: FlaskClient, marked_up_run: str) -> None:
    assert client.get(f"{ML}/runs/{marked_up_run}").headers["Location"] == f"{ML}/candidates/1"
    assert client.get(f"{ML}/runs/nonsense").status_code == 404
    for end in ("", "/"):
        shown = client.get(f"/api/v4/projects/1/ml/mlflow{end}").get_data(as_text=True)
        assert 'data-target="/1/-/ml"' in shown


def test_a_run_names_its_parts(client: FlaskClient, marked_up_run: str, mlflow: Mlflow) -> None:
    for number in range(2):
        parent = [{"key": "mlflow.parentRunId", "value": marked_up_run}]
        mlflow.post("runs/create", experiment_id="0", run_name=f"trial-{number}", tags=parent)
    found = re.search(r'<a href="([^"]+)">2 runs</a>', page(client, f"{ML}/candidates/1"))
    assert found
    assert "trial-1" in page(client, found[1])
    assert 'child of <a href="/1/-/ml/candidates/1">' in page(client, f"{ML}/candidates/2")

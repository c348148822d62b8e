"""Pages of prompts: versions, what differs between them, aliases, and what uses them."""

import json
import re

import pytest
from flask.testing import FlaskClient

from tests.api.trail import SHAS, Trail
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import Counter
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import ML, TEAM_ML, page, sign_in, team_page
from tests.ui.prompts import register


@pytest.fixture
def reader(client: FlaskClient) -> FlaskClient:
    sign_in(client, LOCAL_TOKEN)
    return client


def test_prompts_have_a_list_of_their_own(mlflow: Mlflow, reader: FlaskClient) -> None:
    assert "No prompts yet" in page(reader, f"{ML}/prompts")
    register(mlflow, "qa", "Answer briefly.")
    mlflow.post("registered-models/create", name="churn")

    shown = page(reader, f"{ML}/prompts")
    assert f"{ML}/prompts/qa" in shown
    assert "churn" not in shown
    assert "No prompt has “other” in its name" in page(reader, f"{ML}/prompts?find=other")
    assert f"{ML}/models/qa" not in page(reader, f"{ML}/models")
    moved = reader.get(f"{ML}/models/qa")
    assert moved.headers["Location"] == f"{ML}/prompts/qa"
    assert reader.get(f"{ML}/prompts/churn").status_code == 404


def test_two_versions_are_compared_word_by_word(mlflow: Mlflow, reader: FlaskClient) -> None:
    register(mlflow, "qa", "Answer briefly. Be kind.", "Answer in one sentence. Be kind.")

    assert "Answer in one sentence. Be kind." in page(reader, f"{ML}/prompts/qa")
    assert "Answer briefly. Be kind." in page(reader, f"{ML}/prompts/qa?version=1")
    shown = page(reader, f"{ML}/prompts/qa?from=1&to=2")
    assert "Answer <del>briefly</del><ins>in one sentence</ins>. Be kind." in shown
    assert "change 2" in shown
    assert reader.get(f"{ML}/prompts/qa?from=1&to=9").status_code == 404
    assert reader.get(f"{ML}/prompts/qa?from=x&to=y").status_code == 400


def test_a_chat_is_shown_message_by_message(mlflow: Mlflow, reader: FlaskClient) -> None:
    chat = [{"role": "system", "content": "You are kind."}, {"role": "user", "content": "{{question}}"}]
    register(mlflow, "chat", json.dumps(chat), "no [JSON", kind="chat")

    shown = page(reader, f"{ML}/prompts/chat?version=1")
    assert '<span class="role">system</span>' in shown
    assert "{{question}}" in shown
    assert "no [JSON" in page(reader, f"{ML}/prompts/chat")


def test_runs_that_loaded_a_version_are_named(mlflow: Mlflow, reader: FlaskClient) -> None:
    register(mlflow, "qa", "one", "two")
    for linked in (
        '[{"name": "qa", "version": "2"}, {"name": "other", "version": "1"}]',
        "[{",
        '["qa"]',
        '{"name": 1}',
    ):
        run = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
        mlflow.post("runs/set-tag", run_id=run, key="mlflow.linkedPrompts", value=linked)

    shown = page(reader, f"{ML}/prompts/qa")
    assert f'<a href="{ML}/candidates/1">run 1</a>' in shown
    assert f"{ML}/candidates/2" not in shown


def test_aliases_move_from_the_page(mlflow: Mlflow, reader: FlaskClient) -> None:
    register(mlflow, "qa", "one", "two")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page(reader, f"{ML}/prompts/qa"))
    assert token
    data = {"do": "alias", "alias": "production", "version": "2", "csrf_token": token[1]}
    answer = reader.post(f"{ML}/models/qa", data=data, follow_redirects=True)
    assert answer.status_code == 200
    shown = page(reader, f"{ML}/prompts/qa")
    assert "production" in shown
    assert '<a href="?version=2">version 2</a>' in shown


def test_what_people_wrote_stays_text(mlflow: Mlflow, reader: FlaskClient) -> None:
    hostile = "</pre><script>alert(1)</script>\u202e"
    register(mlflow, "qa", hostile, f"{hostile} more", "<del>")

    for query in ("", "?version=1", "?from=1&to=2", "?from=2&to=3"):
        raw = reader.get(f"{ML}/prompts/qa{query}").get_data(as_text=True)
        assert "<script>alert" not in raw
        assert "</pre>&lt;" not in raw


CONTRACT = """
version: 1
models:
  answers:
    promote: {alias: champion}
    prompts: {qa: {alias: production}}
"""


def test_an_alias_of_the_contract_is_marked(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    register(trail.person("developer"), "qa", "one")
    for alias in ("production", "try"):
        trail.person("developer").post("registered-models/alias", name="qa", alias=alias, version="1")
    pipeline = trail.main(SHAS["b"], CONTRACT)
    trail.train(pipeline, [0.9])
    trail.report(pipeline)
    sign_in(gitlab_client, team.tokens["developer"], base_url=EXTERNAL_URL)

    shown = team_page(gitlab_client, f"{TEAM_ML}/prompts/qa")
    rows = re.findall(r'<th scope="row"><span class="badge info">(\w+)</span></th>.*?</tr>', shown, re.DOTALL)
    assert rows == ["production", "try"]
    assert shown.count("moved only by promotions") == 1
    assert shown.count("A Maintainer can move it.") == 1


def test_more_versions_take_no_more_statements(mlflow: Mlflow, reader: FlaskClient, statements: Counter) -> None:
    register(mlflow, "few", "one")
    register(mlflow, "many", *(f"version {number}" for number in range(20)))
    with statements() as few:
        page(reader, f"{ML}/prompts/few")
    with statements() as many:
        page(reader, f"{ML}/prompts/many")
    assert len(few) == len(many)

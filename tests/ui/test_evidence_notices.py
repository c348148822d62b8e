"""What an edit does to evidence is said beside its button, and what a page says is what happens."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.trail import SHAS, Trail
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import TEAM_ML, form_token, sign_in, team_page

CONTRACT = """\
version: 1
models:
  churn:
    runs: {tags: {stage: eval}}
    rules: [{metric: val_accuracy, better: higher, at_least: 0.7}]
    promote: {from: [default], reuse_reviewed: true, alias: champion}
"""


class Desk:
    """Somebody at the pages of the team's project."""

    def __init__(self, client: FlaskClient, team: Team, role: str = "maintainer") -> None:
        self.client = client
        sign_in(client, team.tokens[role], base_url=EXTERNAL_URL)

    def page(self, path: str) -> str:
        return re.sub(r"\s+", " ", team_page(self.client, f"{TEAM_ML}/{path}"))

    def send(self, path: str, **fields: Any) -> str:
        """Send a form, and return what the page says afterwards."""
        data = {"csrf_token": form_token(self.client, base_url=EXTERNAL_URL)} | fields
        answer = self.client.post(f"{TEAM_ML}/{path}", data=data, base_url=EXTERNAL_URL)
        if answer.status_code == 303:
            return team_page(self.client, answer.headers["Location"])
        return answer.get_data(as_text=True)


def eval_run(trail: Trail, value: float = 0.8, name: str = "b", **options: Any) -> Any:
    pipeline = trail.main(SHAS[name], CONTRACT)
    trail.train(pipeline, [value], tags={"stage": "eval"}, **options)
    trail.work()
    return pipeline


def test_a_note_on_a_verified_run_does_not_change_what_counts(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    pipeline = eval_run(trail)
    before = trail.report(pipeline)
    desk = Desk(gitlab_client, team)
    shown = desk.page("candidates/1")
    assert "This is a note: it does not change what counts." in shown
    assert "The contract file selects runs by “stage”." in shown
    assert "It disappears from lists, but merge requests are still compared with it" in shown
    desk.send("candidates/1", do="tag", key="stage", value="never mind")
    desk.send("candidates/1", do="rename", name="the one")
    desk.send("candidates/1", do="delete", sure="1")
    after = trail.report(pipeline)
    assert [one["name"] for one in before["models"]] == ["churn"]
    for part in ("verdict", "gate", "rows", "best"):
        assert after["models"][0][part] == before["models"][0][part], part


def test_renaming_an_experiment_that_the_contract_names(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    eval_run(trail)
    shown = Desk(gitlab_client, team).page("experiments/1/edit")
    assert (
        "The contract file assigns the runs of this experiment to the model “churn” by the experiment's name." in shown
    )
    shown = Desk(gitlab_client, team, "developer").page("experiments/1/edit")
    assert "Renaming an experiment that holds runs of CI jobs takes the Maintainer role" in shown
    assert 'value="rename"' not in shown
    assert 'value="delete"' not in shown


def test_promotion_is_offered_where_it_works_and_says_what_it_does(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    eval_run(trail, 0.8)
    desk = Desk(gitlab_client, team)
    offered = "Creates churn 1.0.0 (first: no earlier release) and points “champion” at it."
    assert offered in desk.page("candidates/1")
    assert "created churn 1.0.0" in desk.send("candidates/1/promote", offered=offered).lower()
    shown = desk.page("candidates/1")
    assert "It can't be promoted: it is already churn 1.0.0." in shown
    assert "what was logged to it never changes" in shown
    eval_run(trail, 0.9, "c", lr="0.2")
    shown = desk.page("candidates/2")
    assert "Creates churn 1.1.0 (minor: lr 0.1 → 0.2, other code) and moves “champion” to it from 1.0.0." in shown
    asked = desk.send("candidates/2/promote", offered=offered)
    assert "This has changed since the page was loaded." in asked
    assert "churn 1.1.0" in asked
    said = desk.send("candidates/2/promote")
    assert "Created churn 1.1.0 (minor: lr 0.1 → 0.2" in said
    assert "and moved “champion” to it from 1.0.0." in said
    assert "Roll back to 1.0.0" in said


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"value": 0.6}, "the gate is red: val_accuracy"),
        ({"status": "failed"}, "its job failed."),
        ({"model": False}, "it has logged no model"),
    ],
    ids=["red", "failed", "no model"],
)
def test_the_page_says_why_a_run_cannot_be_promoted(
    trail: Trail, team: Team, gitlab_client: FlaskClient, how: dict[str, Any], why: str
) -> None:
    eval_run(trail, **how)
    shown = Desk(gitlab_client, team).page("candidates/1")
    assert f"It can't be promoted: {why}" in shown
    assert "/promote" not in shown


def test_a_run_from_a_laptop_and_one_of_an_open_merge_request(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    made = trail.person("developer").post("runs/create", experiment_id="0", run_name="laptop")
    assert made["run"]["info"]["run_id"]
    eval_run(trail)
    request = trail.request(SHAS["c"])
    trail.train(trail.of_request(request, SHAS["c"]), [0.9], tags={"stage": "eval"})
    trail.work()
    desk = Desk(gitlab_client, team)
    assert "It can't be promoted: it was logged without a job's token" in desk.page("candidates/1")
    assert f"It can't be promoted: its merge request !{request.iid} is not merged." in desk.page("candidates/3")
    shown = Desk(gitlab_client, team, "developer").page("candidates/2")
    assert "It can't be promoted: promoting by hand takes the Maintainer role" in shown
    assert "include the <code>promote</code> component, which calls <code>mltrail promote</code>." in shown
    assert "/promote" not in shown

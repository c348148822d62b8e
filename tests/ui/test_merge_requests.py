"""Merge requests on pages: what the note says, what it said before, and why it was not posted."""

import re
from pathlib import Path

import sqlalchemy as sa
import yaml
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mltrail_server import worker
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from tests.api.ci.published import publishing
from tests.api.review.merge_requests import a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.statements import Counter
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import TEAM_ML, sign_in, team_page

README = Path(__file__).parents[2] / "README.md"


def test_a_merge_request_shows_what_its_pipelines_did(
    trail: Trail, team: Team, gitlab_client: FlaskClient, gitlab_deps: Deps
) -> None:
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    assert "No merge request has trained a model yet" in team_page(gitlab_client, f"{TEAM_ML}/merge_requests")
    trail.train(trail.main(SHAS["b"]), [0.80, 0.81, 0.82])
    request = trail.request(SHAS["c"])
    first = trail.of_request(request, SHAS["c"])
    trail.train(first, [0.90, 0.91, 0.92])
    trail.report(first)
    second = trail.of_request(request, SHAS["c"])
    trail.train(second, [0.70, 0.71, 0.72])
    trail.report(second)
    assert "posted" in team_page(gitlab_client, f"{TEAM_ML}/merge_requests")
    shown = team_page(gitlab_client, f"{TEAM_ML}/merge_requests/{request.iid}")
    assert f"is about pipeline #{second.id}" in shown
    verdicts, _, history = shown.partition("Pipelines of this merge request")
    assert ">better</span>" not in verdicts
    assert ">worse</span>" in verdicts
    assert "val_accuracy of churn is better, 0.81 → 0.91" in history
    assert "val_accuracy of churn is worse, 0.81 → 0.71" in history
    assert f"?pipeline={first.id}" in shown
    assert "better</span>" in team_page(gitlab_client, f"{TEAM_ML}/merge_requests/{request.iid}?pipeline={first.id}")
    team_page(gitlab_client, f"{TEAM_ML}/merge_requests/{request.iid}?pipeline=999", 404)
    team_page(gitlab_client, f"{TEAM_ML}/merge_requests/{request.iid}?pipeline=x", 400)
    team_page(gitlab_client, f"{TEAM_ML}/merge_requests/99", 404)
    trail.keep_of_note(request, note_problem="the bot is no member")
    assert "not posted" in team_page(gitlab_client, f"{TEAM_ML}/merge_requests")
    assert "the bot is no member" in team_page(gitlab_client, f"{TEAM_ML}/merge_requests/{request.iid}")
    worker.run_once(gitlab_deps)


def test_more_requests_and_pipelines_take_no_more_statements(
    trail: Trail, team: Team, gitlab_client: FlaskClient, statements: Counter
) -> None:
    """Nothing is computed for the list: what was last said of each is stored with its report."""
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    trail.train(trail.main(SHAS["b"]), [0.80, 0.81, 0.82])
    seen = []
    for name in ("c", "d", "e"):
        request = trail.request(SHAS[name])
        pipeline = trail.of_request(request, SHAS[name])
        trail.train(pipeline, [0.90, 0.91, 0.92])
        trail.report(pipeline)
        with statements() as counted:
            shown = team_page(gitlab_client, f"{TEAM_ML}/merge_requests")
        seen.append(len(counted))
        assert shown.count("val_accuracy of churn is better, 0.81 → 0.91") == len(seen)
    assert seen[0] == seen[1] == seen[2]
    merged = team_page(gitlab_client, f"{TEAM_ML}/merge_requests?state=merged")
    assert "No merged merge request has trained a model." in merged
    team_page(gitlab_client, f"{TEAM_ML}/merge_requests?state=lost", 400)


def test_a_comment_from_before_verdicts_were_kept_is_linked(
    trail: Trail, team: Team, gitlab_client: FlaskClient, gitlab_deps: Deps
) -> None:
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    trail.train(trail.main(SHAS["b"]), [0.80, 0.81, 0.82])
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.90, 0.91, 0.92])
    trail.report(pipeline)
    with gitlab_deps.db.write() as connection:
        connection.execute(sa.delete(schema.request_verdict).where(schema.request_verdict.c.project_id == 42))
    shown = team_page(gitlab_client, f"{TEAM_ML}/merge_requests")
    assert re.search(r'see <a href="[^"]*#note_\d+">the comment</a>', shown)
    assert "not judged yet" not in shown
    trail.report(pipeline)
    assert "val_accuracy of churn is better" in team_page(gitlab_client, f"{TEAM_ML}/merge_requests")


def test_an_open_page_learns_cheaply_of_a_new_verdict(
    trail: Trail, team: Team, gitlab_client: FlaskClient, statements: Counter
) -> None:
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    trail.train(trail.main(SHAS["b"]), [0.80, 0.81, 0.82])
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    job = trail.train(pipeline, [0.90, 0.91, 0.92], status=None)
    trail.work(seconds=600)
    at = f"{TEAM_ML}/merge_requests/{request.iid}"

    def asked(mark: str) -> TestResponse:
        return gitlab_client.get(f"{at}/live", headers={"If-None-Match": f'W/"{mark}"'}, base_url=EXTERNAL_URL)

    mark = re.findall('data-live-mark="(.*?)"', team_page(gitlab_client, at))[0]
    with statements() as counted:
        unchanged = asked(mark)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert len(counted) <= 5
    for run in trail.runs():
        if run["info"]["status"] == "RUNNING":
            trail.person("owner").post("runs/update", run_id=run["info"]["run_id"], status="FINISHED")
    team.gitlab.set_job(job, "success")
    trail.work(seconds=600)
    assert asked(mark).get_json() == {"moves": False}
    shown = team_page(gitlab_client, at)
    assert "val_accuracy of churn is better, 0.81 → 0.91" in shown
    assert "data-live-mark" not in shown
    sign_in(gitlab_client, team.tokens["guest"], base_url=EXTERNAL_URL)
    assert asked(mark).status_code == 403
    assert gitlab_client.get(f"{TEAM_ML}/merge_requests/99/live", base_url=EXTERNAL_URL).status_code == 403


def test_a_merge_request_says_what_gitlab_refused_of_the_gate(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    a_main(trail, SHAS["b"], publishing("thread", "status"), [0.80, 0.81, 0.82])
    request, pipeline = a_request(trail, [0.60, 0.61, 0.62])
    assert team.project.members[team.users["bot"].id] == 20
    team.gitlab.fail_next("POST", "/discussions$", 403)
    trail.work()
    shown = team_page(gitlab_client, f"{TEAM_ML}/merge_requests/{request.iid}")
    for work in ("open and resolve threads", "set commit statuses"):
        sentence = f"mltrail's bot has the Reporter role in team/churn. To {work} it needs the Developer role (30)"
        assert sentence in shown
    assert "The thread that blocks the merge" in shown
    assert "The gate's commit status was not set" in shown
    team.project.members[team.users["bot"].id] = 30
    trail.work(seconds=30 * 60)
    assert team.project.statuses[pipeline.id][-1][1] == "failed"
    assert "mltrail's bot has" not in team_page(gitlab_client, f"{TEAM_ML}/merge_requests/{request.iid}")


def test_a_refused_issue_is_on_the_page(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    a_main(trail, SHAS["b"], publishing("issue"), [0.80, 0.81, 0.82])
    team.gitlab.fail_next("POST", "/issues$", 403)
    scheduled = team.gitlab.add_pipeline(team.project, SHAS["b"], "main", "schedule")
    trail.train(scheduled, [0.60, 0.61, 0.62])
    trail.work()
    sentence = "A scheduled training of churn got worse, but GitLab did not accept an issue about it"
    assert sentence in team_page(gitlab_client, f"{TEAM_ML}/merge_requests")
    trail.work(seconds=30 * 60)
    assert len(team.project.issues) == 1
    assert sentence not in team_page(gitlab_client, f"{TEAM_ML}/merge_requests")


def test_guests_see_no_merge_requests(team: Team, gitlab_client: FlaskClient) -> None:
    sign_in(gitlab_client, team.tokens["guest"], base_url=EXTERNAL_URL)
    team_page(gitlab_client, f"{TEAM_ML}/merge_requests", 403)
    team_page(gitlab_client, f"{TEAM_ML}/merge_requests/1", 403)
    assert "Merge requests" not in team_page(gitlab_client, f"{TEAM_ML}/experiments")


def test_settings_hold_the_lines_to_include(team: Team, gitlab_client: FlaskClient) -> None:
    """They are the README's: there is one way to begin."""
    sign_in(gitlab_client, team.tokens["guest"], base_url=EXTERNAL_URL)
    shown = team_page(gitlab_client, f"{TEAM_ML}/settings")
    snippet = re.search(r"<code>(include:.*?)</code>", shown, re.DOTALL)
    assert snippet
    config = yaml.safe_load(snippet[1])
    readme = re.search(r"^```yaml\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert readme
    expected = yaml.safe_load(readme[1])
    expected["include"][0]["inputs"]["server"] = EXTERNAL_URL
    assert config["include"] == expected["include"]
    assert config["train"]["extends"] == expected["train"]["extends"]
    assert config["train"]["rules"] == expected["train"]["rules"]
    assert "Guest" in shown


def test_projects_are_those_that_one_is_a_member_of(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    assert "Sign in" in team_page(gitlab_client, "/")
    team.gitlab.add_member(team.gitlab.add_project("team/unused", id=43), team.users["developer"], 30)
    sign_in(gitlab_client, team.tokens["developer"], base_url=EXTERNAL_URL)
    assert "None of your projects" in team_page(gitlab_client, "/")
    trail.train(trail.main(SHAS["b"]), [0.8])
    shown = team_page(gitlab_client, "/")
    assert f'href="{TEAM_ML}/experiments"' in shown
    assert "unused" not in shown
    sign_in(gitlab_client, team.tokens["stranger"], base_url=EXTERNAL_URL)
    assert "team/churn" not in team_page(gitlab_client, "/")

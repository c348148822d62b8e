"""What `mltrail doctor` learns from the server."""

from typing import Any

from flask.testing import FlaskClient

from tests.mlflow_client import LOCAL_TOKEN
from tests.team import EXTERNAL_URL, Team


def setup(client: FlaskClient, token: str, project: str = "42") -> Any:
    answer = client.get(f"/api/v4/projects/{project}/ml/setup", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def test_a_job_learns_who_it_is_to_the_server(gitlab_client: FlaskClient, team: Team) -> None:
    job = team.job()
    answer = setup(gitlab_client, team.gitlab.mint(job, EXTERNAL_URL))
    assert (answer["job_id"], answer["user"], answer["access"]) == (job.id, "developer", "write")
    assert answer["bot"] == {"ok": True, "problem": ""}


def test_a_fork_learns_that_it_may_only_read(gitlab_client: FlaskClient, team: Team) -> None:
    token = team.gitlab.mint(team.job(), EXTERNAL_URL, project_id="99", project_path="fork/churn")
    answer = setup(gitlab_client, token)
    assert answer["access"] == "read"
    assert "fork" in answer["limit"]


def test_a_bot_that_is_no_member_or_may_too_little(gitlab_client: FlaskClient, team: Team) -> None:
    token = team.gitlab.mint(team.job(), EXTERNAL_URL)
    team.project.members[team.users["bot"].id] = 10
    assert "Reporter" in setup(gitlab_client, token)["bot"]["problem"]
    del team.project.members[team.users["bot"].id]
    assert "not a member of team/churn" in setup(gitlab_client, token)["bot"]["problem"]


def test_a_gitlab_that_does_not_respond_is_a_problem_of_the_bot(gitlab_client: FlaskClient, team: Team) -> None:
    token = team.gitlab.mint(team.job(), EXTERNAL_URL)
    setup(gitlab_client, token)
    team.gitlab.limited = 30
    assert not setup(gitlab_client, token)["bot"]["ok"]


def test_local_mode_has_no_bot(client: FlaskClient) -> None:
    assert setup(client, LOCAL_TOKEN, "1")["bot"] is None

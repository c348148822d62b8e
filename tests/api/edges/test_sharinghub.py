"""SharingHub's form of the tracking URI, and its table of rights."""

import pytest
from flask.testing import FlaskClient

from tests.mlflow_client import Mlflow, failure, good
from tests.team import EXTERNAL_URL, Team


def at(client: FlaskClient, project: str, token: str) -> Mlflow:
    mlflow = Mlflow(client, token=token)
    mlflow.base = f"/mlflow/{project}/tracking"
    return mlflow


@pytest.mark.parametrize("project", ["team/churn", "42", "Team/Churn"])
def test_a_run_with_a_file(gitlab_client: FlaskClient, team: Team, project: str) -> None:
    mlflow = at(gitlab_client, project, team.gitlab.mint(team.job(), EXTERNAL_URL))
    run = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/a b.txt", data=b"x"))
    assert mlflow.get("artifacts/list", run_id=run)["files"][0]["path"] == "a b.txt"
    assert mlflow.call("GET", "version").status_code == 200
    by_gitlabs_url = Mlflow(gitlab_client, project="42", token=team.tokens["guest"])
    assert by_gitlabs_url.get("runs/get", run_id=run)["run"]["info"]["run_id"] == run


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        *((role, 200, 403) for role in ("guest", "planner", "reporter")),
        *((role, 200, 200) for role in ("developer", "maintainer", "owner")),
        ("stranger", 404, 404),
    ],
)
def test_its_table(gitlab_client: FlaskClient, team: Team, role: str, reads: int, writes: int) -> None:
    mlflow = at(gitlab_client, "team/churn", team.tokens[role])
    assert mlflow.call("GET", "api/2.0/mlflow/experiments/get?experiment_id=0").status_code == reads
    assert mlflow.call("POST", "api/2.0/mlflow/experiments/create", json={"name": "x"}).status_code == writes


def test_two_projects_may_have_experiments_of_one_name(gitlab_client: FlaskClient, team: Team) -> None:
    team.gitlab.add_member(team.gitlab.add_project("team/other"), team.users["developer"], 30)
    for project in ("team/churn", "team/other"):
        at(gitlab_client, project, team.tokens["developer"]).post("experiments/create", name="churn")


@pytest.mark.parametrize(
    "project", ["../42", "team/../team/churn", "%2e%2e/42", "42/../42", "team%2F..%2Fteam%2Fchurn"]
)
def test_tricks_lead_nowhere(gitlab_client: FlaskClient, team: Team, project: str) -> None:
    mlflow = at(gitlab_client, project, team.tokens["owner"])
    assert failure(mlflow.call("GET", "api/2.0/mlflow/experiments/get?experiment_id=0"))[0] == 404


def test_errors_are_mlflows_there_too(gitlab_client: FlaskClient) -> None:
    assert at(gitlab_client, "team/churn", "glpat-x").error("GET", "experiments/get")[:2] == (
        401,
        "CUSTOMER_UNAUTHORIZED",
    )

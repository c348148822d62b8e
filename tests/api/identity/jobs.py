"""Jobs of merge requests and of forks, and what a run that a token begins is stamped with."""

from typing import Any

from flask.testing import FlaskClient

from mltrail_server.services.tracking.stamp import KEYS
from tests.fakes.gitlab import Job
from tests.mlflow_client import Mlflow
from tests.team import Team


def fork_job(team: Team, *, user: str = "stranger") -> Job:
    """Begin a job of a fork's merge request, in the target project."""
    fork = team.gitlab.add_project(f"{user}/churn")
    team.gitlab.add_member(fork, team.users[user], 50)
    team.gitlab.add_commit(fork, "e" * 40, branch="mine")
    return merge_request_job(team, fork, "e" * 40, "mine", user)


def merge_request_job(team: Team, source: Any, sha: str, branch: str, user: str) -> Job:
    request = team.gitlab.add_merge_request(team.project, branch, "main", "Mine", source_project=source)
    ref = f"refs/merge-requests/{request.iid}/head"
    pipeline = team.gitlab.add_pipeline(team.project, sha, ref, "merge_request_event")
    return team.gitlab.add_job(pipeline, "train", "train", team.users[user], "running")


def tags_of_new_run(client: FlaskClient, token: str) -> dict[str, str]:
    run = Mlflow(client, project="42", token=token).post("runs/create", experiment_id="0")["run"]
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"] if tag["key"] in KEYS}

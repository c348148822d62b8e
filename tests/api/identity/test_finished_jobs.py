"""Jobs that are over, and people who lost their role while their job runs: how long they log."""

import pytest
from flask.testing import FlaskClient

from mltrail_server import worker
from mltrail_server.services.context.deps import Deps
from tests.api.identity.admission import WRITE, admitted, refused
from tests.clock import FrozenClock
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL, Team

RUN = "api/2.0/mlflow/runs/create"


@pytest.mark.parametrize("status", ["success", "failed", "canceled"])
def test_a_job_that_is_over_logs_for_two_minutes_more(
    gitlab_client: FlaskClient, team: Team, clock: FrozenClock, status: str
) -> None:
    job = team.job()
    token = team.gitlab.mint(job, EXTERNAL_URL)
    clock.advance(600_000)
    team.gitlab.set_job(job, status)
    assert admitted(gitlab_client, token, call=WRITE)
    clock.advance(120_001)
    code, _, message = refused(gitlab_client, token, call=("POST", "experiments/create", {"name": "late"}))
    assert code == 403
    assert f"Job {job.id} is over" in message
    assert admitted(gitlab_client, token), "reading goes on"


def test_a_running_job_is_looked_up_now_and_then(gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
    job = team.job()
    token, seen = team.gitlab.mint(job, EXTERNAL_URL), ("GET", f"/api/v4/projects/42/jobs/{job.id}")
    for minute in range(33):
        call = ("POST", "experiments/create", {"name": f"minute {minute}"})
        assert admitted(gitlab_client, token, call=call)
        clock.advance(60_000)
    assert team.gitlab.requests.count(seen) == 4, "after 5, 10, 20, and 30 minutes"


def test_what_the_worker_has_learnt_spares_the_look_and_counts(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team, clock: FrozenClock
) -> None:
    job = team.job()
    token, seen = team.gitlab.mint(job, EXTERNAL_URL), ("GET", f"/api/v4/projects/42/jobs/{job.id}")
    made = good(Mlflow(gitlab_client, project="42", token=token).call("POST", RUN, json={"experiment_id": "0"}))
    log = ("POST", "runs/update", {"run_id": made["run"]["info"]["run_id"], "status": "FINISHED"})
    assert admitted(gitlab_client, token, call=log)
    team.gitlab.set_job(job, "success")
    clock.advance(15_000)
    assert worker.run_once(gitlab_deps) == 1
    clock.advance(120_001)
    assert refused(gitlab_client, token, call=log)[0] == 403
    assert seen not in team.gitlab.requests


def test_a_removed_member_logs_no_more_with_a_running_job(
    gitlab_client: FlaskClient, team: Team, clock: FrozenClock
) -> None:
    token = team.gitlab.mint(team.job(), EXTERNAL_URL)
    clock.advance(300_000)
    assert admitted(gitlab_client, token, call=("POST", "experiments/create", {"name": "before"}))
    del team.project.members[team.users["developer"].id]
    clock.advance(30 * 60_000)
    status, _, message = refused(gitlab_client, token, call=("POST", "experiments/create", {"name": "after"}))
    assert status == 403
    assert "has lost the Developer role in team/churn" in message
    assert admitted(gitlab_client, team.gitlab.mint(team.job(user="owner"), EXTERNAL_URL), call=WRITE)


def test_whom_an_older_gitlab_does_not_list_goes_on(gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
    user = team.users["dana"] = team.gitlab.add_user("dana")
    team.gitlab.add_member(team.project, user, 30, through="invited group")
    team.gitlab.lists_invited_groups = False
    token = team.gitlab.mint(team.job(user="dana"), EXTERNAL_URL, exp=clock() // 1000 + 3 * 3600)
    for number in range(3):
        clock.advance(31 * 60_000)
        assert admitted(gitlab_client, token, call=("POST", "experiments/create", {"name": str(number)}))


def test_a_blocked_user_logs_no_more(gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
    token = team.gitlab.mint(team.job(), EXTERNAL_URL)
    team.users["developer"].state = "blocked"
    clock.advance(300_000)
    assert refused(gitlab_client, token, call=WRITE)[0] == 403


def test_a_gitlab_that_is_down_keeps_no_job_from_logging(
    gitlab_client: FlaskClient, team: Team, clock: FrozenClock
) -> None:
    token = team.gitlab.mint(team.job(), EXTERNAL_URL)
    assert admitted(gitlab_client, token)
    team.gitlab.stop()
    clock.advance(600_000)
    assert admitted(gitlab_client, token, call=WRITE)

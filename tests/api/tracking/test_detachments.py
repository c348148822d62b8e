"""A run that outlives its job: `mltrail detach` in a job that launches a training elsewhere and ends."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server import worker
from mltrail_server.domain import detachment
from mltrail_server.services.context.deps import Deps
from tests.clock import HOUR, FrozenClock
from tests.fakes.gitlab import Job
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL, Team


class Launcher:
    """A job that begins a run, detaches it, and ends."""

    def __init__(self, client: FlaskClient, team: Team, deps: Deps, clock: FrozenClock) -> None:
        self.client, self.team, self.deps, self.clock = client, team, deps, clock
        self.job: Job = team.job(name="launch")
        self.token = team.gitlab.mint(self.job, EXTERNAL_URL)
        self.person = Mlflow(client, project="42", token=team.tokens["developer"])

    def detach(self, token: str | None = None, **body: Any) -> Any:
        return self.client.post(
            "/api/v4/projects/42/ml/detachments",
            json={"seconds": 72 * 3600, **body},
            headers={"Authorization": f"Bearer {token or self.token}"},
        )

    def detached(self, **body: Any) -> tuple[str, Mlflow]:
        """Detach a run, and answer it and a client with its token."""
        answer = self.detach(**({"experiment": "churn"} | body))
        assert answer.status_code == 200, answer.get_data(as_text=True)
        detachment = answer.get_json()
        return detachment["run_id"], Mlflow(self.client, project="42", token=detachment["token"])

    def end(self, status: str = "success") -> None:
        self.team.gitlab.set_job(self.job, status)
        self.pass_time(5 * 60_000)

    def pass_time(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)
        worker.run_once(self.deps)

    def info(self, run_id: str) -> Any:
        return self.person.get("runs/get", run_id=run_id)["run"]["info"]

    def report(self) -> Any:
        path = f"/api/v4/projects/42/ml/pipelines/{self.job.pipeline.id}/report"
        return self.client.post(
            path, json={}, headers={"Authorization": f"Bearer {self.team.tokens['developer']}"}
        ).json


@pytest.fixture
def launcher(gitlab_client: FlaskClient, team: Team, gitlab_deps: Deps, clock: FrozenClock) -> Launcher:
    return Launcher(gitlab_client, team, gitlab_deps, clock)


def test_it_lives_on_when_its_job_is_over_and_counts_when_it_has_ended(launcher: Launcher) -> None:
    run_id, training = launcher.detached()
    launcher.end()
    launcher.pass_time(48 * HOUR)
    assert launcher.info(run_id)["status"] == "RUNNING"
    assert launcher.report()["state"] == "waiting"
    training.post("runs/log-metric", run_id=run_id, key="auc", value=0.9, timestamp=1, step=0)
    training.post("runs/update", run_id=run_id, status="FINISHED", end_time=2)
    report = launcher.report()
    assert report["state"] == "ready"
    (candidate,) = report["models"][0]["candidates"]
    assert (candidate["status"], candidate["metrics"]) == ("succeeded", {"auc": 0.9})


def test_it_is_tied_to_the_job_that_launched_it(launcher: Launcher) -> None:
    run_id, training = launcher.detached()
    training.post("runs/set-tag", run_id=run_id, key="cluster", value="a100")
    tags = {tag["key"]: tag["value"] for tag in training.get("runs/get", run_id=run_id)["run"]["data"]["tags"]}
    assert (tags["gitlab.CI_JOB_ID"], tags["gitlab.verified"]) == (str(launcher.job.id), "true")


def test_one_that_does_not_end_in_time_is_killed(launcher: Launcher) -> None:
    run_id, training = launcher.detached(seconds=3600)
    launcher.end()
    launcher.pass_time(HOUR + 120_000)
    assert launcher.info(run_id)["status"] == "KILLED"
    status, _, message = training.error("POST", "runs/set-tag", run_id=run_id, key="a", value="b")
    assert status == 401
    assert "--for" in message


def test_the_end_of_its_launcher_does_not_end_it(launcher: Launcher) -> None:
    """`with mlflow.start_run()` in the launching script says FINISHED on its way out."""
    job = Mlflow(launcher.client, project="42", token=launcher.token)
    number = job.post("experiments/create", name="churn")["experiment_id"]
    run_id = job.post("runs/create", experiment_id=number)["run"]["info"]["run_id"]
    _, training = launcher.detached(run_id=run_id)
    job.post("runs/update", run_id=run_id, status="FINISHED", end_time=2)
    assert launcher.info(run_id)["status"] == "RUNNING"
    training.post("runs/update", run_id=run_id, status="FINISHED", end_time=2)
    assert launcher.info(run_id)["status"] == "FINISHED"


def test_a_launcher_that_fails_takes_its_run_out_of_the_comparison(launcher: Launcher) -> None:
    _, _ = launcher.detached()
    launcher.end("failed")
    (candidate,) = launcher.report()["models"][0]["candidates"]
    assert candidate["status"] == "failed"


def test_its_token_is_for_this_run_alone(launcher: Launcher) -> None:
    run_id, training = launcher.detached()
    other, _ = launcher.detached()
    number = launcher.info(run_id)["experiment_id"]
    for path, body in (
        ("runs/log-metric", {"run_id": other, "key": "a", "value": 1, "timestamp": 1}),
        ("runs/update", {"run_id": other, "status": "FINISHED"}),
        ("runs/create", {"experiment_id": number}),
        ("experiments/create", {"name": "mine"}),
        ("runs/delete", {"run_id": run_id}),
        ("registered-models/create", {"name": "churn"}),
        ("logged-models", {"experiment_id": number, "name": "m"}),
        ("logged-models", {"experiment_id": number, "name": "m", "source_run_id": other}),
    ):
        assert training.error("POST", path, **body)[0] == 403, path
    refused = training.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{number}/{other}/artifacts/a.txt", data=b"a")
    assert refused.status_code == 403
    headers = {"Authorization": f"Bearer {training.token}"}
    promotion = launcher.client.post(
        "/api/v4/projects/42/ml/promotions", json={"pipeline_id": launcher.job.pipeline.id}, headers=headers
    )
    again = launcher.detach(training.token, run_id=run_id)
    assert (promotion.status_code, again.status_code) == (403, 403)


def test_all_that_a_training_logs_is_taken(launcher: Launcher) -> None:
    run_id, training = launcher.detached()
    number = launcher.info(run_id)["experiment_id"]
    training.post("runs/log-batch", run_id=run_id, params=[{"key": "p", "value": "1"}], metrics=[], tags=[])
    folder = f"api/2.0/mlflow-artifacts/artifacts/{number}/{run_id}/artifacts"
    assert training.call("PUT", f"{folder}/a.txt", data=b"a").status_code == 200
    model = training.post("logged-models", experiment_id=number, name="m", source_run_id=run_id)["model"]["info"]
    path = f"api/2.0/mlflow-artifacts/artifacts/{number}/models/{model['model_id']}/artifacts/MLmodel"
    assert training.call("PUT", path, data=b"x: 1").status_code == 200
    finished = training.call(
        "PATCH", f"api/2.0/mlflow/logged-models/{model['model_id']}", json={"status": "LOGGED_MODEL_READY"}
    )
    assert finished.status_code == 200
    assert training.get("experiments/get-by-name", experiment_name="churn")["experiment"]["experiment_id"] == number


@pytest.mark.parametrize("seconds", [0, -1, 59, 31 * 24 * 3600, 10**18])
def test_times_out_of_bounds_are_refused(launcher: Launcher, seconds: int) -> None:
    assert launcher.detach(experiment="churn", seconds=seconds).status_code == 400


def test_only_a_job_detaches_and_only_its_pipelines_runs(launcher: Launcher) -> None:
    assert launcher.detach(launcher.team.tokens["developer"], experiment="churn").status_code == 403
    assert launcher.detach().status_code == 400
    assert launcher.detach(run_id="f" * 32).status_code == 404
    run_id, _ = launcher.detached()
    other = launcher.team.gitlab.mint(launcher.team.job(), EXTERNAL_URL)
    refused = launcher.detach(other, run_id=run_id)
    assert refused.status_code == 400
    assert "pipeline" in refused.get_json()["message"]
    launcher.end()
    launcher.pass_time(HOUR)
    assert launcher.report()["state"] == "waiting", "the refused call has changed nothing"


def test_a_token_that_was_tampered_with_proves_nothing(launcher: Launcher) -> None:
    run_id, training = launcher.detached()
    payload, _, signature = str(training.token).removeprefix("mltd-").partition(".")
    for token in (
        f"mltd-{payload}",
        f"mltd-{payload}.",
        f"mltd-{payload[:-4]}AAAA.{signature}",
        f"mltd-{payload}.{signature[:-2]}AA",
        "mltd-.",
        "mltd-",
        f"mltd-{payload}.{signature}.x",
        "mltd-" + "a" * 20_000,
    ):
        assert Mlflow(launcher.client, project="42", token=token).error("GET", "runs/get", run_id=run_id)[0] == 401


def test_it_is_of_no_use_in_another_project_or_with_another_secret(launcher: Launcher, gitlab_deps: Deps) -> None:
    _, training = launcher.detached()
    launcher.team.gitlab.add_project("team/other", id=77)
    assert Mlflow(launcher.client, project="77", token=training.token).error("GET", "experiments/search")[0] == 404
    with pytest.raises(Exception, match="secret has changed"):
        detachment.read(str(training.token), secret="another", now=gitlab_deps.clock())


def test_a_job_of_a_fork_detaches_nothing(launcher: Launcher) -> None:
    token = launcher.team.gitlab.mint(launcher.job, EXTERNAL_URL, project_id="99", project_path="fork/churn")
    assert launcher.detach(token, experiment="churn").status_code == 403


def test_what_its_token_writes_after_the_end_changes_nothing(launcher: Launcher) -> None:
    run_id, training = launcher.detached()
    training.post("runs/log-metric", run_id=run_id, key="auc", value=0.9, timestamp=1, step=0)
    for _ in range(2):  # an answer may be lost, so that the client says it again
        training.post("runs/update", run_id=run_id, status="FINISHED", end_time=2)
    launcher.end()
    (candidate,) = launcher.report()["models"][0]["candidates"]
    assert candidate["status"] == "succeeded"
    number = launcher.info(run_id)["experiment_id"]
    path = f"api/2.0/mlflow-artifacts/artifacts/{number}/{run_id}/artifacts/model/MLmodel"
    assert training.call("PUT", path, data=b"another").status_code == 403
    assert training.error("POST", "runs/log-metric", run_id=run_id, key="auc", value=1, timestamp=2, step=1)[0] == 403
    (candidate,) = launcher.report()["models"][0]["candidates"]
    assert candidate["status"] == "succeeded"


def test_its_token_writes_no_more_once_its_user_is_blocked(launcher: Launcher) -> None:
    run_id, training = launcher.detached()
    launcher.end()
    training.post("runs/log-metric", run_id=run_id, key="auc", value=0.8, timestamp=1)
    launcher.team.users["developer"].state = "blocked"
    launcher.pass_time(5 * 60_000)
    status, code, message = training.error("POST", "runs/log-metric", run_id=run_id, key="auc", value=0.9, timestamp=2)
    assert (status, code) == (403, "PERMISSION_DENIED")
    assert "blocked in GitLab" in message


def test_its_user_must_still_be_a_member_to_read(launcher: Launcher) -> None:
    run_id, training = launcher.detached()
    launcher.end()
    assert training.get("runs/get", run_id=run_id)
    del launcher.team.project.members[launcher.team.users["developer"].id]
    launcher.pass_time(HOUR)
    assert training.error("GET", "runs/get", run_id=run_id)[0] == 403


def test_the_comment_says_when_a_detached_training_has_ended(
    gitlab_client: FlaskClient, team: Team, gitlab_deps: Deps, clock: FrozenClock
) -> None:
    """The report job has left long ago (`wait: false`): no runner waits for days."""
    launcher = Launcher(gitlab_client, team, gitlab_deps, clock)
    sha = team.gitlab.add_commit(team.project, "b2" * 20, parents=("a1" * 20,), branch="slow")
    request = team.gitlab.add_merge_request(team.project, "slow", "main", "Train for days")
    pipeline = team.gitlab.add_pipeline(
        team.project, sha, f"refs/merge-requests/{request.iid}/head", "merge_request_event"
    )
    launcher.job = team.gitlab.add_job(pipeline, "launch", "train", team.users["developer"], "running")
    launcher.token = team.gitlab.mint(launcher.job, EXTERNAL_URL)
    run_id, training = launcher.detached()
    launcher.end()
    for _ in range(4):
        launcher.pass_time(12 * HOUR)
    training.post("runs/log-metric", run_id=run_id, key="val_auc", value=0.875, timestamp=1, step=0)
    assert not [note for note in team.gitlab.notes(team.project, request.iid) if "0.875" in note.body]
    training.post("runs/update", run_id=run_id, status="FINISHED", end_time=2)
    for _ in range(3):
        launcher.pass_time(60_000)
    (note,) = team.gitlab.notes(team.project, request.iid)
    assert "0.875" in note.body

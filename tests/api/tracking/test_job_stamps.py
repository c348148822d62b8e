"""Which job made a run: claimed by a tag, or written while it was unknown whether the job still runs."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from mltrail_server import worker
from mltrail_server.domain.grouping import RunState
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.review import pipeline_runs
from mltrail_server.store import schema
from mltrail_server.store.ci import jobs
from tests.api.identity.admission import refused
from tests.api.identity.jobs import tags_of_new_run
from tests.api.tracking.runs import by, new_run
from tests.clock import FrozenClock
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL, Team

CLAIM = "gitlab.CI_JOB_ID"


def stamp_of(mlflow: Mlflow, run_id: str) -> dict[str, str]:
    run = mlflow.get("runs/get", run_id=run_id)["run"]
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"] if tag["key"].startswith("gitlab.")}


class TestClaims:
    def test_a_claimed_job_is_looked_up_and_not_verified(self, gitlab_client: FlaskClient, team: Team) -> None:
        job, mlflow = team.job(), by(gitlab_client, team.tokens["developer"])
        at_once = stamp_of(mlflow, new_run(mlflow, {CLAIM: str(job.id)}))
        later = new_run(mlflow)
        for _ in range(2):
            mlflow.post("runs/set-tag", run_id=later, key=CLAIM, value=str(job.id))
        for tags in (at_once, stamp_of(mlflow, later)):
            assert (tags[CLAIM], tags["gitlab.CI_PIPELINE_ID"]) == (str(job.id), str(job.pipeline.id))
            assert "gitlab.verified" not in tags
        page = gitlab_client.get("/team/churn/-/ml/candidates/1")
        assert page.status_code == 302

    def test_a_job_of_another_project_is_refused(self, gitlab_client: FlaskClient, team: Team) -> None:
        other = team.gitlab.add_project("team/other", id=77)
        pipeline = team.gitlab.add_pipeline(other, "f" * 40, "main", "push")
        foreign = team.gitlab.add_job(pipeline, "t", "t", team.users["developer"])
        mlflow = by(gitlab_client, team.tokens["developer"])
        run_id = new_run(mlflow)
        for job_id in (str(foreign.id), "999999", "../1", "-1", ""):
            tag = {"key": CLAIM, "value": job_id}
            assert mlflow.error("POST", "runs/create", experiment_id="0", tags=[tag])[0] == 400
            assert mlflow.error("POST", "runs/set-tag", run_id=run_id, **tag)[0] == 400
        assert stamp_of(mlflow, run_id) == {}

    def test_a_verified_job_is_not_talked_over(self, gitlab_client: FlaskClient, team: Team) -> None:
        job, other = team.job(), team.job()
        run_id = new_run(by(gitlab_client, team.gitlab.mint(job, EXTERNAL_URL)))
        person = by(gitlab_client, team.tokens["maintainer"])
        before = stamp_of(person, run_id)
        for number in (other.id, job.id):
            status, _, message = person.error("POST", "runs/set-tag", run_id=run_id, key=CLAIM, value=str(number))
            assert status == 400
            assert "written by mltrail itself" in message
        assert stamp_of(person, run_id) == before

    def test_the_first_claim_counts(self, gitlab_client: FlaskClient, team: Team) -> None:
        mlflow = by(gitlab_client, team.tokens["developer"])
        run_id = new_run(mlflow, {CLAIM: str(team.job().id)})
        assert mlflow.error("POST", "runs/set-tag", run_id=run_id, key=CLAIM, value=str(team.job().id))[0] == 400

    def test_a_jobs_own_token_is_not_talked_over_either(self, gitlab_client: FlaskClient, team: Team) -> None:
        job, other = team.job(), team.job()
        mlflow = by(gitlab_client, job.token)
        run_id = new_run(mlflow, {CLAIM: str(other.id), "gitlab.verified": "no"})
        assert stamp_of(mlflow, run_id)[CLAIM] == str(job.id)

    def test_a_gitlab_that_is_down_is_worth_a_retry(self, gitlab_client: FlaskClient, team: Team) -> None:
        mlflow = by(gitlab_client, team.tokens["developer"])
        new_run(mlflow)
        team.gitlab.stop()
        tag = {"key": CLAIM, "value": "5001"}
        assert mlflow.error("POST", "runs/create", experiment_id="0", tags=[tag])[0] == 503

    def test_the_worker_takes_claimed_runs_as_they_are(
        self, gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team, clock: FrozenClock
    ) -> None:
        mlflow = by(gitlab_client, team.tokens["developer"])
        run_id = new_run(mlflow, {CLAIM: str(team.job().id)})
        mlflow.post("runs/update", run_id=run_id, status="FINISHED")
        clock.advance(15_000)
        assert worker.run_once(gitlab_deps) == 1


class TestFlags:
    """What a job writes while GitLab is down is kept, and judged when GitLab is back."""

    def counts(self, deps: Deps, clock: FrozenClock, client: FlaskClient, team: Team, *, ended_before: bool) -> float:
        """Log 0.5, then 1 while GitLab is down, and answer what counts once it is back."""
        job = team.job()
        token = team.gitlab.mint(job, EXTERNAL_URL)
        mlflow = by(client, token)
        run_id = new_run(mlflow)
        mlflow.post("runs/log-metric", run_id=run_id, key="loss", value=0.5, timestamp=1)
        if ended_before:
            team.gitlab.set_job(job, "success")
        clock.advance(600_000)
        team.gitlab.fail_next("GET", f"/jobs/{job.id}$", 503)
        mlflow.post("runs/log-metric", run_id=run_id, key="loss", value=1, timestamp=2)
        if not ended_before:
            team.gitlab.set_job(job, "success")
        clock.advance(60_000)
        worker.run_once(deps)
        with deps.project(ProjectId(42)).read() as tx:
            flags = tx.connection.exec_driver_sql("SELECT unchecked_ms FROM candidate_job").scalar_one()
            ((run,),) = pipeline_runs.of_pipeline(tx, job.pipeline.id).values()
        assert flags is None
        assert run.state is RunState.SUCCEEDED
        return run.metrics["loss"]

    def test_a_job_that_still_ran_stays_as_it_is(
        self, gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team, clock: FrozenClock
    ) -> None:
        assert self.counts(gitlab_deps, clock, gitlab_client, team, ended_before=False) == 1

    def test_of_a_job_that_was_over_what_it_had_logged_before_counts(
        self, gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team, clock: FrozenClock
    ) -> None:
        assert self.counts(gitlab_deps, clock, gitlab_client, team, ended_before=True) == 0.5


def test_a_job_token_is_never_shown(gitlab_client: FlaskClient, team: Team) -> None:
    job = team.job()
    assert job.token not in str(tags_of_new_run(gitlab_client, job.token))
    late = team.job()
    team.gitlab.set_job(late, "failed")
    assert late.token not in str(refused(gitlab_client, late.token))


def test_a_job_whose_first_call_was_refused_is_tied_by_its_next(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team
) -> None:
    creator = team.job()
    evaluation = team.gitlab.add_job(creator.pipeline, "evaluate", "test", team.users["developer"], "running")
    training = by(gitlab_client, team.gitlab.mint(creator, EXTERNAL_URL))
    run_id = new_run(training)
    training.post("runs/log-parameter", run_id=run_id, key="depth", value="2")
    later = by(gitlab_client, team.gitlab.mint(evaluation, EXTERNAL_URL))
    assert later.error("POST", "runs/log-parameter", run_id=run_id, key="depth", value="3")[0] == 400
    later.post("runs/log-metric", run_id=run_id, key="loss", value=1, timestamp=1)
    with gitlab_deps.project(ProjectId(42)).read() as tx:
        tied = {link.job_id for link in jobs.ties_of(tx, 1)}
    assert tied == {creator.id, evaluation.id}


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_run_that_could_not_be_stored_does_not_put_off_the_look_at_its_pipeline(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team
) -> None:
    """The usual way on PostgreSQL has its own test: see `test_at_once`."""
    training = by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))
    with gitlab_deps.db.write() as connection:
        refuse = "CREATE TRIGGER refuse BEFORE INSERT ON candidate_tag BEGIN SELECT RAISE(ABORT, 'refused'); END"
        connection.exec_driver_sql(refuse)
    training.error("POST", "runs/create", experiment_id="0")
    with gitlab_deps.db.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER refuse")
    new_run(training)
    with gitlab_deps.db.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.due)) == 1

"""The job that an imported run was tied to elsewhere is a claim at most, and no import waits for GitLab."""

import pytest

from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.origins import Origin
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.tracking import imported
from mltrail_server.services.tracking.imported import Claims
from mltrail_server.store.ci import jobs
from tests.team import Team

PROJECT = ProjectId(42)
JOB = "gitlab.CI_JOB_ID"


def test_a_job_of_the_project_is_found_and_asked_for_once(team: Team, gitlab_deps: Deps) -> None:
    job, claims = team.job(), Claims(gitlab_deps, PROJECT)
    assert claims.find({JOB: str(job.id)}) is not None
    asked = len(team.gitlab.requests)
    found = claims.find({"gitlab.CI_PIPELINE_ID": str(job.pipeline.id)}, job.id)
    assert (found and found.id, len(team.gitlab.requests)) == (job.id, asked)


@pytest.mark.parametrize("named", ["999999", "../1", "-1", "", "1" * 30])
def test_what_is_no_job_of_the_project_is_a_text(team: Team, gitlab_deps: Deps, named: str) -> None:
    claims = Claims(gitlab_deps, PROJECT)
    assert (claims.find({JOB: named}), claims.unanswered) == (None, 0)


def test_a_number_of_another_gitlab_is_none_of_ours(team: Team, gitlab_deps: Deps) -> None:
    given = {JOB: str(team.job().id), "gitlab.CI_PIPELINE_ID": "123456"}
    assert Claims(gitlab_deps, PROJECT).find(given) is None


def test_no_import_waits_for_gitlab(team: Team, gitlab_deps: Deps) -> None:
    job, claims = team.job(), Claims(gitlab_deps, PROJECT)
    team.gitlab.fail_next("GET", f"/jobs/{job.id}$", 503)
    assert [claims.find({}, number) for number in (job.id, job.id, 5)] == [None, None, None]
    assert claims.unanswered == 3
    few = Claims(gitlab_deps, PROJECT, most=1)
    assert [few.find({}, number) is None for number in (job.id, 5, job.id)] == [False, True, False]
    assert few.unanswered == 1


def test_what_a_run_says_of_itself_verifies_nothing(team: Team, gitlab_deps: Deps) -> None:
    origin = Origin(1, "mlflow", "https://mlflow.example.com", "MLflow 2.22.1", 1, 1)
    given = {"gitlab.verified": "true", "mltrail.imported_from": "forged", "a": "b"}
    place = "MLflow 2.22.1 at https://mlflow.example.com"
    assert imported.tags(given, origin, job_id=7) == {"a": "b", JOB: "7", "mltrail.imported_from": place}
    job = team.job()
    with gitlab_deps.project(PROJECT).write() as tx:
        imported.tie(tx, 7, Claims(gitlab_deps, PROJECT).find({}, job.id))
        imported.tie(tx, 8, None)
        (tie,) = jobs.ties_of(tx, 7)
        assert jobs.ties_of(tx, 8) == []
    assert (tie.job_id, tie.verified) == (job.id, False)

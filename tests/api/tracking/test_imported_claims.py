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
ORIGIN = Origin(1, "mlflow", "https://mlflow.example.com", "MLflow 2.22.1", 1, 1)
MARK = {"mltrail.imported_from": "MLflow 2.22.1 at https://mlflow.example.com"}


def tags_of(deps: Deps, claims: Claims, given: dict[str, str], job_id: int | None = None) -> dict[str, str]:
    claim = claims.find(given, job_id)
    return imported.tags(given, ORIGIN, claim, deps=deps, project_id=PROJECT, project_path="team/churn", job_id=job_id)


def test_a_job_of_the_project_is_found_once_and_never_verified(team: Team, gitlab_deps: Deps) -> None:
    job, claims = team.job(), Claims(gitlab_deps, PROJECT)
    given = {"gitlab.CI_JOB_ID": str(job.id), "gitlab.verified": "true", "mltrail.imported_from": "forged", "a": "b"}
    stored = tags_of(gitlab_deps, claims, given)
    assert (stored["gitlab.CI_PIPELINE_ID"], stored["a"], "gitlab.verified" in stored) == (
        str(job.pipeline.id),
        "b",
        False,
    )
    assert stored["mltrail.imported_from"] == MARK["mltrail.imported_from"]
    asked = len(team.gitlab.requests)
    assert claims.find({}, job.id) is not None
    assert len(team.gitlab.requests) == asked
    with gitlab_deps.project(PROJECT).write() as tx:
        imported.tie(tx, 7, claims.find({}, job.id))
        (tie,) = jobs.ties_of(tx, 7)
    assert (tie.job_id, tie.verified) == (job.id, False)


@pytest.mark.parametrize("more", [{"gitlab.CI_JOB_ID": "999999"}, {"gitlab.CI_JOB_ID": "../1"}])
def test_a_job_that_is_none_of_the_project_stays_a_text(team: Team, gitlab_deps: Deps, more: dict[str, str]) -> None:
    assert tags_of(gitlab_deps, Claims(gitlab_deps, PROJECT), more) == {**more, **MARK}


def test_a_number_of_another_gitlab_is_none_of_ours(team: Team, gitlab_deps: Deps) -> None:
    given = {"gitlab.CI_JOB_ID": str(team.job().id), "gitlab.CI_PIPELINE_ID": "123456"}
    assert Claims(gitlab_deps, PROJECT).find(given) is None


def test_no_import_waits_for_gitlab(team: Team, gitlab_deps: Deps) -> None:
    job, claims = team.job(), Claims(gitlab_deps, PROJECT)
    team.gitlab.fail_next("GET", f"/jobs/{job.id}$", 503)
    assert tags_of(gitlab_deps, claims, {}, job.id) == {"gitlab.CI_JOB_ID": str(job.id), **MARK}
    assert [claims.find({}, number) for number in (job.id, 5, 6)] == [None, None, None]
    assert claims.unanswered == 4

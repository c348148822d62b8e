"""`mltrail promote --deployment`: https://docs.gitlab.com/api/deployments/#create-a-deployment."""

from typing import Any

import pytest

from tests.component.conftest import Job
from tests.component.server import a_promotion

PROJECT = "/api/v4/projects/42"
NEWEST = f"GET {PROJECT}/deployments?environment=model%2Fchurn&order_by=id&sort=desc&per_page=20"
SHA = "a1" * 20


@pytest.fixture(autouse=True)
def _in_a_job(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_API_V4_URL", f"{job.server.url}/api/v4")
    monkeypatch.setenv("CI_JOB_TOKEN", "glcbt-1")
    monkeypatch.setenv("CI_COMMIT_SHA", SHA)
    monkeypatch.setenv("CI_COMMIT_REF_NAME", "main")
    monkeypatch.delenv("CI_COMMIT_TAG", raising=False)


def deploy(job: Job, *, before: Any = (), status: int = 201, **changes: Any) -> tuple[int, str, str]:
    job.server.lay(f"POST {job.base}/promotions", {"promotions": [a_promotion(**changes)]})
    job.server.lay(NEWEST, list(before))
    environment = {"id": 5, "name": "model/churn", "external_url": None}
    job.server.lay(f"POST {PROJECT}/deployments", {"id": 9, "environment": environment}, status=status)
    job.server.lay(f"PUT {PROJECT}/environments/5", environment)
    return job.run("promote", "--deployment")


def asked(job: Job) -> list[str]:
    return [f"{one.method} {one.path.split('?')[0]}" for one in job.server.asked if PROJECT + "/ml" not in one.path]


def test_a_promotion_is_a_deployment_that_links_to_the_version(job: Job) -> None:
    code, output, _ = deploy(job, before=[{"sha": "b2" * 20}])
    assert (code, output.splitlines()[-1]) == (0, "Deployment in model/churn")
    made, linked = job.server.asked[-2:]
    assert made.body == {
        "environment": "model/churn",
        "sha": SHA,
        "ref": "main",
        "tag": False,
        "status": "success",
    }
    assert linked.body == {"external_url": a_promotion()["url"]}


def test_a_tags_pipeline_deploys_the_tag(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_COMMIT_TAG", "v1.1.0")
    deploy(job)
    assert job.server.asked[-2].body["tag"] is True


def test_a_retried_job_deploys_once(job: Job) -> None:
    code, output, _ = deploy(job, before=[{"sha": SHA}], state="already")
    assert (code, output.splitlines()[-1]) == (0, "Deployment in model/churn already exists")
    assert asked(job) == [f"GET {PROJECT}/deployments"]


@pytest.mark.parametrize(
    "changes", [{"state": "nothing", "reason": "no run counts"}, {"alias": ""}, {"state": "refused"}]
)
def test_what_is_not_promoted_to_an_alias_is_not_deployed(job: Job, changes: dict[str, str]) -> None:
    deploy(job, **changes)
    assert asked(job) == []


def test_a_refusal_is_an_error(job: Job) -> None:
    code, _, error = deploy(job, status=403)
    assert code == 3
    assert "deployments returned 403" in error


def test_outside_of_a_job_it_says_so(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI_COMMIT_REF_NAME")
    code, _, error = deploy(job)
    assert (code, "CI_COMMIT_REF_NAME is not set" in error) == (2, True)

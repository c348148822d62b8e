"""`mltrail promote --release`: https://docs.gitlab.com/api/releases/#create-a-release."""

from typing import Any

import pytest

from tests.component.conftest import Job
from tests.component.server import a_promotion

RELEASES = "/api/v4/projects/42/releases"


@pytest.fixture(autouse=True)
def _in_a_job(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_API_V4_URL", f"{job.server.url}/api/v4")
    monkeypatch.setenv("CI_PROJECT_ID", "42")
    monkeypatch.setenv("CI_JOB_TOKEN", "glcbt-1")
    monkeypatch.setenv("CI_COMMIT_SHA", "a1" * 20)
    monkeypatch.delenv("CI_COMMIT_TAG", raising=False)


def release(job: Job, *, status: int = 201, **changes: Any) -> tuple[int, str, str]:
    job.server.lay(f"POST {job.base}/promotions", {"promotions": [a_promotion(**changes)]})
    job.server.lay(f"GET {job.base}/models/churn/versions/1.1.0/card", {"markdown": "# churn"})
    job.server.lay(f"POST {RELEASES}", {"message": "Release already exists"}, status=status)
    return job.run("promote", "--release")


def test_it_holds_the_card_and_a_link(job: Job) -> None:
    code, output, _ = release(job)
    assert (code, output.splitlines()[-1]) == (0, "Release churn-v1.1.0")
    body = job.server.asked[-1].body
    assert (body["tag_name"], body["ref"], body["description"]) == ("churn-v1.1.0", "a1" * 20, "# churn")
    assert body["assets"]["links"][0]["name"] == "churn 1.1.0"


def test_a_tags_pipeline_releases_the_tag(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_COMMIT_TAG", "v1.1.0")
    assert release(job)[1].splitlines()[-1] == "Release v1.1.0"


def test_a_retried_job_finds_it_there(job: Job) -> None:
    code, output, _ = release(job, status=409, state="already")
    assert (code, output.splitlines()[-1]) == (0, "Release churn-v1.1.0 already exists")


def test_nothing_promoted_nothing_released(job: Job) -> None:
    release(job, state="nothing", reason="no run counts")
    assert [one for one in job.server.asked if "releases" in str(one)] == []


def test_a_refusal_is_an_error(job: Job) -> None:
    code, _, error = release(job, status=403)
    assert code == 3
    assert "releases returned 403" in error


def test_outside_of_a_job_it_says_so(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI_JOB_TOKEN")
    code, _, error = release(job)
    assert (code, "CI_JOB_TOKEN is not set" in error) == (2, True)

"""`mltrail rollback`: one command back."""

import json

import pytest

from tests.component.conftest import Job

ALIAS = "models/churn/aliases/champion"
MOVED = {"alias": "champion", "version": "1.1.0", "number": 2, "replaces": "1.2.0"}


def test_it_goes_back_and_says_so(job: Job) -> None:
    job.server.lay(f"POST {job.base}/{ALIAS}/rollback", MOVED)
    assert job.run("rollback", "churn", "--reason", "false alarms") == (
        0,
        "churn 1.1.0 is now champion, was 1.2.0\n",
        "",
    )
    assert job.server.asked[0].body == {"reason": "false alarms"}


def test_or_to_a_version_of_ones_choice(job: Job) -> None:
    job.server.lay(f"PUT {job.base}/{ALIAS}", MOVED)
    code, output, _ = job.run("rollback", "churn", "--to", "v1.1.0", "--expected", "1.2.0", "--json")
    assert (code, json.loads(output)) == (0, MOVED)
    assert job.server.asked[0].body == {"version": "1.1.0", "expected": "1.2.0"}


def test_it_needs_no_pipeline(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI_PIPELINE_ID")
    job.server.lay(f"POST {job.base}/{ALIAS}/rollback", MOVED)
    assert job.run("rollback", "churn")[0] == 0


def test_a_lost_answer_does_not_go_back_twice(job: Job) -> None:
    job.server.lay(f"POST {job.base}/{ALIAS}/rollback", {"message": "gone"}, status=502)
    assert job.run("rollback", "churn")[0] == 3
    assert len(job.server.asked) == 1

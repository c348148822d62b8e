"""Aliases are moved by compare-and-swap, with the history of who, when, why and from which pipeline."""

from typing import Any

import pytest

from tests.api.promotion.promoting import aliases, promote
from tests.api.trail import Trail
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("three")
BASE = "/api/v4/projects/42/ml/models/churn/aliases"


@pytest.fixture
def three(trail: Trail) -> list[int]:
    """Three promoted versions, 1.0.0 to 1.2.0; the last is champion."""
    made = []
    for number in range(3):
        pipeline = trail.main(str(number) * 40)
        trail.train(pipeline, [0.8 + number / 100], lr=str(number))
        promote(trail, pipeline)
        made.append(pipeline.id)
    return made


def call(trail: Trail, method: str, path: str = "", *, role: str = "maintainer", status: int = 200, **body: Any) -> Any:
    answer = trail.client.open(
        BASE + path,
        method=method,
        headers={"Authorization": f"Bearer {trail.team.tokens[role]}"},
        json=None if method == "GET" else body,
    )
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_json() if status == 200 else answer.get_json()["message"]


def test_a_roll_back_restores_the_alias_and_leaves_history(trail: Trail, three: list[int]) -> None:
    moved = call(trail, "POST", "/champion/rollback", reason="too many false alarms")
    assert moved == {"alias": "champion", "version": "1.1.0", "number": 2, "replaces": "1.2.0"}
    assert aliases(trail) == {"champion": "2"}
    answer = call(trail, "GET", role="guest")
    assert answer["aliases"] == [{"alias": "champion", "number": 2, "version": "1.1.0"}]
    newest, before = answer["moves"][:2]
    assert (newest["from"], newest["to"], newest["user"]) == ("1.2.0", "1.1.0", "maintainer")
    assert newest["reason"] == "rolled back from 1.2.0: too many false alarms"
    assert (before["to"], before["pipeline_id"]) == ("1.2.0", three[-1])
    assert before["reason"] == "promoted 1.2.0 (minor: lr 1 → 2)"


def test_a_second_one_goes_further_back_until_there_is_nothing(trail: Trail) -> None:
    seen = [call(trail, "POST", "/champion/rollback")["version"] for _ in range(2)]
    assert seen == ["1.1.0", "1.0.0"]
    assert "nothing to go back to" in call(trail, "POST", "/champion/rollback", status=409)
    assert aliases(trail) == {"champion": "1"}


def test_a_deleted_version_is_passed_over(trail: Trail) -> None:
    which = {"name": "churn", "version": "2"}
    trail.client.delete(
        "/api/v4/projects/42/ml/mlflow/api/2.0/mlflow/model-versions/delete",
        headers={"Authorization": f"Bearer {trail.team.tokens['owner']}"},
        json=which,
    )
    assert call(trail, "POST", "/champion/rollback")["version"] == "1.0.0"


def test_a_pipeline_may_promote_again_after_it(trail: Trail) -> None:
    call(trail, "POST", "/champion/rollback")
    pipeline = trail.main("9" * 40)
    trail.train(pipeline, [0.99], lr="9")
    (done,) = promote(trail, pipeline)
    assert (done["version"], done["replaces"]) == ("1.3.0", "1.1.0")
    assert call(trail, "POST", "/champion/rollback")["version"] == "1.1.0"


class TestCompareAndSwap:
    def test_it_moves_from_where_it_is_expected(self, trail: Trail) -> None:
        moved = call(trail, "PUT", "/champion", version="1.0.0", expected="1.2.0", reason="a test")
        assert (moved["version"], moved["replaces"]) == ("1.0.0", "1.2.0")

    def test_and_from_nowhere_else(self, trail: Trail) -> None:
        answer = call(trail, "PUT", "/champion", status=409, version="1.0.0", expected=2)
        assert "points at version 3, not at version 2 as expected" in answer
        answer = call(trail, "PUT", "/champion", status=409, version="1.0.0", expected="")
        assert "not at no version as expected" in answer
        assert "as expected" in call(trail, "POST", "/champion/rollback", status=409, expected="1.0.0")
        assert aliases(trail) == {"champion": "3"}

    def test_a_new_one_from_nowhere(self, trail: Trail) -> None:
        assert call(trail, "PUT", "/challenger", version=3, expected="")["replaces"] is None


class TestWhoMay:
    def test_a_developer_does_not(self, trail: Trail) -> None:
        for method, path, body in (("POST", "/champion/rollback", {}), ("PUT", "/champion", {"version": "1.0.0"})):
            assert "Maintainer role" in call(trail, method, path, role="developer", status=403, **body)
        call(trail, "POST", "/champion/rollback", role="reporter", status=403)

    def test_a_job_of_the_default_branch_does(self, trail: Trail) -> None:
        job = trail.team.job(ref="main", name="undo")
        answer = trail.client.post(
            f"{BASE}/champion/rollback",
            headers={"Authorization": f"Bearer {trail.team.gitlab.mint(job, EXTERNAL_URL)}"},
            json={},
        )
        assert answer.get_json()["version"] == "1.1.0"
        assert call(trail, "GET")["moves"][0]["pipeline_id"] == job.pipeline.id


def test_an_alias_that_points_nowhere(trail: Trail) -> None:
    assert "has no alias 'shadow'" in call(trail, "POST", "/shadow/rollback", status=400)

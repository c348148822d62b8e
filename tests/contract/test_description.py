"""Each request to GitLab and each answer of the stand-in is held against GitLab's own description of its API.

The check itself runs in every test that has a stand-in (`keeps_to_gitlabs_api`); here it is shown to see something.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from mltrail_server.gitlab.connections import NO_WAITING, Connections
from tests.fakes.gitlab import description
from tests.fakes.gitlab.description import Description, described
from tests.team import Team

SHA = "a1" * 20


@pytest.fixture
def gitlab_api() -> Description:
    found = described()
    if found is None:
        pytest.skip(f"GitLab's description is not at {description.FILE}; GITLAB_API_DESCRIPTION names it")
    return found


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "problem"),
    [
        ("GET", "/projects/42/merge_requests", {"state": "opened", "per_page": "100", "page": "1"}, None, None),
        ("GET", "/projects/team%2Fchurn/merge_requests", {"state": "opened"}, None, None),
        ("GET", "/projects/42/repository/branches/feature%2Fa", {}, None, None),
        ("GET", f"/projects/42/repository/commits/{SHA}/merge_requests", {}, None, None),
        ("GET", "/projects/42/pipelines/1/jobs", {"scope[]": "failed", "include_retried": "true"}, None, None),
        ("POST", "/projects/42/merge_requests/1/notes", {}, {"body": "hello"}, None),
        ("GET", "/projects/42/merge_requests", {"status": "opened"}, None, "no query parameter 'status'"),
        ("GET", "/projects/42/merge_requests", {"state": "open"}, None, "does not accept state='open'"),
        ("GET", "/projects/42/pipelines/1/jobs", {"per_page": "many"}, None, "does not accept per_page='many'"),
        ("GET", "/projects/42/pipelines/1/jobs", {"include_retried": "yes"}, None, "does not accept include_retried"),
        ("GET", "/projects/42/repository/compare", {"from": SHA}, None, "needs the query parameter 'to'"),
        ("GET", "/projects/42/runs", {}, None, "is not described"),
        ("PATCH", "/projects/42", {}, None, "is not described"),
        ("POST", "/projects/42/merge_requests/1/notes", {}, {"text": "hello"}, "has no field 'text'"),
        ("POST", "/projects/42/merge_requests/1/notes", {}, {}, "needs the field 'body'"),
        ("POST", "/projects/42/merge_requests/1/notes", {}, {"body": 1}, "body is 1"),
        ("POST", f"/projects/42/statuses/{SHA}", {}, {"state": "passed"}, "state is 'passed'"),
        (
            *("PUT", "/projects/42/merge_requests/1/discussions/ab/notes/1", {}),
            {"resolved": True, "body": "x"},
            "one of",
        ),
        ("GET", "/user", {"x": "1"}, None, "no query parameter 'x'"),
        ("GET", "/projects/42/pipelines/1/trigger_jobs", {"page": "1"}, None, None),
    ],
)
def test_requests(
    gitlab_api: Description, method: str, path: str, query: dict[str, str], body: Any, problem: str | None
) -> None:
    found = list(gitlab_api.request(method, path, query.items(), body))
    assert any(problem in one for one in found) if problem else found == []


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("/projects/42/merge_requests/1", {"iid": 1, "diff_refs": {"base_sha": SHA}}, None),
        ("/projects/42/merge_requests/1", {"iid": None}, None),
        ("/projects/42/merge_requests/1", {"iid": "1"}, "iid is '1', and GitLab has integer"),
        ("/projects/42/merge_requests/1", {"diff_refs": {"base": SHA}}, "diff_refs has no field 'base'"),
        ("/projects/42/merge_requests", [{"iid": 1, "diff_refs": {}}], "has no field 'diff_refs'"),
        ("/projects/42/merge_requests/1/approvals", {"approved_by": [{"user": {"id": "x"}}]}, "user: id is 'x'"),
        ("/metadata", {"version": 19}, "version is 19"),
        ("/user", {"is_admin": True}, None),
    ],
)
def test_answers(gitlab_api: Description, path: str, body: Any, problem: str | None) -> None:
    found = list(gitlab_api.answer("GET", path, 200, body))
    assert [problem in one for one in found] == [True] if problem else found == []


def test_refusals_have_shapes_of_their_own(gitlab_api: Description) -> None:
    assert list(gitlab_api.answer("GET", "/user", 403, {"error": "insufficient_scope"})) == []


@pytest.fixture
def seen() -> Iterator[list[str]]:
    """What was found, which here is no failure."""
    description.problems.clear()
    yield description.problems
    description.problems.clear()


def test_what_the_server_asks_is_looked_at(gitlab_api: Description, team: Team, seen: list[str]) -> None:
    session = Connections(team.gitlab.url).bot(team.tokens["bot"])
    session.http_get("/projects/42", statistic="true", **NO_WAITING)
    assert seen == ["GET /projects/{id} has no query parameter 'statistic'"]


def test_every_exception_is_still_one(gitlab_api: Description) -> None:
    """What the description has by now needs no excuse."""
    assert gitlab_api.names & set(description.NOT_DESCRIBED) == {"GET /job/allowed_agents"}

"""What mltrail asks GitLab, over real HTTP. https://docs.gitlab.com/api/rest/"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.gitlab_ci import GitLabMergeRequest
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.gitlab.connections import Connections
from tests.team import Team

PROJECT = ProjectId(42)
MAIN, FASTER = "a1" * 20, "b2" * 20


@pytest.fixture
def client(team: Team) -> GitLab:
    return GitLab(Connections(team.gitlab.url), team.tokens["bot"])


@pytest.fixture
def request_iid(team: Team) -> int:
    team.gitlab.add_commit(team.project, FASTER, parents=(MAIN,), branch="faster", files={"src/a b.yml": "x: 1"})
    return team.gitlab.add_merge_request(team.project, "faster", "main", "Learn faster").iid


def failed(call: Callable[[], Any]) -> MltrailError:
    with pytest.raises(MltrailError) as caught:
        call()
    return caught.value


def test_a_project(client: GitLab, team: Team) -> None:
    project = client.project(PROJECT)
    assert (project.id, project.path, project.default_branch) == (42, "team/churn", "main")
    assert project.web_url == f"{team.gitlab.url}/team/churn"


def test_a_pipeline_and_its_jobs_with_the_retried_ones_marked(client: GitLab, team: Team) -> None:
    first = team.job()
    team.gitlab.set_job(first, "failed", "script_failure")
    second = team.gitlab.retry_job(first)
    pipeline = client.pipeline(PROJECT, first.pipeline.id)
    assert (pipeline.sha, pipeline.ref, pipeline.source, pipeline.status) == (MAIN, "main", "push", "created")
    jobs = client.pipeline_jobs(PROJECT, pipeline.id)
    assert [(job.id, job.retried, job.failure_reason) for job in jobs] == [
        (second.id, False, None),
        (first.id, True, "script_failure"),
    ]
    assert client.job(PROJECT, first.id).status == "failed"


def test_more_jobs_than_a_page_holds(client: GitLab, team: Team) -> None:
    pipeline = team.gitlab.add_pipeline(team.project, MAIN, "main", "push")
    for number in range(230):
        team.gitlab.add_job(pipeline, f"train {number}/230", "train", team.users["developer"])
    assert len(client.pipeline_jobs(PROJECT, pipeline.id)) == 230


def test_merge_requests_are_found_by_number_branch_and_commit(client: GitLab, request_iid: int) -> None:
    found = client.merge_request(PROJECT, request_iid)
    assert (found.source_branch, found.target_branch, found.state) == ("faster", "main", "opened")
    assert (found.sha, found.base_sha, found.source_project_id) == (FASTER, MAIN, 42)

    def iids(requests: list[GitLabMergeRequest]) -> list[int]:
        return [one.iid for one in requests]

    assert iids(client.open_merge_requests(PROJECT, "faster")) == [request_iid]
    assert iids(client.commit_merge_requests(PROJECT, FASTER)) == [request_iid]
    # What the target branch had already is in no merge request.
    assert iids(client.commit_merge_requests(PROJECT, MAIN)) == []


def test_a_forks_branch_of_the_same_name_is_not_ours(client: GitLab, team: Team) -> None:
    fork = team.gitlab.add_project("stranger/churn")
    team.gitlab.add_commit(fork, "e" * 40, branch="faster")
    team.gitlab.add_merge_request(team.project, "faster", "main", "Mine", source_project=fork)
    assert client.open_merge_requests(PROJECT, "faster") == []


def test_ancestors_begin_with_the_commit_itself(client: GitLab, request_iid: int) -> None:
    assert client.ancestors(PROJECT, FASTER) == [FASTER, MAIN]
    assert client.ancestors(PROJECT, FASTER, limit=1) == [FASTER]


def test_a_file_of_the_repository(client: GitLab, team: Team, request_iid: int) -> None:
    team.gitlab.add_commit(team.project, "c" * 40, parents=(FASTER,), branch="empty", files={"none.yml": ""})
    assert client.raw_file(PROJECT, "src/a b.yml", "faster") == b"x: 1"
    assert client.raw_file(PROJECT, "none.yml", "empty") == b""
    assert client.raw_file(PROJECT, "src/a b.yml", "main") is None


def test_notes_are_written_found_and_overwritten(client: GitLab, team: Team, request_iid: int) -> None:
    note = client.create_note(PROJECT, request_iid, "first")
    assert note.author_id == client.bot_id() == team.users["bot"].id
    client.update_note(PROJECT, request_iid, note.id, "second")
    assert [(one.id, one.body) for one in client.notes(PROJECT, request_iid)] == [(note.id, "second")]
    team.gitlab.delete_note(team.project, request_iid, note.id)
    assert failed(lambda: client.update_note(PROJECT, request_iid, note.id, "third")).code is Code.NOT_FOUND


def test_all_notes_come_oldest_first(client: GitLab, request_iid: int) -> None:
    made = [client.create_note(PROJECT, request_iid, f"note {number}").id for number in range(105)]
    assert [note.id for note in client.notes(PROJECT, request_iid)] == made


def test_a_body_of_quick_actions_makes_no_note(client: GitLab, team: Team, request_iid: int) -> None:
    assert failed(lambda: client.create_note(PROJECT, request_iid, "/close")).code is Code.UNAVAILABLE
    assert team.gitlab.quick_actions == ["close"]


def test_the_bot_is_asked_for_once(client: GitLab, team: Team) -> None:
    assert client.bot_id() == client.bot_id()
    assert team.gitlab.requests.count(("GET", "/api/v4/user")) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_note_is_never_sent_twice(client: GitLab, team: Team, request_iid: int, status: int) -> None:
    # GitLab took it, and a proxy on the way lost the answer.
    team.gitlab.fail_next("POST", "/notes$", status, after=True)
    assert failed(lambda: client.create_note(PROJECT, request_iid, "once")).code is Code.UNAVAILABLE
    assert len(team.gitlab.notes(team.project, request_iid)) == 1


def test_a_rate_limit_is_raised_and_not_slept_through(client: GitLab, team: Team) -> None:
    team.gitlab.fail_next("GET", "/projects/42$", 429, headers={"Retry-After": "60"})
    began = time.monotonic()
    error = failed(lambda: client.project(PROJECT))
    assert (error.code, error.retry_after) == (Code.UNAVAILABLE, 60)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (401, Code.UNAVAILABLE, "MLTRAIL_GITLAB_TOKEN"),
        (403, Code.FORBIDDEN, "scope or role"),
        (404, Code.NOT_FOUND, "no such project"),
        (500, Code.UNAVAILABLE, "is not responding"),
    ],
)
def test_refusals_say_what_to_do(client: GitLab, team: Team, status: int, code: Code, says: str) -> None:
    team.gitlab.fail_next("GET", "/projects/42$", status)
    error = failed(lambda: client.project(PROJECT))
    assert error.code is code
    assert says in error.message


def test_a_gitlab_that_is_away(client: GitLab, team: Team) -> None:
    team.gitlab.stop()
    assert failed(lambda: client.project(PROJECT)).code is Code.UNAVAILABLE


def test_each_token_has_a_connection_of_its_own(team: Team) -> None:
    sessions = Connections(team.gitlab.url)
    for name in ("bot", "owner"):
        assert GitLab(sessions, team.tokens[name]).bot_id() == team.users[name].id

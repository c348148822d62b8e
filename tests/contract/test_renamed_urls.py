"""URLs that GitLab has renamed: each GitLab is asked by the name that it knows, and not twice every time.

https://docs.gitlab.com/api/rest/deprecations/
"""

import pytest

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab import pipeline_parents
from mltrail_server.gitlab.client import GitLab
from mltrail_server.gitlab.connections import Connections
from mltrail_server.gitlab.probe import Probe
from tests.clock import FrozenClock
from tests.fakes.gitlab import Pipeline
from tests.team import Team

PROJECT, MAIN = ProjectId(42), "a1" * 20
OLDER, NEWER = ("15.11.13", "17.0.0-ee", "18.11.2", "19.1.0"), ("19.2.0", "19.5.1-ee", "20.0.0")
DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def client(team: Team, clock: FrozenClock) -> GitLab:
    return GitLab(Connections(team.gitlab.url, clock), team.tokens["bot"])


@pytest.fixture
def child(team: Team) -> Pipeline:
    """A child of the second of two pipelines of one commit, so that GitLab is asked what each has started."""
    team.gitlab.add_pipeline(team.project, MAIN, "main", "push")
    return team.gitlab.add_child(team.gitlab.add_pipeline(team.project, MAIN, "main", "push"))


def root(client: GitLab, child: Pipeline) -> int | None:
    found = pipeline_parents.root_of(client, PROJECT, client.pipeline(PROJECT, child.id))
    return found.id if found else None


def asked(team: Team) -> list[str]:
    """List the last parts of the URLs that were asked for since the last time."""
    names = [path.rpartition("/")[2] for _, path in team.gitlab.requests]
    team.gitlab.requests.clear()
    return [name for name in names if name in ("trigger_jobs", "bridges", "metadata", "version")]


@pytest.mark.parametrize("version", NEWER)
def test_a_newer_gitlab_is_asked_for_trigger_jobs_only(
    client: GitLab, team: Team, child: Pipeline, version: str
) -> None:
    team.gitlab.version = version
    assert root(client, child) == child.id - 1
    assert set(asked(team)) == {"trigger_jobs"}


@pytest.mark.parametrize("version", OLDER)
def test_an_older_gitlab_is_asked_twice_once(client: GitLab, team: Team, child: Pipeline, version: str) -> None:
    team.gitlab.version = version
    assert root(client, child) == child.id - 1
    assert asked(team) == ["trigger_jobs", "bridges", "bridges"]
    assert root(client, child) == child.id - 1
    assert asked(team) == ["bridges", "bridges"]


def test_other_bots_and_threads_know_it_too(client: GitLab, team: Team, child: Pipeline) -> None:
    team.gitlab.version = "18.0.0"
    root(client, child)
    asked(team)
    other = GitLab(client.sessions, team.tokens["maintainer"])
    assert root(other, child) == child.id - 1
    assert set(asked(team)) == {"bridges"}


def test_a_gitlab_that_was_upgraded_is_asked_anew_within_a_day(
    client: GitLab, team: Team, child: Pipeline, clock: FrozenClock
) -> None:
    team.gitlab.version = "19.1.0"
    root(client, child)
    team.gitlab.version = "19.2.0"
    asked(team)
    clock.advance(DAY_MS + 1)
    assert root(client, child) == child.id - 1
    assert set(asked(team)) == {"trigger_jobs"}


@pytest.mark.parametrize("version", ["18.0.0", "19.2.0"])
def test_a_pipeline_that_is_gone_does_not_make_gitlab_old(
    client: GitLab, team: Team, child: Pipeline, version: str
) -> None:
    team.gitlab.version = version
    for _ in range(2):
        team.gitlab.fail_next("GET", "/(trigger_jobs|bridges)$", 404)
    with pytest.raises(MltrailError) as caught:
        root(client, child)
    assert caught.value.code is Code.NOT_FOUND
    assert client.sessions.older_until == {}


@pytest.mark.parametrize(("status", "code"), [(403, Code.FORBIDDEN), (500, Code.UNAVAILABLE)])
def test_a_refusal_is_raised_and_not_worked_around(
    client: GitLab, team: Team, child: Pipeline, status: int, code: Code
) -> None:
    team.gitlab.version = "19.2.0"
    team.gitlab.fail_next("GET", "/trigger_jobs$", status)
    with pytest.raises(MltrailError) as caught:
        root(client, child)
    assert caught.value.code is code
    assert asked(team) == ["trigger_jobs"]


@pytest.mark.parametrize(
    ("version", "names"), [("15.1.0", ["metadata", "version"]), ("15.2.0", ["metadata"]), ("19.5.0", ["metadata"])]
)
def test_the_version_is_read_from_the_metadata(team: Team, version: str, names: list[str]) -> None:
    team.gitlab.version = version
    assert Probe(Connections(team.gitlab.url), team.tokens["bot"]).version() == version
    assert asked(team) == names

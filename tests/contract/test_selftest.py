"""`mltrail-server selftest`: passes against the stand-in, and names each way in which a GitLab could differ."""

from collections.abc import Callable
from typing import Any

import pytest

from mltrail_server import cli
from mltrail_server.services.admin.checks import FAILED, OK
from mltrail_server.services.admin.selftest import SelfTest, SelfTestInput
from mltrail_server.settings import Settings
from tests.clock import FrozenClock
from tests.team import EXTERNAL_URL, Team


@pytest.fixture
def request_iid(team: Team) -> int:
    team.gitlab.add_commit(team.project, "b2" * 20, parents=("a1" * 20,), branch="faster")
    return team.gitlab.add_merge_request(team.project, "faster", "main", "Learn faster").iid


@pytest.fixture
def settings(team: Team) -> Settings:
    return Settings(external_url=EXTERNAL_URL, gitlab_url=team.gitlab.url, gitlab_token=team.tokens["bot"])


@pytest.fixture
def try_it(team: Team, settings: Settings, request_iid: int, clock: FrozenClock) -> Callable[..., dict[str, Any]]:
    def run(**given: Any) -> dict[str, Any]:
        job = team.job()
        asked = {
            "project": "team/churn",
            "merge_request_iid": request_iid,
            "id_token": team.gitlab.mint(job, EXTERNAL_URL),
            "job_token": job.token,
        }
        return {line.name: line for line in SelfTest(settings, SelfTestInput(**(asked | given)), clock).run()}

    return run


def failures(lines: dict[str, Any]) -> list[str]:
    return [name for name, line in lines.items() if line.outcome == FAILED]


def test_the_stand_in_passes_and_keeps_no_note(
    try_it: Callable[..., dict[str, Any]], team: Team, request_iid: int
) -> None:
    lines = try_it()
    assert failures(lines) == []
    assert [name for name, line in lines.items() if line.outcome != OK] == ["webhook"]
    assert "--webhook-listen" in lines["webhook"].detail
    assert team.gitlab.notes(team.project, request_iid) == []


def test_a_project_that_the_bot_does_not_see_is_named(try_it: Callable[..., dict[str, Any]]) -> None:
    lines = try_it(project="team/chrun")
    assert failures(lines) == ["project by path and number"]
    assert "no project team/chrun: give --project its full path" in lines["project by path and number"].detail


def test_outside_of_a_job_it_tries_what_it_can(try_it: Callable[..., dict[str, Any]]) -> None:
    lines = try_it(id_token="", job_token="", merge_request_iid=None)
    assert failures(lines) == []
    assert lines["project by path and number"].outcome == OK
    assert "id_tokens" in lines["ID token"].detail


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/metadata$", 403, "GitLab's version"),
        ("GET", "/personal_access_tokens/self", 404, "bot's token"),
        ("GET", "/openid-configuration", 404, "issuer and keys"),
        ("GET", "/discovery/keys", 404, "issuer and keys"),
        ("GET", "/job$", 404, "CI_JOB_TOKEN"),
        ("GET", "/allowed_agents$", 404, "CI_JOB_TOKEN"),
        ("GET", r"/jobs/\d+$", 404, "job looked up"),
        ("GET", r"/pipelines/\d+/jobs$", 404, "job looked up"),
        ("GET", "/branches/", 500, "CI_JOB_TOKEN"),
        ("GET", "/commits$", 404, "commits"),
        ("GET", r"/merge_requests/\d+$", 404, "merge request found"),
        ("GET", "/42/merge_requests$", 403, "merge request found"),
        ("GET", "/notes$", 403, "note written, edited, found, deleted"),
        ("POST", "/notes$", 403, "note written, edited, found, deleted"),
        ("PUT", "/notes/", 403, "note written, edited, found, deleted"),
        ("DELETE", "/notes/", 403, "note written, edited, found, deleted"),
    ],
)
def test_a_call_that_gitlab_refuses_is_named(
    try_it: Callable[..., dict[str, Any]], team: Team, method: str, path: str, status: int, name: str
) -> None:
    team.gitlab.fail_next(method, path, status)
    assert failures(try_it()) == [name]


class TestWrongSetUps:
    def test_a_gitlab_that_is_too_old(self, try_it: Callable[..., dict[str, Any]], team: Team) -> None:
        team.gitlab.version = "16.11.3-ee"
        assert "17.0 or newer" in try_it(id_token="", job_token="")["GitLab's version"].detail

    def test_no_bot_at_all(self, team: Team, clock: FrozenClock) -> None:
        botless = Settings(external_url=EXTERNAL_URL, gitlab_url=team.gitlab.url)
        lines = {line.name: line for line in SelfTest(botless, SelfTestInput("team/churn"), clock).run()}
        assert failures(lines) == ["GitLab's version", "bot's token", "project by path and number"]
        assert all("MLTRAIL_GITLAB_TOKEN" in lines[name].detail for name in failures(lines))

    def test_a_bots_token_that_gitlab_does_not_know(
        self, try_it: Callable[..., dict[str, Any]], team: Team, settings: Settings
    ) -> None:
        del team.gitlab.tokens[settings.gitlab_token]
        detail = try_it(id_token="", job_token="")["GitLab's version"].detail
        assert "MLTRAIL_GITLAB_TOKEN" in detail
        assert "CI job" not in detail, "the bot's token is no variable of a job"

    def test_an_access_token_where_an_id_token_should_be(
        self, try_it: Callable[..., dict[str, Any]], team: Team
    ) -> None:
        line = try_it(id_token=team.tokens["developer"])["ID token"]
        assert line.outcome != FAILED
        assert "no ID token" in line.detail

    def test_a_bot_without_its_scope(self, try_it: Callable[..., dict[str, Any]], team: Team) -> None:
        team.gitlab.tokens[team.tokens["bot"]].scopes = ["read_api"]
        assert failures(try_it()) == ["bot's token", "note written, edited, found, deleted"]

    def test_a_bot_without_a_role(self, try_it: Callable[..., dict[str, Any]], team: Team) -> None:
        team.project.members[team.users["bot"].id] = 10
        assert "bot's role" in failures(try_it())

    def test_a_token_of_another_audience(self, try_it: Callable[..., dict[str, Any]], team: Team) -> None:
        lines = try_it(id_token=team.gitlab.mint(team.job(), "https://vault.example.com"))
        assert failures(lines) == ["ID token"]
        assert f"aud: {EXTERNAL_URL}" in lines["ID token"].detail

    def test_new_claims_are_named(self, try_it: Callable[..., dict[str, Any]], team: Team) -> None:
        checks = try_it(id_token=team.gitlab.mint(team.job(), EXTERNAL_URL, moon_phase="full"), job_token="")
        assert "moon_phase" in checks["ID token"].detail
        assert "full" not in checks["ID token"].detail

    def test_a_gitlab_that_is_away(self, try_it: Callable[..., dict[str, Any]], team: Team) -> None:
        team.gitlab.limited = 60
        assert "GitLab's version" in failures(try_it())


class TestWebhook:
    """GitLab makes a hook, sends it, and what comes is looked at."""

    @pytest.fixture
    def line(self, try_it: Callable[..., dict[str, Any]], team: Team) -> Callable[..., Any]:
        team.project.members[team.users["bot"].id] = 40

        def run(**given: Any) -> Any:
            return try_it(webhook_listen="127.0.0.1:0", webhook_wait_seconds=0.5, **given)["webhook"]

        return run

    @pytest.mark.parametrize(("version", "says"), [("18.6.0", "does not sign"), ("19.1.0", "a good signature")])
    def test_it_is_received_and_removed(self, line: Callable[..., Any], team: Team, version: str, says: str) -> None:
        team.gitlab.version = version
        found = line()
        assert found.outcome == OK, found
        assert says in found.detail
        assert team.project.hooks == {}

    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            (lambda *_: None, "nothing came to"),
            (lambda headers, body: (headers | {"X-Gitlab-Token": "other"}, body), "without the secret token"),
            (lambda headers, body: (headers | {"webhook-signature": "v1,eA=="}, body), "signature is wrong"),
            (lambda headers, body: (headers | {"webhook-timestamp": "1"}, body), "signature is wrong"),
            (lambda headers, body: (headers, body.replace(b"pipeline", b"push")), "another kind"),
            (lambda headers, _: (headers, b'{"text": "own template"}'), "another shape: KeyError 'object_kind'"),
        ],
    )
    def test_each_way_to_differ_is_named(self, line: Callable[..., Any], team: Team, spoil: Any, says: str) -> None:
        team.gitlab.version, team.gitlab.spoil_hook = "19.1.0", spoil
        found = line()
        assert found.outcome == FAILED
        assert says in found.detail
        assert team.project.hooks == {}

    def test_a_bot_that_is_no_maintainer_needs_the_role(self, line: Callable[..., Any], team: Team) -> None:
        team.project.members[team.users["bot"].id] = 30
        assert "needs the Maintainer role" in line().detail

    def test_a_url_that_gitlab_refuses_is_invalid(self, line: Callable[..., Any]) -> None:
        assert "Invalid url given" in line(webhook_url="ftp://here").detail

    def test_a_test_that_gitlab_refuses_leaves_no_hook(self, line: Callable[..., Any], team: Team) -> None:
        team.gitlab.fail_next("POST", "/test/pipeline_events$", 422)
        assert line().outcome == FAILED
        assert team.project.hooks == {}


def test_a_wrong_url_is_named(try_it: Callable[..., dict[str, Any]], team: Team) -> None:
    team.gitlab.stop()
    assert f"ConnectionError, asking {team.gitlab.url}" in try_it(id_token="", job_token="")["GitLab's version"].detail


def test_the_command_reports_without_secrets(
    team: Team,
    settings: Settings,
    request_iid: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    job = team.job()
    monkeypatch.setenv("CI_JOB_TOKEN", job.token)
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
    assert cli.main(["selftest", "--project", "team/churn", "--merge-request", str(request_iid)]) == 0
    report = capsys.readouterr().out
    assert "18.6.0" in report
    assert report.endswith("passed\n")
    assert not any(secret in report for secret in (job.token, *team.gitlab.tokens))
    monkeypatch.setenv("MLTRAIL_GITLAB_TOKEN", "glpat-wrong")
    assert cli.main(["selftest", "--project", "team/churn"]) == 1
    assert "FAILED" in capsys.readouterr().out

"""Set-ups: who may come at all, bots of single groups, a GitLab below a path, and one that hangs or breaks off."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server import worker
from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.context.job_states import JobStates
from mltrail_server.settings import Settings
from tests.api.identity.admission import READ, WRITE, admitted, refused
from tests.clock import FrozenClock
from tests.fakes.gitlab import FakeGitLab
from tests.mlflow_client import Mlflow
from tests.processes import wait_until
from tests.team import EXTERNAL_URL, Team

Making = Callable[..., Deps]


@pytest.fixture
def made_with(gitlab_deps: Deps, clock: FrozenClock) -> Iterator[Making]:
    """Make a server with some settings changed."""
    made: list[Deps] = []

    def make(**changes: Any) -> Deps:
        made.append(create_deps(replace(gitlab_deps.settings, **changes), clock=clock))
        return made[-1]

    yield make
    for deps in made:
        deps.db.dispose()


class TestNamespaces:
    @pytest.fixture
    def client(self, made_with: Making) -> FlaskClient:
        return create_app(made_with(allowed_namespaces="other, Team/")).test_client()

    def test_a_group_that_is_named_comes_in_with_its_subgroups(self, client: FlaskClient, team: Team) -> None:
        team.gitlab.add_member(team.gitlab.add_project("team/sub/deep", id=78), team.users["owner"], 50)
        for project in ("42", "team%2Fchurn", "78", "team%2Fsub%2Fdeep"):
            assert admitted(client, team.tokens["owner"], project=project)

    def test_all_others_are_refused_with_every_token(self, client: FlaskClient, team: Team) -> None:
        own = team.gitlab.add_project("teamster/churn", id=79)
        team.gitlab.add_member(own, team.users["stranger"], 50)
        pipeline = team.gitlab.add_pipeline(own, "f" * 40, "main", "push")
        job = team.gitlab.add_job(pipeline, "t", "t", team.users["stranger"], "running")
        for token in (team.tokens["stranger"], job.token, team.gitlab.mint(job, EXTERNAL_URL)):
            for project in ("79", "teamster%2Fchurn"):
                status, _, message = refused(client, token, project=project)
                assert status == 403
                assert "MLTRAIL_ALLOWED_NAMESPACES" in message

    def test_a_stranger_learns_nothing_of_what_is_there(self, client: FlaskClient, team: Team) -> None:
        team.gitlab.add_project("secret/plan", id=80)
        hidden = refused(client, team.tokens["stranger"], project="secret%2Fplan")
        missing = refused(client, team.tokens["stranger"], project="secret%2Fnone")
        assert hidden == missing
        by_number = refused(client, team.tokens["stranger"], project="80")
        assert by_number[0] == refused(client, team.tokens["stranger"], project="81")[0] == 404

    def test_gitlab_com_needs_them(self) -> None:
        with pytest.raises(MltrailError, match="MLTRAIL_ALLOWED_NAMESPACES"):
            Settings.from_environment(
                {"MLTRAIL_GITLAB_URL": "https://gitlab.com", "MLTRAIL_EXTERNAL_URL": "https://mltrail.example.com"}
            )

    @pytest.mark.parametrize("name", ["MLTRAIL_QUOTA_BYTES", "MLTRAIL_REFUSE_FINISHED_JOBS", "MLTRAIL_GITLAB_TOKENS"])
    def test_a_setting_that_makes_no_sense_is_named(self, name: str) -> None:
        with pytest.raises(MltrailError, match=name):
            Settings.from_environment({name: "many"})


def test_a_groups_own_bot_does_the_work_there(made_with: Making, team: Team, clock: FrozenClock) -> None:
    """The default bot is no member of that group's projects."""
    own = team.gitlab.add_project("lab/deep/fold", id=81)
    team.gitlab.add_commit(own, "d" * 40, branch="main")
    bots = [team.gitlab.add_user(name) for name in ("lab_bot", "deep_bot")]
    for level, bot in zip((20, 30), bots, strict=True):
        team.gitlab.add_member(own, bot, level)
    team.gitlab.add_member(own, team.users["developer"], 30)
    tokens = [team.gitlab.add_token(bot, ["api"]) for bot in bots]
    deps = made_with(gitlab_tokens=f"lab={tokens[0]}, lab/deep={tokens[1]}")
    request = team.gitlab.add_merge_request(own, "main", "main", "Fold")
    pipeline = team.gitlab.add_pipeline(own, "d" * 40, f"refs/merge-requests/{request.iid}/head", "merge_request_event")
    job = team.gitlab.add_job(pipeline, "train", "train", team.users["developer"], "running")
    token = team.gitlab.mint(job, EXTERNAL_URL)
    mlflow = Mlflow(create_app(deps).test_client(), project="81", token=token)
    run = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=run, key="accuracy", value=0.5, timestamp=1)
    mlflow.post("runs/update", run_id=run, status="FINISHED")
    team.gitlab.set_job(job, "success")
    clock.advance(15_000)
    worker.run_once(deps)
    assert [note.author.username for note in team.gitlab.notes(own, request.iid)] == ["deep_bot"]
    assert deps.team is not None
    assert deps.team.gitlab.project(ProjectId(42)).path == "team/churn", "others are the default bot's"


def test_finished_jobs_may_be_let_in(made_with: Making, team: Team, clock: FrozenClock) -> None:
    client = create_app(made_with(refuse_finished_jobs="off")).test_client()
    job = team.job()
    token = team.gitlab.mint(job, EXTERNAL_URL)
    team.gitlab.set_job(job, "success")
    clock.advance(600_000)
    assert admitted(client, token, call=WRITE)


def test_a_gitlab_below_a_path(made_with: Making, clock: FrozenClock) -> None:
    with FakeGitLab(clock=lambda: clock() / 1000, prefix="/git/lab") as gitlab:
        project = gitlab.add_project("team/churn", id=42)
        users = {name: gitlab.add_user(name) for name in ("developer", "bot")}
        for user in users.values():
            gitlab.add_member(project, user, 30)
        gitlab.add_commit(project, "a1" * 20, branch="main")
        bot = gitlab.add_token(users["bot"], ["api"])
        client = create_app(made_with(gitlab_url=gitlab.url + "/", gitlab_token=bot)).test_client()
        job = gitlab.add_job(
            gitlab.add_pipeline(project, "a1" * 20, "main", "push"), "t", "t", users["developer"], "running"
        )
        tokens = (gitlab.add_token(users["developer"], ["api"]), job.token, gitlab.mint(job, EXTERNAL_URL))
        for token in tokens:
            assert admitted(client, token, project="team%2Fchurn")
        run = Mlflow(client, project="42", token=job.token).post("runs/create", experiment_id="0")["run"]
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        assert tags["gitlab.CI_JOB_URL"] == f"{gitlab.url}/team/churn/-/jobs/{job.id}"


def test_the_issuer_may_live_elsewhere(made_with: Making, team: Team, clock: FrozenClock) -> None:
    with FakeGitLab(clock=lambda: clock() / 1000) as issuer:
        issuer.rotate_key()
        client = create_app(made_with(oidc_issuer=issuer.url)).test_client()
        job = team.job()
        right = team.gitlab.mint(job, EXTERNAL_URL, key=issuer.ci_key, iss=issuer.url)
        assert admitted(client, right, call=WRITE)
        for wrong in (team.gitlab.mint(job, EXTERNAL_URL), team.gitlab.mint(job, EXTERNAL_URL, key=issuer.ci_key)):
            assert refused(client, wrong)[0] == 401
        assert admitted(client, team.tokens["developer"]), "people are still GitLab's"


@pytest.mark.parametrize("how", ["cut", "garbled"])
@pytest.mark.parametrize(
    "path", ["/personal_access_tokens/self$", "/user$", "/projects/42$", "/job$", "/allowed_agents$"]
)
def test_an_answer_that_is_no_answer_is_worth_a_retry(
    gitlab_client: FlaskClient, team: Team, path: str, how: Any
) -> None:
    token = team.job().token if "agents" in path or "job" in path else team.tokens["developer"]
    team.gitlab.fail_next("GET", path, how=how)
    assert refused(gitlab_client, token)[:2] == (503, "TEMPORARILY_UNAVAILABLE")
    assert admitted(gitlab_client, token)


def test_a_gitlab_that_hangs_holds_up_one_write_and_no_more(gitlab_deps: Deps, team: Team, clock: FrozenClock) -> None:
    patient = 0.3
    assert gitlab_deps.team is not None
    patience = JobStates(timeout_seconds=patient)
    quick = replace(gitlab_deps, team=replace(gitlab_deps.team, job_states=patience))
    gitlab_client = create_app(quick).test_client()
    first, second = (team.gitlab.mint(team.job(), EXTERNAL_URL) for _ in range(2))
    for token in (first, second):
        assert admitted(gitlab_client, token, call=READ)
    clock.advance(600_000)
    team.gitlab.fail_next("GET", r"/jobs/\d+$", how="hang")
    before, began = len(team.gitlab.requests), time.monotonic()
    for token, name in ((first, "a"), (first, "b"), (second, "c")):
        assert admitted(gitlab_client, token, call=("POST", "experiments/create", {"name": name}))
    assert patient < time.monotonic() - began

    def asked() -> list[str]:
        return [path for _, path in team.gitlab.requests[before:] if "/jobs/" in path]

    wait_until(asked, "the call has come to GitLab, perhaps after its caller has given it up")
    assert len(asked()) == 1
    team.gitlab.released.set()


def test_no_token_follows_to_another_host(gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
    with FakeGitLab(clock=lambda: clock() / 1000) as thief:
        token = team.job().token
        there = {"Location": f"{thief.url}/api/v4/job"}
        team.gitlab.fail_next("GET", "/job$", 302, headers=there)
        team.gitlab.fail_next("GET", "/projects/42$", 301, headers=there)
        for one in (token, team.tokens["developer"]):
            status, _, message = refused(gitlab_client, one)
            assert status == 503
            assert "MLTRAIL_GITLAB_URL" in message
        assert thief.requests == []

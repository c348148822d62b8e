"""Jobs: CI_JOB_TOKEN, the fork rule, and older GitLabs.

https://docs.gitlab.com/ci/jobs/ci_job_token/ and https://docs.gitlab.com/ci/secrets/id_token_authentication/
"""

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from tests.api.identity.admission import READ, WRITE, admitted, refused
from tests.api.identity.jobs import fork_job, merge_request_job, tags_of_new_run
from tests.clock import FrozenClock
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL, Team

RUN = "api/2.0/mlflow/runs/create"


class TestJobTokens:
    @pytest.mark.parametrize("project", ["42", "team%2Fchurn"])
    def test_a_job_token_logs(self, gitlab_client: FlaskClient, team: Team, project: str) -> None:
        assert admitted(gitlab_client, team.job().token, project=project, call=WRITE)

    def test_it_proves_what_an_id_token_proves(self, gitlab_client: FlaskClient, team: Team) -> None:
        own = merge_request_job(team, None, team.project.branches["main"], "main", "developer")
        for job in (team.job(), own):
            by_id_token = tags_of_new_run(gitlab_client, team.gitlab.mint(job, EXTERNAL_URL))
            assert tags_of_new_run(gitlab_client, job.token) == by_id_token
            assert by_id_token["gitlab.verified"] == "true"

    def test_it_comes_as_gitlabs_header_bearer_and_password(self, gitlab_client: FlaskClient, team: Team) -> None:
        token = team.job().token
        pair = base64.b64encode(f"gitlab-ci-token:{token}".encode()).decode()
        for headers in ({"JOB-TOKEN": token}, {"Authorization": f"Bearer {token}"}, {"Authorization": f"Basic {pair}"}):
            mlflow = Mlflow(gitlab_client, project="42", token=None)
            good(mlflow.call("GET", "api/2.0/mlflow/experiments/get?experiment_id=0", headers=headers))

    def test_a_jwt_behind_the_prefix_is_a_job_token(self, gitlab_client: FlaskClient, team: Team) -> None:
        job = team.job()
        job.token = "glcbt-" + team.gitlab.mint(job, "https://gitlab.example.com")
        assert admitted(gitlab_client, job.token, call=WRITE)

    def test_it_dies_with_its_job(self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
        job = team.job()
        assert admitted(gitlab_client, job.token, call=WRITE)
        team.gitlab.set_job(job, "success")
        clock.advance(60_000)
        status, _, message = refused(gitlab_client, job.token)
        assert status == 401
        assert "only while its job runs" in message

    @pytest.mark.parametrize(("user", "call", "status"), [("reporter", WRITE, 403), ("stranger", READ, 403)])
    def test_the_users_role_counts(
        self, gitlab_client: FlaskClient, team: Team, user: str, call: Any, status: int
    ) -> None:
        assert refused(gitlab_client, team.job(user=user).token, call=call)[0] == status

    def test_other_projects_are_hidden(self, gitlab_client: FlaskClient, team: Team) -> None:
        team.gitlab.add_project("team/other", id=77)
        hidden, missing = (refused(gitlab_client, team.job().token, project=number) for number in ("77", "99"))
        assert hidden[:2] == missing[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
        assert hidden[2].replace("77", "") == missing[2].replace("99", "")

    def test_a_forks_code_reads_and_does_not_log(self, gitlab_client: FlaskClient, team: Team) -> None:
        token = fork_job(team, user="developer").token
        assert admitted(gitlab_client, token)
        status, _, message = refused(gitlab_client, token, call=WRITE)
        assert status == 403
        assert "fork's code" in message

    def test_it_is_remembered_for_a_minute_and_stays_good_while_gitlab_is_down(
        self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock
    ) -> None:
        token = team.job().token
        assert admitted(gitlab_client, token, call=WRITE)
        before = len(team.gitlab.requests)
        assert admitted(gitlab_client, token, call=("POST", "experiments/create", {"name": "again"}))
        assert len(team.gitlab.requests) == before
        team.gitlab.stop()
        clock.advance(5 * 60_000)
        assert admitted(gitlab_client, token)
        clock.advance(61_000)
        assert refused(gitlab_client, token)[0] == 503

    def test_the_bot_looks_up_whether_a_branch_is_protected(self, gitlab_deps: Deps, team: Team) -> None:
        assert gitlab_deps.team is not None
        team.gitlab.add_commit(team.project, "c" * 40, branch="side")
        team.project.tags["v1"] = team.project.tags["v2"] = team.project.branches["main"]
        team.project.protected.add("v1")
        proved = {}
        for ref, tag in (("main", False), ("side", False), ("v1", True), ("v2", True)):
            pipeline = team.gitlab.add_pipeline(team.project, team.project.branches["main"], ref, "push", tag=tag)
            job = team.gitlab.add_job(pipeline, "t", "t", team.users["developer"], "running")
            claims = gitlab_deps.team.job_tokens.verify(job.token)
            proved[ref] = (claims.ref_type, claims.ref_protected)
        assert proved == {
            "main": ("branch", True),
            "side": ("branch", False),
            "v1": ("tag", True),
            "v2": ("tag", False),
        }


class TestClaimsThatProveNothing:
    """Claims that a project configures, that a GitLab leaves out, or that are texts where one expects more."""

    @pytest.mark.parametrize(
        "claims",
        [
            {"sub": None},
            {"sub": "project_path:other/project"},
            {"jti": None},
            {"user_id": ""},
            {"runner_id": None},
            {"ref_path": None},
            {"user_email": None},
            {"project_visibility": "public"},
            {"environment": "production", "environment_protected": "false"},
            {"namespace_id": "1", "namespace_path": "evil"},
            {"a_claim_of_tomorrow": {"deep": [1]}},
        ],
    )
    def test_they_change_nothing(self, gitlab_client: FlaskClient, team: Team, claims: dict[str, Any]) -> None:
        assert admitted(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL, **claims), call=WRITE)

    def test_an_administrators_job_without_membership_is_refused_with_the_reason(
        self, gitlab_client: FlaskClient, team: Team
    ) -> None:
        team.users["stranger"].admin = True
        status, _, message = refused(gitlab_client, team.gitlab.mint(team.job(user="stranger"), EXTERNAL_URL))
        assert status == 403
        assert "an administrator needs one, too" in message

    def test_a_level_in_the_fork_counts_for_nothing(self, gitlab_client: FlaskClient, team: Team) -> None:
        token = team.gitlab.mint(fork_job(team), EXTERNAL_URL, user_access_level="owner")
        assert refused(gitlab_client, token, call=WRITE)[0] == 403

    def test_the_fork_itself_is_another_project(self, gitlab_client: FlaskClient, team: Team) -> None:
        job = fork_job(team)
        for token in (job.token, team.gitlab.mint(job, EXTERNAL_URL)):
            assert refused(gitlab_client, token, project="stranger%2Fchurn")[0] == 404

    def test_a_text_that_says_false_is_false(self, gitlab_deps: Deps, team: Team) -> None:
        assert gitlab_deps.team is not None
        team.gitlab.add_commit(team.project, "c" * 40, branch="side")
        for ref, protected in (("main", True), ("side", False)):
            token = team.gitlab.mint(team.job(ref=ref), EXTERNAL_URL)
            assert gitlab_deps.team.id_tokens.verify(token, "42").ref_protected is protected


class TestOlderGitLab:
    """The oldest GitLab that is supported is 17.0. Before 18.4 no claim says where a job runs."""

    @pytest.fixture(params=["17.0.0", "18.2.2", "18.3.9"])
    def old(self, team: Team, request: pytest.FixtureRequest) -> Team:
        team.gitlab.version = request.param
        team.gitlab.lists_invited_groups = False
        return team

    def test_the_bot_finds_the_job(self, gitlab_client: FlaskClient, old: Team) -> None:
        token = old.gitlab.mint(old.job(), EXTERNAL_URL)
        assert "job_project_id" not in token
        assert admitted(gitlab_client, token, call=WRITE)
        assert admitted(gitlab_client, token, project="team%2Fchurn")

    def test_the_merge_requests_source_decides(self, gitlab_client: FlaskClient, old: Team) -> None:
        own = merge_request_job(old, None, old.project.branches["main"], "main", "developer")
        assert admitted(gitlab_client, old.gitlab.mint(own, EXTERNAL_URL), call=WRITE)
        foreign = old.gitlab.mint(fork_job(old), EXTERNAL_URL)
        assert admitted(gitlab_client, foreign)
        assert refused(gitlab_client, foreign, call=WRITE)[0] == 403

    def test_another_projects_job_is_refused(self, gitlab_client: FlaskClient, old: Team) -> None:
        other = old.gitlab.add_project("team/other", id=77)
        old.gitlab.add_member(other, old.users["developer"], 40)
        pipeline = old.gitlab.add_pipeline(other, "f" * 40, "main", "push")
        token = old.gitlab.mint(old.gitlab.add_job(pipeline, "t", "t", old.users["developer"]), EXTERNAL_URL)
        assert refused(gitlab_client, token)[0] == 404

    def test_without_a_bot_that_may_look_a_job_reads_only(self, gitlab_client: FlaskClient, old: Team) -> None:
        del old.project.members[old.users["bot"].id]
        token = old.gitlab.mint(old.job(), EXTERNAL_URL)
        assert admitted(gitlab_client, token)
        status, _, message = refused(gitlab_client, token, call=WRITE)
        assert status == 403
        assert "Reporter role" in message

    def test_a_gitlab_that_is_down_is_worth_a_retry(self, gitlab_client: FlaskClient, old: Team) -> None:
        first, second = (old.gitlab.mint(old.job(), EXTERNAL_URL) for _ in range(2))
        assert admitted(gitlab_client, first, call=WRITE)
        old.gitlab.stop()
        assert refused(gitlab_client, second, call=WRITE)[0] == 503

    def test_members_by_an_invited_group_come_in(self, gitlab_client: FlaskClient, old: Team) -> None:
        user = old.gitlab.add_user("dana")
        old.gitlab.add_member(old.project, user, 30, through="invited group")
        assert admitted(gitlab_client, old.gitlab.add_token(user, ["api"]), call=WRITE)


def test_expired_and_unknown_job_tokens_look_the_same(gitlab_client: FlaskClient, team: Team) -> None:
    done = team.job()
    team.gitlab.set_job(done, "success")
    assert refused(gitlab_client, done.token) == refused(gitlab_client, "glcbt-64_nonsense")

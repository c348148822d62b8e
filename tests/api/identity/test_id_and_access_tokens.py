"""Which tokens are accepted, and what the refusal of any other one says.

https://docs.gitlab.com/ci/secrets/id_token_authentication/
"""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from flask.testing import FlaskClient

from tests.api.identity.admission import READ, WRITE, admitted, refused
from tests.clock import FrozenClock
from tests.fakes.gitlab.keys import SigningKey, sign
from tests.mlflow_client import Mlflow, failure
from tests.team import EXTERNAL_URL, Team


class TestIdTokens:
    def test_a_jobs_token_logs(self, gitlab_client: FlaskClient, team: Team) -> None:
        token = team.gitlab.mint(team.job(), EXTERNAL_URL)
        assert admitted(gitlab_client, token, call=WRITE)
        assert admitted(gitlab_client, token, project="team%2Fchurn")

    @pytest.mark.parametrize("aud", [EXTERNAL_URL + "/", ["https://vault.example.com", EXTERNAL_URL]])
    def test_the_audience_may_end_in_a_slash_or_be_one_of_several(
        self, gitlab_client: FlaskClient, team: Team, aud: Any
    ) -> None:
        assert admitted(gitlab_client, team.gitlab.mint(team.job(), aud))

    def test_the_gitlab_mlops_clients_prefix_is_taken_off(self, gitlab_client: FlaskClient, team: Team) -> None:
        assert admitted(gitlab_client, "glpat-" + team.gitlab.mint(team.job(), EXTERNAL_URL))

    def test_a_token_works_as_a_basic_password(self, gitlab_client: FlaskClient, team: Team) -> None:
        pair = base64.b64encode(f"ci:{team.gitlab.mint(team.job(), EXTERNAL_URL)}".encode()).decode()
        mlflow = Mlflow(gitlab_client, project="42", token=None)
        answer = mlflow.call(
            "GET",
            "api/2.0/mlflow/experiments/get",
            query_string={"experiment_id": "0"},
            headers={"Authorization": f"Basic {pair}"},
        )
        assert answer.status_code == 200

    def test_a_wrong_audience_says_which_is_right(self, gitlab_client: FlaskClient, team: Team) -> None:
        status, code, message = refused(gitlab_client, team.gitlab.mint(team.job(), "https://other.example.com"))
        assert (status, code) == (401, "CUSTOMER_UNAUTHORIZED")
        assert "'https://other.example.com'" in message
        assert f"aud: {EXTERNAL_URL}" in message

    def test_an_expired_token_says_what_to_do_about_the_timeout(
        self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock
    ) -> None:
        token = team.gitlab.mint(team.job(), EXTERNAL_URL)
        assert admitted(gitlab_client, token)
        clock.advance(3_700_000)
        status, _, message = refused(gitlab_client, token)
        assert status == 401
        assert "has expired" in message
        assert "timeout:" in message

    @pytest.mark.parametrize(
        ("claims", "says"),
        [
            ({"iss": "https://evil.example.com"}, "was not issued by"),
            ({"nbf": 4_000_000_000, "exp": 4_100_000_000}, "clocks"),
            ({"exp": None}, "lacks the claim 'exp'"),
            ({"job_id": None}, "lacks the claim 'job_id'"),
            ({"job_id": "many"}, "can't be read"),
            ({"job_id": "-1"}, "can't be read"),
            ({"sha": ["x"]}, "can't be read"),
        ],
    )
    def test_claims_that_are_not_right(
        self, gitlab_client: FlaskClient, team: Team, claims: dict[str, Any], says: str
    ) -> None:
        status, _, message = refused(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL, **claims))
        assert status == 401
        assert says in message

    def test_a_foreign_key_is_refused(self, gitlab_client: FlaskClient, team: Team) -> None:
        for kid in ("foreign", "ci"):
            key = SigningKey(kid)
            key.private = SigningKey("foreign").private
            assert refused(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL, key=key))[0] == 401

    def test_the_login_key_signs_no_job(self, gitlab_client: FlaskClient, team: Team) -> None:
        token = team.gitlab.mint(team.job(), EXTERNAL_URL)
        header, body, _ = token.split(".")
        claims = jwt.decode(token, options={"verify_signature": False})
        signature = sign(claims, team.gitlab.login_key).split(".")[2]
        assert refused(gitlab_client, f"{header}.{body}.{signature}")[0] == 401

    def test_other_algorithms_are_refused(self, gitlab_client: FlaskClient, team: Team) -> None:
        claims = jwt.decode(team.gitlab.mint(team.job(), EXTERNAL_URL), options={"verify_signature": False})
        unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": "ci"})
        public = team.gitlab.ci_key.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        # The JWT library refuses to make such a token, so its header is written by hand.
        header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT","kid":"ci"}').rstrip(b"=")
        signed = header + b"." + unsigned.split(".")[1].encode()
        signature = base64.urlsafe_b64encode(hmac.digest(public, signed, "sha256")).rstrip(b"=")
        by_public_key = (signed + b"." + signature).decode()
        for token in (unsigned, by_public_key):
            status, _, message = refused(gitlab_client, token)
            assert status == 401
            assert "RS256" in message

    @pytest.mark.parametrize("token", ["eyJ.x.y", "eyJhbGciOiJSUzI1NiJ9..", "eyJ" + "a" * 20_000 + ".b.c"])
    def test_what_only_looks_like_a_token_is_refused(self, gitlab_client: FlaskClient, token: str) -> None:
        assert refused(gitlab_client, token)[:2] == (401, "CUSTOMER_UNAUTHORIZED")

    def test_another_projects_job_sees_nothing(self, gitlab_client: FlaskClient, team: Team) -> None:
        other = team.gitlab.add_project("team/other")
        team.gitlab.add_member(other, team.users["developer"], 40)
        pipeline = team.gitlab.add_pipeline(other, "f" * 40, "main", "push")
        token = team.gitlab.mint(team.gitlab.add_job(pipeline, "t", "t", team.users["developer"]), EXTERNAL_URL)
        status, code, message = refused(gitlab_client, token)
        assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert "MLFLOW_TRACKING_URI" in message

    def test_a_forks_job_may_read_and_not_write(self, gitlab_client: FlaskClient, team: Team) -> None:
        fork = team.gitlab.add_project("stranger/churn")
        team.gitlab.add_member(fork, team.users["stranger"], 50)
        team.gitlab.add_commit(fork, "e" * 40, branch="mine")
        request = team.gitlab.add_merge_request(team.project, "mine", "main", "Mine", source_project=fork)
        ref = f"refs/merge-requests/{request.iid}/head"
        pipeline = team.gitlab.add_pipeline(team.project, "e" * 40, ref, "merge_request_event")
        token = team.gitlab.mint(team.gitlab.add_job(pipeline, "t", "t", team.users["stranger"]), EXTERNAL_URL)
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["user_access_level"] == "owner", "the trap: the level is the one in the fork"
        assert admitted(gitlab_client, token)
        assert refused(gitlab_client, token, call=WRITE)[:2] == (403, "PERMISSION_DENIED")

    def test_a_new_key_is_fetched_and_strangers_cost_one_fetch_a_minute(
        self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock
    ) -> None:
        assert admitted(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))
        team.gitlab.rotate_key()
        clock.advance(61_000)
        assert admitted(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))
        before = team.gitlab.requests.count(("GET", "/oauth/discovery/keys"))
        for _ in range(5):
            foreign = team.gitlab.mint(team.job(), EXTERNAL_URL, key=SigningKey("foreign"))
            assert refused(gitlab_client, foreign)[0] == 401
        assert team.gitlab.requests.count(("GET", "/oauth/discovery/keys")) == before

    def test_jobs_go_on_while_gitlab_is_down(self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
        first, second = team.gitlab.mint(team.job(), EXTERNAL_URL), team.gitlab.mint(team.job(), EXTERNAL_URL)
        assert admitted(gitlab_client, first)
        team.gitlab.stop()
        clock.advance(600_000)
        assert admitted(gitlab_client, first)
        assert admitted(gitlab_client, second, call=WRITE)

    def test_a_known_token_costs_no_call_to_gitlab(self, gitlab_client: FlaskClient, team: Team) -> None:
        token = team.gitlab.mint(team.job(), EXTERNAL_URL)
        assert admitted(gitlab_client, token)
        before = len(team.gitlab.requests)
        for _ in range(10):
            assert admitted(gitlab_client, token)
        assert len(team.gitlab.requests) == before


class TestAccessTokens:
    @pytest.mark.parametrize("role", ["guest", "planner", "reporter"])
    def test_some_roles_read(self, gitlab_client: FlaskClient, team: Team, role: str) -> None:
        assert admitted(gitlab_client, team.tokens[role])
        status, code, message = refused(gitlab_client, team.tokens[role], call=WRITE)
        assert (status, code) == (403, "PERMISSION_DENIED")
        assert "Developer role" in message

    @pytest.mark.parametrize("role", ["developer", "maintainer", "owner"])
    def test_some_roles_write(self, gitlab_client: FlaskClient, team: Team, role: str) -> None:
        assert admitted(gitlab_client, team.tokens[role], call=WRITE)
        assert admitted(gitlab_client, team.tokens[role], project="team%2Fchurn")

    def test_without_a_role_one_learns_nothing(self, gitlab_client: FlaskClient, team: Team) -> None:
        hidden = refused(gitlab_client, team.tokens["stranger"])
        missing = refused(gitlab_client, team.tokens["stranger"], project="99")
        assert hidden[:2] == missing[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
        assert hidden[2].replace("42", "") == missing[2].replace("99", "")

    def test_read_api_reads_only(self, gitlab_client: FlaskClient, team: Team) -> None:
        token = team.gitlab.add_token(team.users["owner"], ["read_api"])
        assert admitted(gitlab_client, token)
        assert refused(gitlab_client, token, call=WRITE)[0] == 403

    @pytest.mark.parametrize("through", ["group", "invited group"])
    def test_members_by_a_group_come_in(self, gitlab_client: FlaskClient, team: Team, through: Any) -> None:
        user = team.gitlab.add_user("dana")
        team.gitlab.add_member(team.project, user, 30, through=through)
        assert admitted(gitlab_client, team.gitlab.add_token(user, ["api"]), call=WRITE)

    def test_a_level_between_those_that_we_know_counts_as_the_lower(
        self, gitlab_client: FlaskClient, team: Team
    ) -> None:
        user = team.gitlab.add_user("sam")
        team.gitlab.add_member(team.project, user, 25)
        token = team.gitlab.add_token(user, ["api"])
        assert admitted(gitlab_client, token)
        assert refused(gitlab_client, token, call=WRITE)[0] == 403

    def test_a_public_project_that_hides_its_models_looks_like_none(
        self, gitlab_client: FlaskClient, team: Team
    ) -> None:
        team.gitlab.add_project("team/open", id=77, visibility="public").features = "private"
        public = refused(gitlab_client, team.tokens["stranger"], project="77")
        missing = refused(gitlab_client, team.tokens["stranger"], project="99")
        assert public[2].replace("77", "") == missing[2].replace("99", "")
        assert public[:2] == missing[:2] == (404, "RESOURCE_DOES_NOT_EXIST")

    def test_a_useless_scope_says_which_to_choose(self, gitlab_client: FlaskClient, team: Team) -> None:
        token = team.gitlab.add_token(team.users["owner"], ["read_repository"])
        status, _, message = refused(gitlab_client, token)
        assert status == 403
        assert "read_repository" in message
        assert "`api`" in message

    def test_a_wrong_or_revoked_token_says_to_create_a_new_one(self, gitlab_client: FlaskClient, team: Team) -> None:
        revoked = team.gitlab.add_token(team.users["owner"], ["api"], revoked=True)
        for token in ("glpat-nonsense", revoked):
            status, code, message = refused(gitlab_client, token)
            assert (status, code) == (401, "CUSTOMER_UNAUTHORIZED")
            assert "Create a new one" in message

    def test_a_revoked_member_loses_access_within_a_minute(
        self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock
    ) -> None:
        assert admitted(gitlab_client, team.tokens["developer"], call=WRITE)
        del team.project.members[team.users["developer"].id]
        clock.advance(60_000)
        assert refused(gitlab_client, team.tokens["developer"])[0] == 404

    def test_while_gitlab_is_down_known_tokens_work_for_a_while(
        self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock
    ) -> None:
        token = team.tokens["developer"]
        assert admitted(gitlab_client, token)
        team.gitlab.stop()
        clock.advance(5 * 60_000)
        assert admitted(gitlab_client, token)
        assert refused(gitlab_client, team.tokens["owner"])[:2] == (503, "TEMPORARILY_UNAVAILABLE")
        clock.advance(61_000)
        status, _, message = refused(gitlab_client, token)
        assert status == 503
        assert "GitLab is not responding" in message


def test_without_a_token_it_says_what_to_set(gitlab_client: FlaskClient) -> None:
    status, code, message = refused(gitlab_client, None)
    assert (status, code) == (401, "CUSTOMER_UNAUTHORIZED")
    assert "MLFLOW_TRACKING_TOKEN" in message


def test_local_mode_wants_its_token(client: FlaskClient) -> None:
    for token in ("wrong", "wröng", None):
        assert refused(client, token, project="1")[0] == 401


def test_local_mode_answers_to_its_own_names_only(client: FlaskClient, mlflow: Mlflow) -> None:
    answer = mlflow.call("GET", "api/2.0/mlflow/experiments/get", headers={"Host": "evil.example.com"})
    assert failure(answer)[:2] == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("project", ["0", "-1", "x", "1.5", "team%2Fchurn", "9" * 40])
def test_a_project_of_local_mode_is_a_number(mlflow: Mlflow, project: str) -> None:
    assert Mlflow(mlflow.client, project=project).error(*READ[:2], **READ[2])[0] == 404


def test_errors_never_show_a_token(gitlab_client: FlaskClient, team: Team) -> None:
    token = team.gitlab.mint(team.job(), "https://other.example.com")
    assert token not in json.dumps(refused(gitlab_client, token))

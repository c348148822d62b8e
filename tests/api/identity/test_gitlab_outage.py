"""What becomes of jobs and people while GitLab does not answer, answers odd things, or changes its keys."""

import pytest
from flask.testing import FlaskClient

from tests.api.identity.admission import WRITE, admitted, refused
from tests.clock import FrozenClock
from tests.fakes.gitlab.keys import SigningKey
from tests.team import EXTERNAL_URL, Team

KEYS = ("GET", "/oauth/discovery/keys")
SELF = ("GET", "/api/v4/personal_access_tokens/self")


def test_no_key_yet_is_worth_a_retry_and_asks_gently(
    gitlab_client: FlaskClient, team: Team, clock: FrozenClock
) -> None:
    token = team.gitlab.mint(team.job(), EXTERNAL_URL)
    team.gitlab.fail_next("GET", "/oauth/discovery/keys", 502)
    # 503 and not 401: MLflow clients try again on the one, and give up on the other.
    for _ in range(3):
        assert refused(gitlab_client, token)[:2] == (503, "TEMPORARILY_UNAVAILABLE")
    assert team.gitlab.requests.count(KEYS) == 1
    clock.advance(5_000)
    assert admitted(gitlab_client, token)


def test_a_new_key_while_gitlab_stumbles_is_worth_a_retry(
    gitlab_client: FlaskClient, team: Team, clock: FrozenClock
) -> None:
    old = team.gitlab.mint(team.job(), EXTERNAL_URL)
    assert admitted(gitlab_client, old)
    team.gitlab.rotate_key()
    new = team.gitlab.mint(team.job(), EXTERNAL_URL)
    clock.advance(61_000)
    team.gitlab.fail_next("GET", "openid-configuration", 503)
    assert refused(gitlab_client, new)[0] == 503
    assert admitted(gitlab_client, old), "known keys stay good"
    clock.advance(5_000)
    assert admitted(gitlab_client, new)


def test_unknown_keys_cost_one_fetch_a_minute(gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
    foreign = [team.gitlab.mint(team.job(), EXTERNAL_URL, key=SigningKey(f"foreign-{n}")) for n in range(2)]
    for minutes in range(1, 4):
        for token in foreign * 2:
            assert refused(gitlab_client, token)[0] == 401
        assert team.gitlab.requests.count(KEYS) == minutes
        clock.advance(60_000)


def test_a_withdrawn_key_is_forgotten_within_a_day(gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
    stolen = team.gitlab.ci_key
    assert admitted(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL, key=stolen))
    team.gitlab.rotate_key()
    clock.advance(24 * 3_600_000 + 1)
    assert refused(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL, key=stolen))[0] == 401


@pytest.mark.parametrize("odd", [{"kty": "RSA", "kid": "odd"}, {"kty": "EC", "kid": "odd"}, {}, {"kty": "RSA"}])
def test_a_key_that_can_not_be_read_hides_no_other(gitlab_client: FlaskClient, team: Team, odd: dict[str, str]) -> None:
    team.gitlab.more_keys.append(odd)
    assert admitted(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_known_token_does_not_ask_a_failing_gitlab_at_every_call(
    gitlab_client: FlaskClient, team: Team, clock: FrozenClock, status: int
) -> None:
    token = team.tokens["developer"]
    assert admitted(gitlab_client, token)
    clock.advance(60_000)
    before = team.gitlab.requests.count(SELF)
    team.gitlab.fail_next(*SELF, status)
    for _ in range(5):
        assert admitted(gitlab_client, token, call=("GET", "experiments/get", {"experiment_id": "0"}))
    assert team.gitlab.requests.count(SELF) == before + 1
    clock.advance(10_000)
    assert admitted(gitlab_client, token, call=WRITE)
    assert team.gitlab.requests.count(SELF) == before + 2


def test_gitlabs_rate_limit_says_how_long_to_wait(gitlab_client: FlaskClient, team: Team) -> None:
    team.gitlab.fail_next(*SELF, 429)
    status, code, message = refused(gitlab_client, team.tokens["developer"])
    assert (status, code) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "try again in a minute" in message


def test_what_gitlab_refuses_is_logged_with_the_id_that_its_own_logs_have(
    gitlab_client: FlaskClient, team: Team, caplog: pytest.LogCaptureFixture
) -> None:
    team.gitlab.fail_next(*SELF, 502, headers={"X-Request-Id": "01JGITLAB"})
    token = team.tokens["developer"]
    assert refused(gitlab_client, token)[0] == 503
    lines = [record.getMessage() for record in caplog.records if record.name == "mltrail_server.gitlab.connections"]
    assert lines == ["GitLab answers 502 to GET /api/v4/personal_access_tokens/self; its x-request-id is 01JGITLAB"]
    assert token not in caplog.text

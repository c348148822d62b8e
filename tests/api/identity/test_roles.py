"""Roles come from GitLab: by groups, by invitation, for a while, for administrators, for everybody.

https://docs.gitlab.com/api/members/ and https://docs.gitlab.com/user/permissions/
"""

import pytest
from flask.testing import FlaskClient

from tests.api.identity.admission import WRITE, admitted, refused
from tests.clock import FrozenClock
from tests.team import Team


def someone(team: Team, level: int, **options: object) -> str:
    user = team.gitlab.add_user("dana")
    team.gitlab.add_member(team.project, user, level, **options)  # type: ignore[arg-type]
    return team.gitlab.add_token(user, ["api"])


@pytest.mark.parametrize(
    ("level", "writes"), [(10, False), (15, False), (20, False), (25, False), (30, True), (35, True)]
)
def test_levels_count_by_what_they_reach(gitlab_client: FlaskClient, team: Team, level: int, writes: bool) -> None:
    token = someone(team, level)
    assert admitted(gitlab_client, token)
    assert admitted(gitlab_client, token, call=WRITE) is writes


def test_minimal_access_is_none(gitlab_client: FlaskClient, team: Team) -> None:
    assert refused(gitlab_client, someone(team, 5))[0] == 404


def test_an_expired_membership_counts_for_nothing(gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
    user = team.gitlab.add_user("dana")
    team.gitlab.add_member(team.project, user, 20, through="invited group")
    team.project.until[user.id] = "2026-09-22"
    token = team.gitlab.add_token(user, ["api"])
    assert admitted(gitlab_client, token)
    clock.advance(24 * 3_600_000)
    # GitLab itself counts it until its daily job has run, and then no more.
    del team.project.members[user.id]
    assert refused(gitlab_client, token)[0] == 404


def test_a_guest_who_is_a_developer_by_an_invited_group_logs(gitlab_client: FlaskClient, team: Team) -> None:
    # `permissions` has the direct role only.
    user = team.gitlab.add_user("dana")
    team.gitlab.add_member(team.project, user, 30, through="invited group")
    assert admitted(gitlab_client, team.gitlab.add_token(user, ["api"]), call=WRITE)


def test_an_administrator_is_no_member_and_may_all(gitlab_client: FlaskClient, team: Team) -> None:
    team.users["stranger"].admin = True
    assert admitted(gitlab_client, team.tokens["stranger"], call=WRITE)


def test_a_blocked_user_is_refused_as_blocked(gitlab_client: FlaskClient, team: Team) -> None:
    team.users["developer"].state = "blocked"
    status, _, message = refused(gitlab_client, team.tokens["developer"])
    assert status == 403
    assert "blocked" in message


@pytest.mark.parametrize("visibility", ["public", "internal"])
def test_what_gitlab_shows_to_everybody_is_read_by_everybody(
    gitlab_client: FlaskClient, team: Team, visibility: str
) -> None:
    team.project.visibility = visibility
    assert admitted(gitlab_client, team.tokens["stranger"])
    status, _, message = refused(gitlab_client, team.tokens["stranger"], call=WRITE)
    assert status == 403
    assert "not a member" in message


@pytest.mark.parametrize("features", ["private", "disabled"])
def test_a_public_project_whose_models_are_for_members_stays_hidden(
    gitlab_client: FlaskClient, team: Team, features: str
) -> None:
    team.project.visibility, team.project.features = "public", features
    assert refused(gitlab_client, team.tokens["stranger"])[0] == 404
    assert admitted(gitlab_client, team.tokens["guest"])


@pytest.mark.parametrize(("what", "says"), [("archived", "archived"), ("pending_deletion", "about to be deleted")])
def test_a_project_at_rest_is_read_only(gitlab_client: FlaskClient, team: Team, what: str, says: str) -> None:
    setattr(team.project, what, True)
    assert admitted(gitlab_client, team.tokens["owner"])
    status, _, message = refused(gitlab_client, team.tokens["owner"], call=WRITE)
    assert status == 403
    assert says in message


def test_a_moved_project_is_found_by_both_paths(gitlab_client: FlaskClient, team: Team) -> None:
    team.gitlab.move_project(team.project, "team/retention")
    for path in ("team%2Fchurn", "team%2Fretention"):
        assert admitted(gitlab_client, team.tokens["developer"], project=path)


def test_a_deleted_project_is_gone_within_a_minute(gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
    assert admitted(gitlab_client, team.tokens["owner"])
    del team.gitlab.projects[42]
    clock.advance(60_000)
    assert refused(gitlab_client, team.tokens["owner"])[0] == 404


class TestOAuth:
    def test_an_oauth_token_counts_by_scope_and_role(self, gitlab_client: FlaskClient, team: Team) -> None:
        full = team.gitlab.add_token(team.users["developer"], ["api"], kind="oauth")
        reads = team.gitlab.add_token(team.users["developer"], ["openid", "read_api"], kind="oauth")
        assert admitted(gitlab_client, full, call=WRITE)
        assert admitted(gitlab_client, reads)
        status, _, message = refused(gitlab_client, reads, call=WRITE)
        assert status == 403
        assert "needs `api`" in message

    def test_openid_alone_is_not_enough(self, gitlab_client: FlaskClient, team: Team) -> None:
        token = team.gitlab.add_token(team.users["developer"], ["openid"], kind="oauth")
        assert refused(gitlab_client, token)[0] == 403

    def test_it_ends_after_two_hours(self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
        token = team.gitlab.add_token(team.users["developer"], ["api"], kind="oauth")
        assert admitted(gitlab_client, token)
        clock.advance(7_200_000)
        assert refused(gitlab_client, token)[0] == 401


class TestTokensOfNoUse:
    @pytest.mark.parametrize(
        ("token", "says"),
        [
            ("gldt-x", "deploy token"),
            ("glrt-x", "runner's token"),
            ("glrtr-x", "registration token"),
            ("glptt-x", "trigger token"),
            ("glft-x", "feed token"),
            ("glimt-x", "mail"),
            ("glagent-x", "Kubernetes"),
            ("glsoat-x", "SCIM"),
            ("glffct-x", "feature flag"),
            ("glwt-x", "workspace"),
            ("gloas-x", "OAuth application"),
            ("$MLTRAIL_ID_TOKEN", "the name of a variable"),
            ("[MASKED]", "the name of a variable"),
        ],
    )
    def test_each_is_named_and_not_sent_to_gitlab(
        self, gitlab_client: FlaskClient, team: Team, token: str, says: str
    ) -> None:
        status, _, message = refused(gitlab_client, token)
        assert status == 401
        assert says in message
        assert "id_tokens" in message
        assert team.gitlab.requests == []

    def test_an_unknown_token_hints_at_a_variable_that_shadows_the_id_token(
        self, gitlab_client: FlaskClient, team: Team
    ) -> None:
        assert "replaces it" in refused(gitlab_client, "glpat-left-over")[2]
        foreign = team.gitlab.mint(team.job(), "https://vault.example.com")
        assert "replaces the token" in refused(gitlab_client, foreign)[2]


class TestRateLimits:
    @pytest.mark.parametrize(("bare", "seconds"), [(False, 17), (True, 60)])
    def test_gitlab_is_left_alone_for_as_long_as_it_asks(
        self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock, bare: bool, seconds: int
    ) -> None:
        team.gitlab.limited, team.gitlab.limited_bare = 17, bare
        assert refused(gitlab_client, team.tokens["developer"])[:2] == (503, "TEMPORARILY_UNAVAILABLE")
        team.gitlab.limited = None
        before = len(team.gitlab.requests)
        clock.advance((seconds - 1) * 1000)
        assert refused(gitlab_client, team.tokens["developer"])[0] == 503
        assert len(team.gitlab.requests) == before
        assert admitted(gitlab_client, team.tokens["owner"]), "the limit is one token's"
        clock.advance(1000)
        assert admitted(gitlab_client, team.tokens["developer"])

    def test_a_known_token_works_on(self, gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
        assert admitted(gitlab_client, team.tokens["developer"])
        team.gitlab.limited = 60
        clock.advance(60_000)
        assert admitted(gitlab_client, team.tokens["developer"], call=WRITE)

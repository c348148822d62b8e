"""Claims of CI ID tokens: https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload."""

from itertools import combinations
from typing import Any

import jwt
import pytest

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.identity import Access, Role, access_of
from mltrail_server.gitlab import claims
from tests.team import EXTERNAL_URL, Team

TABLES = (claims.CHECKED, claims.REQUIRED, claims.SINCE_18_4, claims.OPTIONAL, claims.IGNORED)


@pytest.fixture
def minted(team: Team) -> dict[str, Any]:
    token = team.gitlab.mint(team.job(), EXTERNAL_URL)
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


def test_every_claim_that_gitlab_sends_is_in_exactly_one_table(minted: dict[str, Any]) -> None:
    assert minted.keys() <= frozenset().union(*TABLES)
    for one, other in combinations(TABLES, 2):
        assert not one & other


def test_what_is_proved(minted: dict[str, Any]) -> None:
    proved = claims.verified(minted)
    assert (proved.job_project_id, proved.source_project_id, proved.job_project_path) == (42, 42, "team/churn")
    assert (proved.ref, proved.ref_type, proved.pipeline_source) == ("main", "branch", "push")
    assert (proved.user_login, proved.user_role) == ("developer", Role.DEVELOPER)
    assert not proved.from_fork


@pytest.mark.parametrize(("sent", "meant"), [("true", True), ("false", False), ("", False), ("yes", False)])
def test_false_is_a_text_too(minted: dict[str, Any], sent: str, meant: bool) -> None:
    assert claims.verified(minted | {"ref_protected": sent}).ref_protected is meant


@pytest.mark.parametrize("level", [None, "", "none", "chief_of_all", "OWNER OF ALL", "no access", 50, ["owner"]])
def test_a_level_that_we_do_not_know_gives_nothing(minted: dict[str, Any], level: Any) -> None:
    assert claims.verified(minted | {"user_access_level": level}).user_role is Role.NONE


@pytest.mark.parametrize("level", ["guest", "planner", "reporter", "security_manager"])
def test_roles_below_developer_read_only(minted: dict[str, Any], level: str) -> None:
    assert access_of(claims.verified(minted | {"user_access_level": level}).user_role) is Access.READ


@pytest.mark.parametrize("name", sorted(claims.REQUIRED | claims.SINCE_18_4))
def test_a_missing_claim_is_named(minted: dict[str, Any], name: str) -> None:
    del minted[name]
    with pytest.raises(MltrailError) as caught:
        claims.verified(minted)
    assert caught.value.code is Code.UNAUTHENTICATED
    assert (name if name in claims.REQUIRED else "since 18.4") in caught.value.message

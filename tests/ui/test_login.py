"""Web login by GitLab, sessions, and forms. https://docs.gitlab.com/api/oauth2/"""

import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.context.deps import Deps
from tests.clock import HOUR, FrozenClock
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import form_token, sign_in
from tests.ui.login import PAGE, get, log_in, to_gitlab


def sign_out(browser: FlaskClient) -> TestResponse:
    data = {"csrf_token": form_token(browser, base_url=EXTERNAL_URL)}
    return browser.post("/-/sign-out", data=data, base_url=EXTERNAL_URL)


def cookie_of(browser: FlaskClient) -> str:
    found = browser.get_cookie("mltrail_session", domain="mltrail.example.com")
    return found.value if found else ""


class TestLogin:
    def test_the_way_through_gitlab_ends_at_the_page(self, browser: FlaskClient) -> None:
        assert "Sign in with GitLab" in get(browser, "/-/sign-in").get_data(as_text=True)
        answer = log_in(browser)
        assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
        shown = get(browser, PAGE)
        assert shown.status_code == 200
        assert "guest" in shown.get_data(as_text=True)

    def test_gitlab_is_asked_with_pkce_and_the_least_scopes(self, browser: FlaskClient, login_deps: Deps) -> None:
        there = urlsplit(get(browser, "/-/sign-in/gitlab").headers["Location"])
        query = {name: values[0] for name, values in parse_qs(there.query).items()}
        assert f"{there.scheme}://{there.netloc}{there.path}" == f"{login_deps.settings.gitlab_url}/oauth/authorize"
        assert query["scope"] == "openid read_api"
        assert query["code_challenge_method"] == "S256"
        assert len(query["code_challenge"]) == 43
        assert "hush" not in there.query

    def test_the_cookie_is_closed_to_scripts_and_other_sites_and_holds_no_token(
        self, browser: FlaskClient, team: Team
    ) -> None:
        header = log_in(browser).headers["Set-Cookie"]
        for word in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"):
            assert word in header
        assert not any(token in header for token in team.gitlab.tokens)

    def test_the_session_is_a_new_one_at_each_login(self, browser: FlaskClient) -> None:
        seen = set()
        for _ in range(2):
            log_in(browser)
            seen.add(cookie_of(browser))
        assert len(seen) == 2

    @pytest.mark.parametrize("target", ["https://evil.example.com", "//evil.example.com", "/%5Cevil.example.com"])
    def test_the_way_back_stays_here(self, browser: FlaskClient, target: str) -> None:
        assert log_in(browser, target).headers["Location"] == "/"

    def test_a_login_that_another_browser_began_is_refused(self, browser: FlaskClient, login_deps: Deps) -> None:
        back = to_gitlab(browser)
        other = create_app(login_deps).test_client()
        assert get(other, back).status_code == 403
        assert get(other, PAGE).status_code == 302

    def test_an_answer_counts_once(self, browser: FlaskClient) -> None:
        back = to_gitlab(browser)
        assert get(browser, back).status_code == 303
        assert get(browser, back).status_code == 403

    @pytest.mark.parametrize("state", ["", "wrong"])
    def test_a_wrong_state_is_refused(self, browser: FlaskClient, state: str) -> None:
        back = re.sub(r"state=[^&]*", f"state={state}", to_gitlab(browser))
        assert get(browser, back).status_code == 403

    def test_a_stolen_code_is_of_no_use_in_another_login(self, browser: FlaskClient, login_deps: Deps) -> None:
        code = parse_qs(urlsplit(to_gitlab(browser)).query)["code"][0]
        other = create_app(login_deps).test_client()
        own = re.sub(r"code=[^&]*", f"code={code}", to_gitlab(other))
        # GitLab compares PKCE's challenge with what this browser's login holds.
        assert get(other, own).status_code == 302
        assert get(other, PAGE).status_code == 302

    def test_denying_access_leads_back_to_the_sign_in(self, browser: FlaskClient, team: Team) -> None:
        team.gitlab.visitor = None
        answer = log_in(browser)
        assert answer.status_code == 302
        assert "/-/sign-in" in answer.headers["Location"]

    def test_a_gitlab_that_is_down_is_a_503(self, browser: FlaskClient, team: Team) -> None:
        back = to_gitlab(browser)
        team.gitlab.fail_next("POST", "/oauth/token", 502)
        assert get(browser, back).status_code == 503


class TestSessions:
    def test_a_session_outlives_the_token_of_two_hours(
        self, browser: FlaskClient, team: Team, clock: FrozenClock
    ) -> None:
        log_in(browser)
        for _ in range(4):
            clock.advance(2 * HOUR)
            assert get(browser, PAGE).status_code == 200
        assert sum(not one.revoked for one in team.gitlab.tokens.values() if one.kind == "oauth") == 1

    def test_a_refresh_that_fails_once_does_not_sign_out(
        self, browser: FlaskClient, team: Team, clock: FrozenClock
    ) -> None:
        log_in(browser)
        clock.advance(2 * HOUR - 120_000)
        team.gitlab.fail_next("POST", "/oauth/token", 502)
        assert get(browser, PAGE).status_code == 200
        clock.advance(60_000)
        assert get(browser, PAGE).status_code == 200

    def test_requests_that_come_at_once_renew_it_once(
        self, browser: FlaskClient, login_deps: Deps, team: Team, clock: FrozenClock
    ) -> None:
        log_in(browser)
        clock.advance(2 * HOUR - 60_000)
        others = [create_app(login_deps).test_client() for _ in range(4)]
        for other in others:
            other.set_cookie("mltrail_session", cookie_of(browser), domain="mltrail.example.com", secure=True)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda other: get(other, PAGE).status_code, others))
        assert answers == [200] * 4
        assert team.gitlab.requests.count(("POST", "/oauth/token")) == 2, "the login, and one renewal"

    def test_revoking_access_in_gitlab_signs_out(self, browser: FlaskClient, team: Team, clock: FrozenClock) -> None:
        log_in(browser)
        for token in team.gitlab.tokens.values():
            token.revoked = token.kind == "oauth"
        clock.advance(60_000)
        assert get(browser, PAGE).status_code == 302
        clock.advance(2 * HOUR)
        assert get(browser, PAGE).status_code == 302

    def test_a_session_works_in_another_process_and_after_a_restart(
        self, browser: FlaskClient, login_deps: Deps, clock: FrozenClock
    ) -> None:
        log_in(browser)
        again = create_deps(login_deps.settings, clock=clock)
        other = create_app(again).test_client()
        other.set_cookie("mltrail_session", cookie_of(browser), domain="mltrail.example.com", secure=True)
        assert get(other, PAGE).status_code == 200
        again.db.dispose()

    def test_signing_out_ends_it_everywhere(self, browser: FlaskClient, login_deps: Deps, team: Team) -> None:
        log_in(browser)
        stolen = cookie_of(browser)
        # A form of the session's own page: the sign-in form is one.
        assert sign_out(browser).status_code == 303
        other = create_app(login_deps).test_client()
        other.set_cookie("mltrail_session", stolen, domain="mltrail.example.com", secure=True)
        assert get(other, PAGE).status_code == 302
        assert all(one.revoked for one in team.gitlab.tokens.values() if one.kind == "oauth")

    def test_it_ends_after_two_weeks(self, browser: FlaskClient, clock: FrozenClock, login_deps: Deps) -> None:
        log_in(browser)
        clock.advance(14 * 24 * HOUR)
        assert get(browser, PAGE).status_code == 302
        log_in(browser)
        with login_deps.db.read() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM web_session")).scalar() == 1, "old ones are gone"

    def test_the_database_gives_no_token(self, browser: FlaskClient, login_deps: Deps, team: Team) -> None:
        log_in(browser)
        with login_deps.db.read() as connection:
            row = connection.execute(sa.text("SELECT * FROM web_session")).one()
        secrets = [one.text for one in team.gitlab.tokens.values()] + [cookie_of(browser)]
        assert not any(secret in str(row) for secret in secrets)


class TestForms:
    @pytest.mark.parametrize("path", ["/-/sign-in", "/-/sign-out"])
    @pytest.mark.parametrize("value", [None, "", "wrong"])
    def test_a_form_without_its_value_is_refused(self, browser: FlaskClient, path: str, value: str | None) -> None:
        log_in(browser)
        data = {"token": "x"} | ({} if value is None else {"csrf_token": value})
        assert browser.post(path, data=data, base_url=EXTERNAL_URL).status_code == 403
        assert get(browser, PAGE).status_code == 200

    def test_a_proxy_may_call_the_server_by_another_name(self, browser: FlaskClient, team: Team) -> None:
        inside, headers = "https://backend:8080", {"Origin": EXTERNAL_URL, "Sec-Fetch-Site": "same-origin"}
        data = {"token": team.tokens["guest"], "csrf_token": form_token(browser, base_url=inside)}
        assert browser.post("/-/sign-in", data=data, base_url=inside, headers=headers).status_code == 303
        data["csrf_token"] = form_token(browser, base_url=inside)
        foreign = headers | {"Origin": "https://evil.example.com"}
        assert browser.post("/-/sign-in", data=data, base_url=inside, headers=foreign).status_code == 403

    def test_every_form_has_its_value(self, browser: FlaskClient) -> None:
        log_in(browser)
        for path in ("/-/sign-in", PAGE, "/team/churn/-/ml/models"):
            shown = get(browser, path).get_data(as_text=True)
            assert shown.count('method="post"') == shown.count('name="csrf_token"') > 0

    def test_a_wrong_token_gets_a_reason_and_leaves_nothing(self, browser: FlaskClient, login_deps: Deps) -> None:
        answer = sign_in(browser, "glpat-nonsense", base_url=EXTERNAL_URL)
        assert answer.status_code == 401
        assert "does not know this token" in answer.get_data(as_text=True)
        with login_deps.db.read() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM web_session")).scalar() == 0

    def test_a_jobs_token_signs_nobody_in(self, browser: FlaskClient, team: Team) -> None:
        for token in (team.job().token, team.gitlab.mint(team.job(), EXTERNAL_URL)):
            assert sign_in(browser, token, base_url=EXTERNAL_URL).status_code == 401


def test_without_an_application_there_is_the_token_form(gitlab_client: FlaskClient) -> None:
    shown = gitlab_client.get("/-/sign-in").get_data(as_text=True)
    assert "Sign in with GitLab" not in shown
    answer = gitlab_client.get("/-/sign-in/gitlab")
    assert answer.status_code == 400
    assert "MLTRAIL_OAUTH_CLIENT_ID" in answer.get_data(as_text=True)


def test_addresses_that_nobody_can_read_are_no_error_of_the_server(browser: FlaskClient) -> None:
    assert get(browser, "/-/sign-in?next=//[").status_code == 200
    assert get(browser, "/-/sign-in/gitlab?next=//[").status_code == 303
    form = {"csrf_token": "x", "token": "t"}
    for origin in ("http://[", "null", "http://"):
        answer = browser.post("/-/sign-in", data=form, headers={"Origin": origin}, base_url=EXTERNAL_URL)
        assert answer.status_code == 403

"""What gets into the log: never a token, and no line that a caller has written."""

import logging
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.context.deps import Deps
from tests.api.identity.admission import READ, WRITE
from tests.clock import FrozenClock
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL, Team
from tests.ui.login import log_in


def test_no_token_is_ever_logged(
    gitlab_deps: Deps, team: Team, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    """With every logger at its most talkative, through success, refusal and outage."""
    caplog.set_level(logging.DEBUG)
    team.gitlab.visitor = team.users["guest"]
    application = team.gitlab.add_application(
        f"{EXTERNAL_URL}/-/sign-in/callback", scopes=["openid", "read_api"], secret="hush-hush"
    )
    settings = replace(gitlab_deps.settings, oauth_client_id=application.client_id, oauth_client_secret="hush-hush")
    deps = create_deps(settings, clock=clock)
    client = create_app(deps).test_client()
    job = team.job()
    sent = [
        team.tokens["developer"],
        job.token,
        team.gitlab.mint(job, EXTERNAL_URL),
        "glpat-unknown-one",
        "gldt-deploy",
    ]
    for outage in (False, True):
        for token in sent:
            for method, path, fields in (READ, WRITE):
                Mlflow(client, project="42", token=token).call(method, f"api/2.0/mlflow/{path}", json=fields)
        if not outage:
            log_in(client)
        team.gitlab.fail_next("GET", "/oauth/discovery/keys", 500)
        clock.advance(2 * 3_600_000)
        client.get("/team/churn/-/ml/experiments", base_url=EXTERNAL_URL)
        if outage:
            team.gitlab.stop()
    deps.db.dispose()
    assert caplog.text
    secrets = {*sent, *team.gitlab.tokens, "hush-hush", *(one.refresh for one in team.gitlab.tokens.values())} - {None}
    assert not [secret for secret in secrets if str(secret) in caplog.text]


def test_a_path_writes_no_line_of_its_own(gitlab_client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    def broken(name: str) -> str:
        raise RuntimeError("a mistake of ours")

    app = gitlab_client.application
    app.add_url_rule("/broken/<name>", "broken", broken)
    assert gitlab_client.get("/broken/x%0aCRITICAL%20all%20is%20lost").status_code == 500
    assert not [record for record in caplog.records if "\n" in record.getMessage()]

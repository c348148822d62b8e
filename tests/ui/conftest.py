"""Runs that pages show, and browsers that look at them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.context.deps import Deps
from tests.clock import FrozenClock
from tests.mlflow_client import LOCAL_TOKEN, Mlflow, good
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import sign_in
from tests.ui.run_table import Log


@pytest.fixture
def marked_up_run(mlflow: Mlflow, client: FlaskClient) -> str:
    made = mlflow.post("runs/create", experiment_id="0", run_name="<b>first</b>")["run"]["info"]["run_id"]
    params = [{"key": "lr", "value": "<script>alert(1)</script>"}]
    mlflow.post(
        "runs/log-batch", run_id=made, metrics=[{"key": "val/acc", "value": 0.25, "timestamp": 1}], params=params
    )
    path = f"api/2.0/mlflow-artifacts/artifacts/0/{made}/artifacts/plots/a b.html"
    good(mlflow.call("PUT", path, data=b"<script>alert(1)</script>"))
    sign_in(client, LOCAL_TOKEN)
    return str(made)


@pytest.fixture
def log(mlflow: Mlflow, client: FlaskClient) -> Log:
    """Answers a function that logs one finished run; the browser is signed in."""
    sign_in(client, LOCAL_TOKEN)
    begun = 0

    def run(name: str, *, status: str = "FINISHED", params: Any = (), **metrics: float) -> str:
        nonlocal begun
        begun += 1000
        made: str = mlflow.post("runs/create", experiment_id="0", run_name=name, start_time=begun)["run"]["info"][
            "run_id"
        ]
        points = [{"key": key.replace("__", "/"), "value": value, "timestamp": 1} for key, value in metrics.items()]
        pairs = [{"key": key, "value": value} for key, value in dict(params).items()]
        mlflow.post("runs/log-batch", run_id=made, metrics=points, params=pairs)
        mlflow.post("runs/update", run_id=made, status=status, end_time=begun + 90_000)
        return made

    return run


@pytest.fixture(params=["", "hush"], ids=["public", "confidential"])
def login_deps(team: Team, gitlab_deps: Deps, clock: FrozenClock, request: pytest.FixtureRequest) -> Iterator[Deps]:
    """A server with an application in GitLab, and Guest Gil at the browser."""
    application = team.gitlab.add_application(
        f"{EXTERNAL_URL}/-/sign-in/callback", scopes=["openid", "read_api"], secret=request.param
    )
    team.gitlab.visitor = team.users["guest"]
    settings = replace(
        gitlab_deps.settings, oauth_client_id=application.client_id, oauth_client_secret=application.secret
    )
    made = create_deps(settings, clock=clock)
    yield made
    made.db.dispose()


@pytest.fixture
def browser(login_deps: Deps) -> FlaskClient:
    return create_app(login_deps).test_client()

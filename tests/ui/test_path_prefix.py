"""A server below a path of a host: everything that it names is below that path, whatever the proxy does with it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from tests.api.traces.caller import a_trace
from tests.clock import FrozenClock
from tests.mlflow_client import LOCAL_TOKEN, Mlflow, good
from tests.team import Team
from tests.ui.prompts import register
from tests.ui.walk import Walker

HOST = "http://localhost"
KINDS = ["passes", "strips", "strips and says so"]
SETUPS = [*(("/mltrail", kind) for kind in KINDS), ("/ml/trail", "passes"), ("/a%20b", "strips")]


class Proxy:
    """A proxy in front of the application: `passes` the path on, `strips` it, or `strips` it `and says so`."""

    def __init__(self, app: Flask, root: str, kind: str) -> None:
        self._inner, self._root, self._kind = app.wsgi_app, unquote(root), kind

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path != self._root and not path.startswith(self._root + "/"):
            start_response("404 Not Found", [("Content-Length", "0")])
            return [b""]
        if self._kind != "passes":
            environ["PATH_INFO"] = path.removeprefix(self._root) or "/"
        if self._kind == "strips and says so":
            environ["HTTP_X_FORWARDED_PREFIX"] = self._root
        return self._inner(environ, start_response)


def behind(deps: Deps, root: str, kind: str) -> FlaskClient:
    app = create_app(deps)
    app.wsgi_app = Proxy(app, root, kind)  # type: ignore[method-assign]
    return app.test_client()


@pytest.fixture(params=SETUPS, ids=" ".join)
def setup(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def root(setup: tuple[str, str]) -> str:
    return setup[0]


@pytest.fixture
def kind(setup: tuple[str, str]) -> str:
    return setup[1]


@pytest.fixture
def below(settings: Settings, clock: FrozenClock, root: str) -> Iterator[Deps]:
    made = create_deps(replace(settings, external_url=f"{HOST}{root}/"), clock=clock)
    yield made
    made.db.dispose()


@pytest.fixture
def client(below: Deps, root: str, kind: str) -> FlaskClient:
    return behind(below, root, kind)


def signed_in(client: FlaskClient, root: str) -> Walker:
    shown = client.get(f"{root}/-/sign-in").get_data(as_text=True)
    token = shown.partition('name="csrf_token" value="')[2].partition('"')[0]
    data = {"token": LOCAL_TOKEN, "csrf_token": token, "next": f"{root}/1/-/ml/experiments"}
    answer = client.post(f"{root}/-/sign-in", data=data, base_url=HOST)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{root}/1/-/ml/experiments")
    return Walker(client, HOST, root)


def filled(client: FlaskClient, root: str) -> None:
    mlflow = Mlflow(client, project="1", token=LOCAL_TOKEN, root=root)
    run = mlflow.post("runs/create", experiment_id="0", run_name="first")["run"]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=run, key="loss", value=0.5, timestamp=1)
    good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/model/a.txt", data=b"x"))
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("model-versions/create", name="churn", source=f"runs:/{run}/model", run_id=run)
    register(mlflow, "qa", "one", "two")
    trace = a_trace(trace_metadata={"mlflow.sourceRun": run, "mlflow.trace.session": "s-1"})
    good(mlflow.call("POST", "api/3.0/mlflow/traces", json={"trace": trace}))
    said = {"assessment_name": "correct", "source": {"source_type": "CODE"}, "feedback": {"value": "no"}}
    good(mlflow.call("POST", "api/3.0/mlflow/traces/tr-1/assessments", json={"assessment": said}))


def test_every_link_and_form_stays_below_the_path(client: FlaskClient, root: str) -> None:
    filled(client, root)
    walker = signed_in(client, root)
    walker.walk(
        f"{root}/", f"{root}/1/-/ml/experiments", f"{root}/1/-/ml/models", f"{root}/api/v4/projects/1/ml/mlflow"
    )
    assert not walker.wrong, walker.wrong
    paths = {one.partition("?")[0].removeprefix(root) for one in walker.seen}
    for page in (
        "/-/assets/app.css",
        "/1/-/ml/candidates/1",
        "/1/-/ml/candidates/1/evaluation",
        "/1/-/ml/experiments/0/traces",
        "/1/-/ml/traces/tr-1",
        "/1/-/ml/prompts/qa",
        "/1/-/ml/models/churn/versions/1.0.0",
        "/1/-/ml/settings",
    ):
        assert page in paths
    assert len(walker.forms) > 5


def test_the_cookie_is_for_the_path_alone(client: FlaskClient, root: str) -> None:
    cookie = client.get(f"{root}/-/sign-in").headers["Set-Cookie"]
    assert f"; Path={root}" in cookie


def test_a_stranger_comes_back_to_the_page(client: FlaskClient, root: str) -> None:
    answer = client.get(f"{root}/1/-/ml/experiments?view=all")
    location = urlsplit(answer.headers["Location"])
    assert location.path == f"{root}/-/sign-in"
    assert parse_qs(location.query)["next"] == [f"{root}/1/-/ml/experiments?view=all"]


def test_health_is_served_below_the_path_and_at_the_root(below: Deps, client: FlaskClient, root: str) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(root + path).status_code == 200
        assert create_app(below).test_client().get(path).status_code == 200


@pytest.mark.parametrize(
    "target", ["/", "/other", "/mltrailer/x", "{root}/../x", "{root}/%2e%2e/x", "{root}x", "//e.org"]
)
def test_the_way_back_is_below_the_path(client: FlaskClient, root: str, target: str) -> None:
    shown = client.get(f"{root}/-/sign-in", query_string={"next": target.format(root=root)}).get_data(as_text=True)
    assert f'name="next" value="{root}/"' in shown


@pytest.mark.parametrize("setup", [one for one in SETUPS if one[1] != "strips"], ids=" ".join)
def test_a_group_may_have_the_paths_name(below: Deps, root: str, kind: str) -> None:
    answer = behind(below, root, kind).get(f"{root}{root}/churn/-/ml/experiments")
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["next"] == [f"{root}{root}/churn/-/ml/experiments"]


@pytest.mark.parametrize("setup", SETUPS[:3], ids=" ".join)
def test_a_team_below_a_path(team: Team, gitlab_deps: Deps, clock: FrozenClock, root: str, kind: str) -> None:
    url = f"https://gitlab.example.com{root}"
    application = team.gitlab.add_application(f"{url}/-/sign-in/callback", scopes=["openid", "read_api"], secret="s")
    settings = replace(
        gitlab_deps.settings,
        external_url=url,
        oauth_client_id=application.client_id,
        oauth_client_secret=application.secret,
    )
    made = create_deps(settings, clock=clock)
    client = behind(made, root, kind)
    there = client.get(f"{root}/-/sign-in/gitlab", base_url="https://gitlab.example.com").headers["Location"]
    assert parse_qs(urlsplit(there).query)["redirect_uri"] == [f"{url}/-/sign-in/callback"]
    job = team.job()
    for audience in (url, f"{url}/"):
        mlflow = Mlflow(client, project="42", token=team.gitlab.mint(job, audience), root=root)
        assert mlflow.post("runs/create", experiment_id="0")["run"]["info"]["status"] == "RUNNING"
    made.db.dispose()

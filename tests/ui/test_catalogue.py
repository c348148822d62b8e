"""The catalogue of models over several projects."""

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from mltrail_server.services.pages import catalogue
from tests import databases
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.clock import FrozenClock
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import statements_of
from tests.team import Team
from tests.ui.browsing import page, sign_in, team_page
from tests.ui.several_projects import a_project, add_version, enter, fill, owner_of

BACKENDS = databases.BACKENDS


def test_models_of_all_groups_that_a_person_may_see(team: Team, gitlab_client: FlaskClient) -> None:
    a_project(team, "vision/defects", 43, guest=10)
    a_project(team, "board/closed", 44)
    for number, name in ((42, "churn"), (43, "scratches"), (44, "unseen")):
        fill(owner_of(team, gitlab_client, number), experiment="e", models=(name,))
    enter(gitlab_client, team.tokens["guest"])
    shown = team_page(gitlab_client, "/-/models")
    assert "unseen" not in shown
    assert "board" not in shown
    assert shown.index(">churn</a>") < shown.index(">scratches</a>")
    only = team_page(gitlab_client, "/-/models?group=vision")
    assert ">scratches</a>" in only
    assert ">churn</a>" not in only
    assert ">churn</a>" in team_page(gitlab_client, "/-/models?find=CHU")
    assert "No model that you can see matches" in team_page(gitlab_client, "/-/models?find=unseen")
    enter(gitlab_client, team.tokens["stranger"])
    assert "None of your projects has a model yet" in team_page(gitlab_client, "/-/models")


def test_a_model_shows_its_latest_version_and_where_it_comes_from(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.80, 0.81])
    promote(trail, pipeline)
    enter(gitlab_client, team.tokens["guest"])
    shown = team_page(gitlab_client, "/-/models")
    assert "/team/churn/-/ml/models/churn/versions/1" in shown
    assert "val_accuracy" in shown
    assert "0.81" in shown


def test_aliases_and_prompts(client: FlaskClient, mlflow: Mlflow) -> None:
    sign_in(client, LOCAL_TOKEN)
    fill(mlflow, experiment="e", models=("plain", "named"))
    mlflow.post("registered-models/create", name="greeting", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    for _ in range(2):
        add_version(mlflow, "named")
    mlflow.post("registered-models/alias", name="named", alias="champion", version="1")
    shown = page(client, "/-/models")
    assert "champion → 1.0.0" in shown
    assert ">1.0.1</a>" in shown
    assert "greeting" not in shown
    only = page(client, "/-/models?alias=champion")
    assert ">named</a>" in only
    assert ">plain</a>" not in only


def test_pages(client: FlaskClient, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(client, LOCAL_TOKEN)
    fill(mlflow, experiment="e", models=tuple(f"model-{number}" for number in range(5)))
    monkeypatch.setattr(catalogue, "PAGE", 2)
    seen = [page(client, f"/-/models?page={number}") for number in (1, 2, 3)]
    assert "Page 1 of 3" in seen[0]
    assert [one.count("/models/model-") for one in seen] == [2, 2, 1]
    assert "Page 3 of 3" in page(client, "/-/models?page=99")
    assert "Page 1 of 3" in page(client, "/-/models?page=x")


def test_it_costs_the_same_statements_for_any_number_of_projects(
    team: Team, gitlab_client: FlaskClient, gitlab_deps: Deps, clock: FrozenClock
) -> None:
    fill(owner_of(team, gitlab_client, 42), experiment="e", models=("churn",))
    enter(gitlab_client, team.tokens["guest"])
    with statements_of(gitlab_deps) as few:
        team_page(gitlab_client, "/-/models")
    for number in range(100, 115):
        a_project(team, f"many/p{number}", number, guest=10)
        fill(owner_of(team, gitlab_client, number), experiment="e", models=("a", "b"))
    clock.advance(120_000)
    with statements_of(gitlab_deps) as many:
        assert "many" in team_page(gitlab_client, "/-/models")
    assert len(many) == len(few) == 6


def test_without_a_session_one_has_to_sign_in(client: FlaskClient) -> None:
    assert client.get("/-/models").headers["Location"].startswith("/-/sign-in")

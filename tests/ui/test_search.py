"""Search over several projects: what is found, in which order, by whom, and what is not looked through."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.pages import search
from mltrail_server.services.pages.search import Unsearched
from mltrail_server.store.pages.home import Activity
from tests import databases
from tests.api.ci.published import failing
from tests.api.review.merge_requests import GOOD
from tests.api.trail import SHAS, Trail
from tests.clock import FrozenClock
from tests.mlflow_client import LOCAL_TOKEN, Mlflow, good
from tests.statements import statements_of
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import TEAM_ML, page, sign_in, team_page
from tests.ui.several_projects import a_project, add_version, enter, fill, owner_of

BACKENDS = databases.BACKENDS


def at(client: FlaskClient) -> str:
    """Where the server is: local mode answers to no other name."""
    return EXTERNAL_URL if client.application.config["MLTRAIL_HOST"] else "http://localhost"


def found(client: FlaskClient, text: str, **more: str) -> dict[str, list[str]]:
    """Search as the dialog does, and return the titles by kind."""
    answer = client.get("/-/search.json", query_string={"q": text, **more}, base_url=at(client))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    body: Any = answer.get_json()
    return {group["kind"]: [hit["title"] for hit in group["hits"]] for group in body["groups"]}


def links(client: FlaskClient, text: str, **more: str) -> list[str]:
    answer = client.get("/-/search.json", query_string={"q": text, **more}, base_url=at(client))
    body: Any = answer.get_json()
    return [hit["url"] for group in body["groups"] for hit in group["hits"]]


@pytest.fixture
def three_projects(team: Team, gitlab_client: FlaskClient) -> None:
    """The team's, one that everybody with a role sees as a Guest, and one that is closed."""
    a_project(team, "team/other", 43, **dict.fromkeys(("guest", "reporter", "developer"), 10))
    a_project(team, "board/closed", 44)
    for number, name in ((42, "ours"), (43, "other"), (44, "closed")):
        mlflow = owner_of(team, gitlab_client, number)
        fill(mlflow, experiment=f"churn {name}", runs=(f"churn run {name}",), models=(f"churn-model-{name}",))


@pytest.mark.usefixtures("three_projects")
class TestWhoFindsWhat:
    @pytest.mark.parametrize("role", ["guest", "reporter", "developer"])
    def test_members_find_what_is_in_their_projects(self, gitlab_client: FlaskClient, team: Team, role: str) -> None:
        enter(gitlab_client, team.tokens[role])
        assert found(gitlab_client, "churn") == {
            "Experiments": ["churn ours", "churn other"],
            "Models": ["churn-model-ours", "churn-model-other"],
            "Runs": ["churn run ours", "churn run other"],
        } or found(gitlab_client, "churn") == {
            "Experiments": ["churn other", "churn ours"],
            "Models": ["churn-model-other", "churn-model-ours"],
            "Runs": ["churn run other", "churn run ours"],
        }
        assert "closed" not in team_page(gitlab_client, "/-/search?q=churn")

    def test_who_is_no_member_finds_nothing(self, gitlab_client: FlaskClient, team: Team) -> None:
        enter(gitlab_client, team.tokens["stranger"])
        assert found(gitlab_client, "churn") == {}
        assert "Nothing that you can see" in team_page(gitlab_client, "/-/search?q=churn")

    def test_naming_a_closed_project_opens_nothing(self, gitlab_client: FlaskClient, team: Team) -> None:
        enter(gitlab_client, team.tokens["guest"])
        team_page(gitlab_client, "/-/search?q=churn&project=board/closed", 404)
        answer = gitlab_client.get("/-/search.json?q=churn&project=board/closed", base_url=EXTERNAL_URL)
        assert "closed run" not in answer.get_data(as_text=True)

    def test_ids_of_closed_projects_find_nothing(self, gitlab_client: FlaskClient, team: Team) -> None:
        mlflow = owner_of(team, gitlab_client, 44)
        (run,) = mlflow.post("runs/search", experiment_ids=["1"])["runs"]
        enter(gitlab_client, team.tokens["guest"])
        assert found(gitlab_client, run["info"]["run_id"]) == {}
        assert found(gitlab_client, "churn-model-closed 1.0.0") == {}

    def test_own_project_comes_first(self, gitlab_client: FlaskClient, team: Team) -> None:
        enter(gitlab_client, team.tokens["guest"])
        for path, first in (("team/churn", "churn ours"), ("team/other", "churn other")):
            assert found(gitlab_client, "churn", project=path)["Experiments"][0] == first

    def test_a_public_project_is_searched_from_its_own_pages(self, gitlab_client: FlaskClient, team: Team) -> None:
        team.gitlab.add_project("team/open", id=77, visibility="public")
        team.gitlab.add_member(team.gitlab.projects[77], team.users["owner"], 50)
        fill(owner_of(team, gitlab_client, 77), experiment="churn open")
        enter(gitlab_client, team.tokens["stranger"])
        assert found(gitlab_client, "churn") == {}
        assert found(gitlab_client, "churn", project="team/open") == {"Experiments": ["churn open"]}


def test_without_a_session_there_is_no_search(client: FlaskClient) -> None:
    assert client.get("/-/search?q=x").headers["Location"].startswith("/-/sign-in")
    answer = client.get("/-/search.json?q=churn")
    assert (answer.status_code, answer.get_json()) == (401, {"error": "You are signed out."})


def test_merge_requests_are_found_from_the_reporter_role_up(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    request, pipeline = failing(trail, "thread")
    at = f"{TEAM_ML}/merge_requests/{request.iid}"
    for role in ("guest", "planner"):
        enter(gitlab_client, team.tokens[role])
        for text in (f"!{request.iid}", "faster", "Learn"):
            assert "Merge requests" not in found(gitlab_client, text)
        assert all("merge_requests" not in url for url in links(gitlab_client, f"#{pipeline.id}"))
        assert "Learn faster" not in team_page(gitlab_client, f"/-/search?q=%21{request.iid}")
    enter(gitlab_client, team.tokens["reporter"])
    for text in (f"!{request.iid}", "faster", "Learn", "learn fast"):
        assert found(gitlab_client, text)["Merge requests"] == [f"!{request.iid} Learn faster"]
    assert f"{at}?pipeline={pipeline.id}" in links(gitlab_client, f"#{pipeline.id}")
    answer = gitlab_client.get(f"/-/search?q=%21{request.iid}", base_url=EXTERNAL_URL)
    assert (answer.status_code, answer.headers["Location"]) == (302, at)


def test_a_pipeline_a_run_and_a_commit_are_found_by_their_numbers(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, GOOD)
    run = trail.runs()[0]["info"]["run_id"]
    enter(gitlab_client, team.tokens["guest"])
    by_pipeline = found(gitlab_client, f"#{pipeline.id}")
    assert by_pipeline["Pipelines"] == [f"#{pipeline.id}"]
    assert len(by_pipeline["Runs"]) == 3
    assert any("CI_PIPELINE_ID" in url for url in links(gitlab_client, f"#{pipeline.id}"))
    assert len(links(gitlab_client, run)) == len(links(gitlab_client, run[:12])) == 1
    answer = gitlab_client.get(f"/-/search?q={run.upper()}", base_url=EXTERNAL_URL)
    assert answer.headers["Location"].startswith(f"{TEAM_ML}/candidates/")
    assert len(found(gitlab_client, SHAS["b"][:8])["Runs"]) == 3
    assert len(found(gitlab_client, SHAS["b"])["Runs"]) == 3
    assert found(gitlab_client, "abcdef0") == {}


@pytest.fixture
def local(client: FlaskClient, mlflow: Mlflow) -> Mlflow:
    sign_in(client, LOCAL_TOKEN)
    return mlflow


def test_the_best_come_first_and_then_the_newest(local: Mlflow, client: FlaskClient, clock: FrozenClock) -> None:
    names = ("my-lr", "lr", "colr", "lr-sweep", "lr sweep 2", "LR", "lrs")
    for name in names:
        clock.advance(1000)
        local.post("runs/create", experiment_id="0", run_name=name)
    listed = page(client, "/-/search?q=lr")
    order = sorted(names, key=lambda name: listed.index(f">{name}</a>"))
    assert order == ["LR", "lr", "lrs", "lr sweep 2", "lr-sweep", "my-lr", "colr"]
    assert found(client, "sweep lr")["Runs"] == ["lr sweep 2", "lr-sweep"]


def test_wildcards_are_characters(local: Mlflow, client: FlaskClient) -> None:
    fill(local, experiment="100% sure", runs=("a_b", "axb", "back\\slash"))
    assert found(client, "0%") == {"Experiments": ["100% sure"]}
    assert found(client, "a_b") == {"Runs": ["a_b"]}
    assert found(client, "k\\s") == {"Runs": ["back\\slash"]}
    assert found(client, "%%") == {}
    assert found(client, "\0\0") == {}


def test_deleted_things_are_found_only_if_asked_for(local: Mlflow, client: FlaskClient) -> None:
    (run,) = fill(local, experiment="gone", runs=("gone run",))
    fill(local, experiment="kept", runs=("kept run",))
    local.post("runs/delete", run_id=run)
    local.post("experiments/delete", experiment_id="1")
    assert found(client, "gone") == {}
    assert found(client, run) == {}
    assert found(client, "gone", deleted="1") == {"Experiments": ["gone"], "Runs": ["gone run"]}
    assert "deleted=1" in page(client, "/-/search?q=gone")


def test_a_version_is_found_by_model_and_number_or_alias(local: Mlflow, client: FlaskClient) -> None:
    fill(local, experiment="e", models=("churn", "churn-eu"))
    for name in ("churn", "churn-eu"):
        add_version(local, name)
    local.post("registered-models/alias", name="churn-eu", alias="champion", version="1")
    for text in ("churn 1.0.0", "churn v1.0", "churn 1", "models:/churn/1"):
        assert found(client, text)["Versions"] == ["churn 1.0.0", "churn-eu 1.0.0"], text
    assert found(client, "churn@champion")["Versions"] == ["churn-eu 1.0.0"]
    assert "Versions" not in found(client, "churn 2.0")
    good(local.call("DELETE", "api/2.0/mlflow/model-versions/delete", json={"name": "churn", "version": "1"}))
    assert found(client, "churn 1.0.0")["Versions"] == ["churn-eu 1.0.0"]


def test_prompts_and_datasets_are_found(local: Mlflow, client: FlaskClient) -> None:
    tag = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    local.post("registered-models/create", name="greeting", tags=[tag])
    (run,) = fill(local, experiment="e", runs=("r",))
    dataset = {"name": "customers", "digest": "9f2c41aa", "source_type": "local", "source": "{}"}
    local.post("runs/log-inputs", run_id=run, datasets=[{"dataset": dataset}])
    assert links(client, "greet") == ["/1/-/ml/prompts/greeting"]
    assert found(client, "custom")["Datasets"] == ["customers"]
    (url,) = links(client, "9f2c41")
    assert url == "/1/-/ml/datasets/9f2c41aa?name=customers"
    assert "customers" in page(client, url)


def test_a_search_costs_the_same_statements_for_any_number_of_projects(
    team: Team, gitlab_client: FlaskClient, gitlab_deps: Deps, clock: FrozenClock
) -> None:
    fill(owner_of(team, gitlab_client, 42), experiment="churn", runs=("churn",))
    enter(gitlab_client, team.tokens["guest"])
    with statements_of(gitlab_deps) as few:
        found(gitlab_client, "churn")
    for number in range(100, 125):
        a_project(team, f"many/p{number}", number, guest=10)
        fill(owner_of(team, gitlab_client, number), experiment="churn", runs=("churn",))
    clock.advance(120_000)
    with statements_of(gitlab_deps) as many:
        found(gitlab_client, "churn")
    assert len(many) == len(few) == 8
    assert "Runs of 6 less active projects were not searched." in team_page(gitlab_client, "/-/search?q=churn")


def test_how_much_is_looked_through_does_not_grow() -> None:
    def active(*newest: int) -> list[Activity]:
        return [Activity(ProjectId(number), iid, 1) for number, iid in enumerate(newest, 1)]

    windows, unsearched = search.windows_of(active(100_000))
    assert [(one.project_id, one.after_iid) for one in windows] == [(1, 80_000)]
    assert unsearched == Unsearched(first=20_000)
    windows, unsearched = search.windows_of(active(100_000, 3000, 50_000), own=2)
    assert [(one.project_id, one.after_iid) for one in windows] == [(2, 0), (1, 95_000), (3, 45_000)]
    assert unsearched == Unsearched(others=5000)
    windows, unsearched = search.windows_of(active(*[100] * 30, 0))
    assert len(windows) == 20
    assert unsearched == Unsearched(left_out=10)

"""The first page: what it shows of which projects, to whom, and at what cost."""

import sqlalchemy as sa
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from tests import databases
from tests.api.ci.published import again, failing, resolve
from tests.api.review.merge_requests import GOOD
from tests.api.trail import SHAS, Trail
from tests.clock import DAY, HOUR, FrozenClock
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import statements_of
from tests.team import Team
from tests.ui.browsing import page, sign_in, team_page
from tests.ui.several_projects import a_project, add_version, enter, fill, owner_of

BACKENDS = databases.BACKENDS
TITLE = "Learn faster"
MINUTE = 60_000


def test_who_is_not_signed_in_sees_what_mltrail_is(client: FlaskClient, mlflow: Mlflow) -> None:
    mlflow.post("runs/create", experiment_id="0", run_name="secret")
    shown = page(client, "/")
    assert "Model tracking that lives in a GitLab pipeline" in shown
    assert "/-/sign-in" in shown
    assert "secret" not in shown


def test_only_projects_that_a_person_may_see_are_on_it(team: Team, gitlab_client: FlaskClient) -> None:
    a_project(team, "team/other", 43, guest=10)
    a_project(team, "board/closed", 44)
    for number, name in ((43, "in other"), (44, "in closed")):
        fill(owner_of(team, gitlab_client, number), experiment=f"experiment {name}", runs=(f"run {name}",))
    enter(gitlab_client, team.tokens["guest"])
    shown = team_page(gitlab_client, "/")
    assert "run in other" in shown
    assert "experiment in other" in shown
    assert "closed" not in shown
    enter(gitlab_client, team.tokens["stranger"])
    assert "Nothing here yet" in team_page(gitlab_client, "/")


def test_running_and_ended_runs_are_listed_once(team: Team, gitlab_client: FlaskClient) -> None:
    mlflow = owner_of(team, gitlab_client, 42)
    ended, gone, _ = fill(mlflow, experiment="churn", runs=("ended one", "deleted one", "running one"))
    mlflow.post("runs/update", run_id=ended, status="FINISHED")
    mlflow.post("runs/delete", run_id=gone)
    enter(gitlab_client, team.tokens["guest"])
    running, recent = team_page(gitlab_client, "/").split("Recent runs")
    assert "running one" in running
    assert "running one" not in recent
    assert "ended one" in recent
    assert "deleted one" not in running + recent


def test_the_trials_of_a_sweep_leave_room_for_other_runs(team: Team, gitlab_client: FlaskClient) -> None:
    mlflow = owner_of(team, gitlab_client, 42)
    runs = fill(mlflow, experiment="churn", runs=("the last by hand",))
    runs += fill(mlflow, experiment="sweep", runs=tuple(f"trial {number}" for number in range(12)))
    for run in runs:
        mlflow.post("runs/update", run_id=run, status="FINISHED")
    enter(gitlab_client, team.tokens["guest"])
    recent = team_page(gitlab_client, "/").split("Recent runs")[1]
    assert "the last by hand" in recent
    assert [number for number in range(12) if f">trial {number}<" in recent] == [9, 10, 11]


def test_a_failing_gate_is_shown_with_its_sentence_to_whoever_sees_merge_requests(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    request, _ = failing(trail, "thread")
    for role in ("guest", "planner"):
        enter(gitlab_client, team.tokens[role])
        shown = team_page(gitlab_client, "/")
        assert TITLE not in shown
        assert "You need the Reporter role" in shown
    for role in ("reporter", "developer", "owner"):
        enter(gitlab_client, team.tokens[role])
        shown = team_page(gitlab_client, "/")
        assert f"!{request.iid} {TITLE}" in shown
        assert "churn breaks “val_accuracy" in shown
    enter(gitlab_client, team.tokens["stranger"])
    assert TITLE not in team_page(gitlab_client, "/")
    again(trail, request, GOOD)
    enter(gitlab_client, team.tokens["reporter"])
    assert "No open merge request fails its gate" in team_page(gitlab_client, "/")


def test_a_gate_that_somebody_has_overridden_fails_no_longer(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    request, pipeline = failing(trail, "thread")
    resolve(trail, request, reply="a fix of the labels")
    trail.report(pipeline)
    trail.work()
    enter(gitlab_client, team.tokens["reporter"])
    assert TITLE not in team_page(gitlab_client, "/")


def test_a_gate_of_a_merged_request_is_history(
    trail: Trail, team: Team, gitlab_client: FlaskClient, gitlab_deps: Deps
) -> None:
    failing(trail, "thread")
    with gitlab_deps.db.write() as connection:
        request = schema.merge_request
        connection.execute(sa.update(request).where(request.c.project_id == 42).values(state="merged"))
    enter(gitlab_client, team.tokens["reporter"])
    assert TITLE not in team_page(gitlab_client, "/")


def test_an_alias_that_has_moved_shows_who_and_why(team: Team, gitlab_client: FlaskClient, clock: FrozenClock) -> None:
    mlflow = owner_of(team, gitlab_client, 42)
    mlflow.post("registered-models/create", name="churn")
    for _ in range(2):
        add_version(mlflow, "churn")
    for version in ("1", "2"):
        mlflow.post("registered-models/alias", name="churn", alias="champion", version=version)
    enter(gitlab_client, team.tokens["guest"])
    shown = team_page(gitlab_client, "/")
    assert "churn 1.0.1" in shown
    assert "was 1.0.0" in shown
    assert shown.count(">champion<") == 1
    clock.advance(22 * DAY)
    enter(gitlab_client, team.tokens["guest"])
    assert "No alias has moved" in team_page(gitlab_client, "/")


def test_an_alias_of_a_prompt_is_no_champion(team: Team, gitlab_client: FlaskClient) -> None:
    mlflow = owner_of(team, gitlab_client, 42)
    for name, tags in (("churn", []), ("greeting", [{"key": "mlflow.prompt.is_prompt", "value": "true"}])):
        mlflow.post("registered-models/create", name=name, tags=tags)
        add_version(mlflow, name)
        mlflow.post("registered-models/alias", name=name, alias="production", version="1")
    enter(gitlab_client, team.tokens["guest"])
    shown = team_page(gitlab_client, "/")
    assert "churn 1.0.0" in shown
    assert "greeting" not in shown


def test_gitlab_is_asked_twice_and_then_not_for_a_minute(
    team: Team, gitlab_client: FlaskClient, clock: FrozenClock
) -> None:
    fill(owner_of(team, gitlab_client, 42), experiment="churn")
    enter(gitlab_client, team.tokens["guest"])
    before = len(team.gitlab.requests)
    for _ in range(3):
        assert "team/churn" in team_page(gitlab_client, "/")
    assert [path for _, path in team.gitlab.requests[before:]] == ["/api/v4/projects"] * 2
    clock.advance(2 * MINUTE)
    team.gitlab.fail_next("GET", "/projects", 502)
    assert "team/churn" in team_page(gitlab_client, "/")
    clock.advance(HOUR)
    team.gitlab.fail_next("GET", "/projects", 502)
    team_page(gitlab_client, "/", 503)


def test_who_is_no_member_any_more_sees_nothing_after_a_minute(
    team: Team, gitlab_client: FlaskClient, clock: FrozenClock
) -> None:
    fill(owner_of(team, gitlab_client, 42), experiment="churn", runs=("a run",))
    enter(gitlab_client, team.tokens["guest"])
    assert "a run" in team_page(gitlab_client, "/")
    del team.project.members[team.users["guest"].id]
    clock.advance(MINUTE)
    assert "a run" not in team_page(gitlab_client, "/")


def test_it_costs_the_same_statements_for_any_number_of_projects(
    team: Team, gitlab_client: FlaskClient, gitlab_deps: Deps, clock: FrozenClock
) -> None:
    fill(owner_of(team, gitlab_client, 42), experiment="churn", runs=("a run",))
    enter(gitlab_client, team.tokens["guest"])
    with statements_of(gitlab_deps) as few:
        team_page(gitlab_client, "/")
    for number in range(100, 140):
        a_project(team, f"many/p{number}", number, guest=10)
        fill(owner_of(team, gitlab_client, number), experiment="e", runs=("first", "second"))
        clock.advance(1000)
    clock.advance(2 * MINUTE)
    with statements_of(gitlab_deps) as many:
        shown = team_page(gitlab_client, "/")
    assert len(many) == len(few) == 9
    assert "The 30 most recently active of 41" in shown
    assert "many/p139" in shown
    assert "many/p101" not in shown
    assert "many/p101" in team_page(gitlab_client, "/?find=P101")


def test_in_local_mode_there_is_no_gitlab(client: FlaskClient, mlflow: Mlflow) -> None:
    sign_in(client, LOCAL_TOKEN)
    assert "begin with project 1" in page(client, "/")
    mlflow.post("runs/create", experiment_id="0", run_name="mine")
    shown = page(client, "/")
    assert "mine" in shown
    assert "Project 1" in shown
    assert "Failing gates" not in shown


def test_a_promotion_from_a_merge_request_names_it_to_whoever_may_see_it(
    trail: Trail, team: Team, gitlab_client: FlaskClient, gitlab_deps: Deps
) -> None:
    trail.train(trail.main(SHAS["b"]), GOOD)
    mlflow = owner_of(team, gitlab_client, 42)
    mlflow.post("registered-models/create", name="churn")
    add_version(mlflow, "churn")
    mlflow.post("registered-models/alias", name="churn", alias="champion", version="1")
    with gitlab_deps.db.write() as connection:
        event = schema.alias_event
        connection.execute(sa.update(event).where(event.c.project_id == 42).values(pipeline_id=7))
        made = {"project_id": 42, "model_id": 1, "model_name": "churn", "pipeline_id": 7, "number": 1}
        why = {"semver": "1.0.0", "candidate_iid": 1, "trained_in": 7, "merge_request_iid": 3, "bump": "first"}
        connection.execute(
            sa.insert(schema.promotion).values(**made, **why, reason="the first one", user_name="owner", at_ms=1)
        )
    link = 'href="/team/churn/-/ml/merge_requests/3"'
    for role, sees in (("guest", False), ("reporter", True)):
        enter(gitlab_client, team.tokens[role])
        shown = team_page(gitlab_client, "/")
        assert "the first one" in shown
        assert (link in shown) is sees

"""What one project holds, another can neither see nor touch, by whatever route and id."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from tests.api.edges.url_map import PUBLIC
from tests.api.traces import calls
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL, Team

SECRET = "known-to-42-only"


@pytest.fixture
def ids(gitlab_client: FlaskClient, team: Team) -> dict[str, str]:
    """Fill project 42 with one of everything, and return the ids."""
    job = team.job()
    mlflow = Mlflow(gitlab_client, project="42", token=team.gitlab.mint(job, EXTERNAL_URL))
    experiment = mlflow.post("experiments/create", name=f"e-{SECRET}")["experiment_id"]
    run = mlflow.post("runs/create", experiment_id=experiment, run_name=f"r-{SECRET}")["run"]["info"]["run_id"]
    mlflow.post(
        "runs/log-batch",
        run_id=run,
        metrics=[{"key": f"m-{SECRET}", "value": 1, "timestamp": 1}],
        params=[{"key": "p", "value": SECRET}],
        tags=[{"key": "t", "value": SECRET}],
    )
    logged = mlflow.post("logged-models", experiment_id=experiment, name=f"l-{SECRET}", source_run_id=run)
    path = f"{experiment}/{run}/artifacts/model/{SECRET}.txt"
    good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{path}", data=SECRET.encode()))
    trace = mlflow.post("traces", experiment_id=experiment, tags=[{"key": "t", "value": SECRET}])["trace_info"]
    path_of_trace = f"traces/{trace['request_id']}/assessments"
    said = {"assessment_name": "tone", "feedback": {"value": SECRET}, "rationale": SECRET}
    assessment = calls.post(mlflow, path_of_trace, assessment=said)["assessment"]
    dataset = calls.post(mlflow, "datasets/create", name=f"d-{SECRET}", experiment_ids=[experiment])["dataset"]
    rows = f"datasets/{dataset['dataset_id']}/records"
    calls.post(mlflow, rows, records=json.dumps([{"inputs": {"question": SECRET}}]))
    record = json.loads(calls.get(mlflow, rows)["records"])[0]["dataset_record_id"]
    serialized = json.dumps({"name": SECRET})
    calls.post(mlflow, "scorers/register", experiment_id=experiment, name=f"n-{SECRET}", serialized_scorer=serialized)
    mlflow.post("registered-models/create", name=f"n-{SECRET}")
    mlflow.post("model-versions/create", name=f"n-{SECRET}", source=f"runs:/{run}/model", run_id=run)
    mlflow.post("registered-models/alias", name=f"n-{SECRET}", alias="champion", version="1")
    return {
        "experiment_id": experiment,
        "run_id": run,
        "model_id": logged["model"]["info"]["model_id"],
        "trace_id": trace["request_id"],
        "assessment_id": assessment["assessment_id"],
        "dataset_id": dataset["dataset_id"],
        "dataset_record_id": record,
        "path": path,
        "name": f"n-{SECRET}",
        "pipeline_id": str(job.pipeline.id),
        "job_id": str(job.id),
    }


@pytest.fixture
def neighbour(team: Team) -> list[str]:
    """The owner of project 77, by each kind of token."""
    other = team.gitlab.add_project("team/other", id=77)
    user = team.gitlab.add_user("nina")
    team.gitlab.add_member(other, user, 50)
    team.gitlab.add_commit(other, "f" * 40, branch="main")
    pipeline = team.gitlab.add_pipeline(other, "f" * 40, "main", "push")
    job = team.gitlab.add_job(pipeline, "train", "train", user, "running")
    return [team.gitlab.add_token(user, ["api"]), team.gitlab.mint(job, EXTERNAL_URL), job.token]


def held(deps: Deps) -> dict[str, list[Any]]:
    with deps.db.read() as connection:
        return {
            table.name: sorted(map(str, connection.execute(table.select().where(table.c.project_id == 42))))
            for table in schema.METADATA.sorted_tables
            if "project_id" in table.c
        }


def filled(rule: str, ids: dict[str, str], *, project: str) -> str:
    url = rule.replace("<project:project>", project)
    for name, value in {
        "<int:pipeline_id>": ids["pipeline_id"],
        "<model_id>": ids["model_id"],
        "<trace_id>": ids["trace_id"],
        "<assessment_id>": ids["assessment_id"],
        "<dataset_id>": ids["dataset_id"],
        "<path:path>": ids["path"],
        "<path:name>": ids["name"],
        "<path:tag_key>": "t",
        "<int:iid>": ids["experiment_id"],
    }.items():
        url = url.replace(name, value)
    parts = [part if not part.startswith("<") else ids["run_id"] for part in url.split("/")]
    return "/".join(parts)


def bodies(ids: dict[str, str]) -> list[dict[str, Any]]:
    """Bodies that name everything by its id, as far as a route may understand them."""
    common = {key: value for key, value in ids.items() if key != "path"}
    return [
        common
        | {
            "run_uuid": ids["run_id"],
            "source_run_id": ids["run_id"],
            "version": "1",
            "alias": "champion",
            "new_name": "mine",
            "description": "mine",
            "stage": "Production",
            "key": "t",
            "value": "mine",
            "metric_key": f"m-{SECRET}",
            "timestamp": 2,
            "tags": [{"key": "t", "value": "mine"}],
            "params": [{"key": "q", "value": "mine"}],
            "metrics": [{"key": "m", "value": 2, "timestamp": 2}],
            "path": ids["path"],
            "source": source,
            "run_ids": [ids["run_id"]],
            "experiment_ids": [ids["experiment_id"]],
            "status": "FINISHED",
            "assessment": {"assessment_id": ids["assessment_id"], "feedback": {"value": 1}, "rationale": "mine"},
            "update_mask": "feedback,rationale",
            "records": json.dumps([{"inputs": {"question": "mine"}}]),
            "dataset_record_ids": [ids["dataset_record_id"]],
            "serialized_scorer": "{}",
        }
        for source in (f"runs:/{ids['run_id']}/model", f"models:/{ids['model_id']}", f"mlflow-artifacts:/{ids['path']}")
    ]


def test_no_route_gives_or_changes_anything_of_another_project(
    gitlab_client: FlaskClient, gitlab_deps: Deps, ids: dict[str, str], neighbour: list[str]
) -> None:
    before, tried = held(gitlab_deps), 0
    assert SECRET in str(before)
    for rule in gitlab_client.application.url_map.iter_rules():
        if rule.rule in PUBLIC or "<project:project>" not in rule.rule:
            continue
        url = filled(rule.rule, ids, project="77")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            for number, body in enumerate(bodies(ids)):
                carried: dict[str, Any] = {"query_string": body} if method == "GET" else {"json": body}
                headers = {"Authorization": f"Bearer {neighbour[number]}"}
                answer = gitlab_client.open(url, method=method, headers=headers, buffered=True, **carried)
                text = answer.get_data(as_text=True)
                # What somebody has sent comes back in errors; what is held in project 42 does not.
                for own in (ids["name"], f"m-{SECRET}", ids["path"]):
                    text = text.replace(own, "")
                assert SECRET not in text, (method, url)
                assert answer.status_code < 500 or answer.status_code in (501, 503), (method, url, text)
                tried += 1
    assert tried > 500
    assert held(gitlab_deps) == before


def test_the_same_ids_work_at_home(gitlab_client: FlaskClient, team: Team, ids: dict[str, str]) -> None:
    """Otherwise the test above would prove nothing."""
    mlflow = Mlflow(gitlab_client, project="42", token=team.tokens["developer"])
    assert SECRET in str(mlflow.get("runs/get", run_id=ids["run_id"]))
    assert SECRET in str(mlflow.get("experiments/get", experiment_id=ids["experiment_id"]))
    assert SECRET in str(mlflow.get(f"logged-models/{ids['model_id']}"))
    file = mlflow.call("GET", f"api/2.0/mlflow-artifacts/artifacts/{ids['path']}", buffered=True)
    assert file.get_data(as_text=True) == SECRET


@pytest.mark.parametrize(
    "trick", ["77/../42", "77%2F..%2F42", "77%252F..%252F42", "42%00", "./42", "77/.%2e/42", "\uff14\uff12"]
)
def test_no_trick_with_the_project_leads_next_door(
    gitlab_client: FlaskClient, ids: dict[str, str], neighbour: list[str], trick: str
) -> None:
    for token in neighbour:
        url = f"/api/v4/projects/{trick}/ml/mlflow/api/2.0/mlflow/runs/get?run_id={ids['run_id']}"
        answer = gitlab_client.get(url, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in (401, 404)
        assert SECRET not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "trick",
    [
        "../{path}",
        "%2e%2e/{path}",
        "../../42/{path}",
        "..%2F..%2F42%2F{path}",
        "%252e%252e/{path}",
        "/{path}",
        "{path}/.",
    ],
)
def test_no_trick_with_a_path_leads_next_door(
    gitlab_client: FlaskClient, ids: dict[str, str], neighbour: list[str], trick: str
) -> None:
    url = f"/api/v4/projects/77/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/{trick.format(path=ids['path'])}"
    for method in ("GET", "PUT", "DELETE"):
        headers = {"Authorization": f"Bearer {neighbour[0]}"}
        answer = gitlab_client.open(url, method=method, headers=headers, data=b"x", buffered=True)
        assert answer.status_code >= 400
        assert SECRET not in answer.get_data(as_text=True).replace(ids["path"], "")

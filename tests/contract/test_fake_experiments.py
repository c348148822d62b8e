"""The stand-in's own experiments and models answer as GitLab's do.

Answers are held against the JSON schemas of GitLab's request specs, if GITLAB_ML_SCHEMAS names their folder; what those
specs test beside the schemas is repeated here.
"""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import urllib3

from tests.fakes.gitlab_history import LONG, Made, fill
from tests.team import Team

FOLDER = Path(os.environ.get("GITLAB_ML_SCHEMAS") or Path(__file__).parents[3] / "shared/facts/gitlab-schemas")
MLFLOW = "projects/42/ml/mlflow/api/2.0/mlflow"
FILES = "projects/42/ml/mlflow/api/2.0/mlflow-artifacts/artifacts"
UNKNOWN = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
NO_ROUTE = (404, {"error": "404 Not Found"})
SCHEMAS = (
    "get_experiment",
    "list_experiments",
    "search_experiments",
    "run",
    "search_runs",
    "list_models",
    "get_latest_versions",
)


@pytest.fixture
def made(team: Team) -> Made:
    team.gitlab.version = "18.11.0"
    return fill(team)


def ask(team: Team, path: str, body: dict[str, Any] | None = None, *, who: str = "developer") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {team.tokens[who]}"}
    url = f"{team.gitlab.url}/api/v4/{path}"
    if body is None:
        answer = urllib3.request("GET", url, headers=headers)
    else:
        answer = urllib3.request("POST", url, headers=headers, json=body)
    return answer.status, answer.json()


def answer_of(team: Team, made: Made, name: str) -> Any:
    asked: dict[str, tuple[str, dict[str, Any] | None]] = {
        "get_experiment": ("experiments/get?experiment_id=1", None),
        "list_experiments": ("experiments/list", None),
        "search_experiments": ("experiments/search", {"max_results": 1}),
        "run": (f"runs/get?run_id={made.bare.eid}", None),
        "search_runs": ("runs/search", {"experiment_ids": ["1"], "max_results": 1}),
        "list_models": ("registered-models/search?max_results=1", None),
        "get_latest_versions": ("registered-models/search", None),
    }
    path, body = asked[name]
    status, found = ask(team, f"{MLFLOW}/{path}", body)
    assert status == 200
    if name != "get_latest_versions":
        return found
    return {"model_versions": found["registered_models"][0]["latest_versions"]}


@pytest.mark.parametrize("name", SCHEMAS)
def test_answers_validate_against_gitlabs_schemas(team: Team, made: Made, name: str) -> None:
    file = FOLDER / f"{name}.json"
    if not file.exists():
        pytest.skip(f"GitLab's schemas are not at {FOLDER}; GITLAB_ML_SCHEMAS names their folder")
    jsonschema.Draft4Validator(json.loads(file.read_text())).validate(answer_of(team, made, name))


def test_what_a_reader_has_to_know(team: Team, made: Made) -> None:
    models = answer_of(team, made, "get_latest_versions"), ask(team, f"{MLFLOW}/registered-models/search")[1]
    assert [one["aliases"] for one in models[0]["model_versions"]] == [["1.0.0"], ["1.2.3"]]
    assert [one["version"] for one in models[0]["model_versions"]] == [str(one.id) for one in made.versions]
    assert models[1]["registered_models"][1]["latest_versions"] == [None]
    assert models[1]["next_page_token"] is None
    found = answer_of(team, made, "run")["run"]["info"]
    assert found["artifact_uri"].endswith(f"/api/v4/projects/42/packages/ml_models/candidate:{made.bare.iid}/files/")
    assert (found["user_id"], "end_time" in found, "run_name" in found) == ("9999", False, False)
    metrics = ask(team, f"{MLFLOW}/runs/get?run_id={made.fits.eid}")[1]["run"]["data"]["metrics"]
    assert [one["key"] for one in metrics] == ["loss", "f1"]


def test_histories_come_in_pages_of_a_thousand_since_18_11(team: Team, made: Made) -> None:
    path = f"{MLFLOW}/metrics/get-history?run_id={made.fits.eid}&metric_key=loss&max_results=25000"
    first = ask(team, path)[1]
    rest = ask(team, f"{path}&page_token={first['next_page_token']}")[1]
    assert (len(first["metrics"]), len(rest["metrics"]), rest["next_page_token"]) == (1000, LONG - 1000, None)
    assert ask(team, f"{MLFLOW}/metrics/get-history?run_id={made.fits.eid}&metric_key=none")[1]["metrics"] == []
    assert ask(team, f"{MLFLOW}/metrics/get-history?run_id=none&metric_key=loss") == UNKNOWN
    team.gitlab.version = "18.10.3"
    assert ask(team, path) == NO_ROUTE


def test_files_are_listed_at_once_or_not_at_all(team: Team, made: Made) -> None:
    version = made.versions[1].id
    found = ask(team, f"{FILES}?path={version}")[1]["files"]
    assert found == [{"path": "model/MLmodel", "file_size": 11, "is_dir": False}]
    assert ask(team, f"{FILES}?path={version}/model")[1] == {"files": []}
    assert ask(team, f"{FILES}?path=candidate:{made.bare.iid}") == UNKNOWN
    packages = ask(team, "projects/42/packages?package_type=ml_model&package_name=churn")[1]
    assert {(one["name"], one["version"]) for one in packages} >= {("churn", "1.2.3"), ("churn", "1.0.0")}
    own = ask(team, f"projects/42/packages/{made.fits.package.id if made.fits.package else 0}/package_files")[1]
    assert [(one["file_name"], one["size"]) for one in own] == [("plots%2Froc%20curve.png", 3)]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("runs/search", {"experiment_ids": ["1"], "order_by": ["x"]}, (400, {"error": "order_by is invalid"})),
        ("runs/search", {}, (400, {"error": "experiment_ids is missing"})),
        ("runs/search", {"experiment_ids": []}, UNKNOWN),
        ("runs/search", {"experiment_ids": ["99", "1"]}, UNKNOWN),
        ("runs/restore", {"run_id": "1"}, NO_ROUTE),
        ("experiments/get", None, UNKNOWN),
        ("experiments/get-by-name?experiment_name=x", None, UNKNOWN),
    ],
)
def test_refusals(team: Team, made: Made, path: str, body: dict[str, Any] | None, expected: tuple[int, Any]) -> None:
    del made
    assert ask(team, f"{MLFLOW}/{path}", body) == expected


def test_who_may_search(team: Team, made: Made) -> None:
    del made
    path, body = f"{MLFLOW}/experiments/search", {"max_results": 1}
    assert ask(team, path, body, who="reporter") == (401, {"message": "401 Unauthorized"})
    assert ask(team, path, body, who="stranger") == (404, {"message": "404 Project Not Found"})
    team.tokens["reads"] = team.gitlab.add_token(team.users["developer"], ["read_api"])
    status, found = ask(team, path, body, who="reads")
    assert (status, found["error"]) == (403, "insufficient_scope")
    team.project.features = "disabled"
    assert ask(team, path, body) == (404, {"message": "404 Not Found"})

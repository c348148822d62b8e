"""Answers have all that GitLab's own request specs ask of its MLflow endpoint.

The JSON schemas of those specs are data that stays where it is: the folder that GITLAB_ML_SCHEMAS names. Without it the
keys that they require are looked for.
https://gitlab.com/gitlab-org/gitlab/-/tree/master/spec/fixtures/api/schemas/ml
"""

import copy
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.contract.raw import call
from tests.e2e.processes import Server

FOLDER = Path(os.environ.get("GITLAB_ML_SCHEMAS") or Path(__file__).parents[3] / "shared/facts/gitlab-schemas")
RUN_INFO = "run_id run_uuid user_id experiment_id status start_time artifact_uri lifecycle_stage"
EXPERIMENT = "experiment_id name artifact_location lifecycle_stage"
MODEL = "name description user_id"
VERSION = (
    "name version creation_timestamp last_updated_timestamp user_id current_stage description source run_id status "
    "status_message tags run_link aliases"
)
REQUIRED = {
    "get_experiment": ("experiment", EXPERIMENT),
    "list_experiments": ("experiments", EXPERIMENT),
    "search_experiments": ("experiments", EXPERIMENT),
    "run": ("run.info", RUN_INFO),
    "update_run": ("run_info", RUN_INFO),
    "search_runs": ("runs.info", RUN_INFO),
    "get_model": ("registered_model", MODEL),
    "list_models": ("registered_models", MODEL),
    "get_model_version": ("model_version", VERSION),
    "get_latest_versions": ("model_versions", VERSION),
}
PAGES = ("search_experiments", "search_runs", "list_models")


@pytest.fixture(scope="module")
def answers(server: Server) -> dict[str, Any]:
    """Ask for each thing in its barest form: nothing was said that need not be said."""
    made = call(server, "POST", "experiments/create", '{"name": "bare"}')["experiment_id"]
    run = call(server, "POST", "runs/create", json.dumps({"experiment_id": made}))
    run_id = run["run"]["info"]["run_id"]
    model = call(server, "POST", "registered-models/create", '{"name": "bare"}')
    version = call(server, "POST", "model-versions/create", '{"name": "bare"}')
    return {
        "get_experiment": call(server, "GET", f"experiments/get?experiment_id={made}"),
        "list_experiments": call(server, "GET", "experiments/list"),
        "search_experiments": call(server, "POST", "experiments/search", "{}"),
        "run": run,
        "update_run": call(server, "POST", "runs/update", json.dumps({"run_id": run_id, "status": "FINISHED"})),
        "search_runs": call(server, "POST", "runs/search", json.dumps({"experiment_ids": [made]})),
        "get_model": model,
        "list_models": call(server, "GET", "registered-models/search"),
        "get_model_version": version,
        "get_latest_versions": call(server, "POST", "registered-models/get-latest-versions", '{"name": "bare"}'),
    }


def found(answer: Any, way: str) -> list[Any]:
    things = [answer]
    for key in way.split("."):
        things = [inner for thing in things for inner in (thing[key] if isinstance(thing[key], list) else [thing[key]])]
    return things


@pytest.mark.parametrize("name", REQUIRED)
def test_every_required_key_is_there(answers: dict[str, Any], name: str) -> None:
    way, keys = REQUIRED[name]
    things = found(answers[name], way)
    assert things
    for thing in things:
        assert set(keys.split()) <= thing.keys()
    assert name not in PAGES or "next_page_token" in answers[name]


@pytest.mark.parametrize("name", REQUIRED)
def test_answers_validate_against_gitlabs_schemas(answers: dict[str, Any], name: str) -> None:
    file = FOLDER / f"{name}.json"
    if not file.exists():
        pytest.skip(f"GitLab's schemas are not at {FOLDER}; GITLAB_ML_SCHEMAS names their folder")
    answer = copy.deepcopy(answers[name])
    # Two things of which GitLab's own answers, or its pages, say otherwise than these schemas.
    for version in [answer.get("model_version"), *answer.get("model_versions", ())]:
        if version is not None:
            assert isinstance(version["user_id"], str)
            version["user_id"] = None
    if name in PAGES and answer["next_page_token"] is None:
        answer["next_page_token"] = ""
    jsonschema.Draft4Validator(json.loads(file.read_text())).validate(answer)

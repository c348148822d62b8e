"""Scorers and their versions: https://mlflow.org/docs/latest/genai/eval-monitor/scorers/."""

import json
from typing import Any

import pytest

from mltrail_server.domain import limits
from tests.api.traces.calls import delete, error, get, post
from tests.mlflow_client import INVALID, MISSING, Mlflow

JUDGE = json.dumps({"name": "tone", "instructions_judge_pydantic_data": {"model": "openai:/gpt-4.1"}})


def register(mlflow: Mlflow, name: str = "tone", *, experiment: str = "0", serialized: str = JUDGE) -> Any:
    return post(mlflow, "scorers/register", experiment_id=experiment, name=name, serialized_scorer=serialized)


def listed(answer: Any) -> list[tuple[int, str, int]]:
    return [(one["experiment_id"], one["scorer_name"], one["scorer_version"]) for one in answer.get("scorers", ())]


def test_a_scorer_gets_versions(mlflow: Mlflow) -> None:
    first, second = register(mlflow), register(mlflow, serialized=json.dumps({"name": "tone", "strict": True}))
    assert (first["version"], second["version"]) == (1, 2)
    assert first["scorer_id"] == second["scorer_id"]
    assert (first["experiment_id"], first["name"], first["serialized_scorer"]) == ("0", "tone", JUDGE)
    newest = get(mlflow, "scorers/get", experiment_id="0", name="tone")["scorer"]
    assert (newest["scorer_version"], newest["serialized_scorer"]) == (2, second["serialized_scorer"])
    old = get(mlflow, "scorers/get", experiment_id="0", name="tone", version=1)["scorer"]
    assert (old["serialized_scorer"], old["creation_time"]) == (JUDGE, first["creation_time"])
    versions = get(mlflow, "scorers/versions", experiment_id="0", name="tone")
    assert listed(versions) == [(0, "tone", 1), (0, "tone", 2)]


def test_lists_show_the_newest_version_of_each(mlflow: Mlflow) -> None:
    other = mlflow.post("experiments/create", name="other")["experiment_id"]
    gone = mlflow.post("experiments/create", name="gone")["experiment_id"]
    for name, experiment in (("b", "0"), ("a", "0"), ("b", "0"), ("a", other), ("a", gone)):
        register(mlflow, name, experiment=experiment)
    mlflow.post("experiments/delete", experiment_id=gone)
    here, there = [(0, "a", 1), (0, "b", 2)], [(int(other), "a", 1)]
    assert listed(get(mlflow, "scorers/list", experiment_id="0")) == here
    assert listed(get(mlflow, "scorers/list")) == here + there
    assert listed(get(mlflow, "scorers/list", experiment_ids=[other, gone, "999"])) == there
    assert error(mlflow, "GET", "scorers/list", experiment_id="0", experiment_ids=["0"])[:2] == INVALID
    assert error(mlflow, "GET", "scorers/list", experiment_id="999")[:2] == MISSING


def test_the_number_of_a_deleted_version_is_not_given_out_again(mlflow: Mlflow) -> None:
    register(mlflow)
    register(mlflow)
    delete(mlflow, "scorers/delete", experiment_id="0", name="tone", version=2)
    assert register(mlflow)["version"] == 3
    assert listed(get(mlflow, "scorers/versions", experiment_id="0", name="tone")) == [(0, "tone", 1), (0, "tone", 3)]


def test_a_deleted_scorer_is_gone_with_all_versions(mlflow: Mlflow) -> None:
    first = register(mlflow)
    register(mlflow)
    delete(mlflow, "scorers/delete", experiment_id="0", name="tone")
    assert get(mlflow, "scorers/list", experiment_id="0") == {}
    for path, version in (("get", {}), ("versions", {}), ("get", {"version": 1})):
        assert error(mlflow, "GET", f"scorers/{path}", experiment_id="0", name="tone", **version)[:2] == MISSING
    assert error(mlflow, "DELETE", "scorers/delete", experiment_id="0", name="tone")[:2] == MISSING
    again = register(mlflow)
    assert again["version"] == 1
    assert again["scorer_id"] != first["scorer_id"]


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"name": " "}, INVALID),
        ({"name": "n" * (limits.MAX_SCORER_NAME + 1)}, INVALID),
        ({"experiment_id": "999"}, MISSING),
        ({"experiment_id": "no number"}, INVALID),
        ({"serialized_scorer": "no JSON"}, INVALID),
        ({"serialized_scorer": "[]"}, INVALID),
        ({"serialized_scorer": json.dumps({"x": "y" * limits.MAX_SCORER})}, INVALID),
        ({"serialized_scorer": json.dumps({"judge": {"model": " "}})}, INVALID),
        ({"serialized_scorer": json.dumps({"judge": {"model": "gateway:/chat"}})}, MISSING),
        ({"serialized_scorer": None}, INVALID),
    ],
)
def test_scorers_that_are_refused(mlflow: Mlflow, fields: dict[str, Any], refused: tuple[int, str]) -> None:
    good = {"experiment_id": "0", "name": "tone", "serialized_scorer": JUDGE}
    assert error(mlflow, "POST", "scorers/register", **{**good, **fields})[:2] == refused
    assert get(mlflow, "scorers/list") == {}


def test_code_is_refused_wherever_a_scorer_hides_it(mlflow: Mlflow) -> None:
    """Whoever loads such a scorer would run the code."""
    inner = {"ensemble_scorer_data": {"scorers": [{"name": "a"}, {"call_source": "import os"}]}}
    fields = {"experiment_id": "0", "name": "tone", "serialized_scorer": json.dumps(inner)}
    status, code, message = error(mlflow, "POST", "scorers/register", **fields)
    assert (status, code) == INVALID
    assert "Keep the code in the repository" in message


def test_scorers_that_only_could_hold_code_are_kept(mlflow: Mlflow) -> None:
    """Clients write all fields of a scorer, also those that it does not use."""
    serialized = json.dumps({"name": "tone", "builtin_scorer_class": "Guidelines", "call_source": None})
    assert register(mlflow, serialized=serialized)["serialized_scorer"] == serialized


def test_no_scorer_runs_by_itself(mlflow: Mlflow) -> None:
    made = register(mlflow)
    assert get(mlflow, "scorers/online-configs", scorer_ids=[made["scorer_id"]]) == {"configs": []}
    fields = {"experiment_id": "0", "name": "tone", "sample_rate": 0.5}
    status, code, message = error(mlflow, "PUT", "scorers/online-config", **fields)
    assert (status, code) == (501, "NOT_IMPLEMENTED")
    assert "scheduled pipeline" in message

"""How large the step to the next version is, over a table of changes."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mltrail_server.domain.bump import Data, Facts, Step, decide, largest, requested_steps, signature_of
from mltrail_server.domain.semver import Bump


def field(name: str, kind: str = "double", **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, "required": True} | more


BEFORE = Facts(
    {"lr": "0.1", "seed": "1"},
    [field("age"), field("income")],
    [{"type": "long", "required": True}],
    "classification",
    "tree-1",
    {"training": Data("d1", "[age, income]")},
)


@pytest.mark.parametrize(
    ("changes", "bump", "reason"),
    [
        ({}, Bump.PATCH, "the same parameters, trained again"),
        ({"params": {"lr": "0.1", "seed": "2"}}, Bump.PATCH, "the same parameters, trained again"),
        ({"data": {"training": Data("d2", "[age, income]")}}, Bump.PATCH, "new training data"),
        ({"params": {"lr": "0.2", "seed": "1"}}, Bump.MINOR, "lr 0.1 → 0.2"),
        ({"params": {"seed": "1"}}, Bump.MINOR, "lr 0.1 → (unset)"),
        ({"tree": "tree-2"}, Bump.MINOR, "other code"),
        ({"tree": None}, Bump.MINOR, "other code"),
        ({"data": {"training": Data("d2", "[age]")}}, Bump.MINOR, "other columns in the training data"),
        (
            {"inputs": [field("age"), field("income"), field("zip", required=False)]},
            Bump.MINOR,
            "a new optional input",
        ),
        ({"inputs": [field("age")]}, Bump.MAJOR, "input income is gone"),
        ({"inputs": [field("age"), field("salary")]}, Bump.MAJOR, "input income is gone, input salary is new and requ"),
        ({"inputs": [field("age", "string"), field("income")]}, Bump.MAJOR, "input age is of another type"),
        ({"outputs": [{"type": "string", "required": True}]}, Bump.MAJOR, "other outputs"),
        ({"inputs": None}, Bump.MAJOR, "the signature is gone"),
        ({"task": "regression"}, Bump.MAJOR, "the task is regression, it was classification"),
        ({"task": "regression", "tree": "x", "params": {}}, Bump.MAJOR, "the task is regression"),
    ],
)
def test_the_largest_change_decides(changes: dict[str, Any], bump: Bump, reason: str) -> None:
    step = decide(BEFORE, replace(BEFORE, **changes))
    assert step.bump is bump
    assert step.reason.startswith(reason)


def test_a_signature_where_there_was_none_breaks_nobody() -> None:
    assert decide(replace(BEFORE, inputs=None, outputs=None), BEFORE).bump is Bump.MINOR


def test_columns_in_another_order_are_the_same_ones() -> None:
    assert decide(BEFORE, replace(BEFORE, inputs=[field("income"), field("age")])).bump is Bump.PATCH


def test_the_contract_names_chance_and_the_models_own_files() -> None:
    other = replace(BEFORE, params={"lr": "0.1", "seed": "1", "fold": "2"}, tree="tree-2")
    step = decide(BEFORE, other, chance=frozenset({"seed", "fold"}), same_code=True)
    assert step.bump is Bump.PATCH


def test_many_changes_are_shortened() -> None:
    step = decide(replace(BEFORE, params={}), replace(BEFORE, params=dict.fromkeys("abcde", "1")))
    assert step.reason == "a (unset) → 1, b (unset) → 1, c (unset) → 1 and 2 more"
    step = decide(replace(BEFORE, params={}), replace(BEFORE, params=dict.fromkeys("abcd", "1")))
    assert step.reason == "a (unset) → 1, b (unset) → 1, c (unset) → 1, d (unset) → 1"


@pytest.mark.parametrize(
    ("labels", "messages", "bump"),
    [
        (["model::major"], [], Bump.MAJOR),
        (["Model::Minor", "bug"], [], Bump.MINOR),
        ([], ["Fix it\n\nModel-Bump: major\nReviewed-by: A"], Bump.MAJOR),
        ([], ["Talk of Model-Bump: major in a sentence"], Bump.PATCH),
        (["model::patch"], ["x\n\nModel-Bump: minor"], Bump.MINOR),
    ],
)
def test_labels_and_trailers_raise_it(labels: list[str], messages: list[str], bump: Bump) -> None:
    assert largest(Step(Bump.PATCH, "as it is"), requested_steps(labels, messages)).bump is bump


def test_and_never_lower_it() -> None:
    step = Step(Bump.MAJOR, "input age is gone")
    assert largest(step, requested_steps(["model::patch"], ["x\n\nModel-Bump: minor"])) == step


def test_a_signature_is_read_from_an_mlmodel_file() -> None:
    inputs = [field("age")]
    model = {
        "flavors": {"python_function": {}, "transformers": {"task": "fill-mask"}},
        "signature": {"inputs": json.dumps(inputs), "outputs": None, "params": None},
    }
    assert signature_of(model) == (inputs, None, "fill-mask")


@pytest.mark.parametrize("model", [{}, {"signature": []}, {"flavors": 1, "signature": {"inputs": "[["}}])
def test_what_can_not_be_read_is_no_signature(model: dict[str, Any]) -> None:
    assert signature_of(model) == (None, None, None)

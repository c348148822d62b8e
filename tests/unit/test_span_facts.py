"""What spans say of their trace: MLflow's previews and sums, and other libraries' names for the same things."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from mltrail_server.domain import semantic_conventions, span_facts


@dataclass(frozen=True)
class Step:
    id: str
    parent_id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


def used(number: int, **more: int) -> dict[str, Any]:
    return {span_facts.TOKENS: {"input_tokens": number, "output_tokens": 1, "total_tokens": number + 1, **more}}


def test_a_parent_that_has_a_sum_speaks_for_all_below_it() -> None:
    """Some libraries set the sum of their children on the parent, others only say what each call took."""
    steps = [
        Step("root"),
        Step("agent", "root", used(30)),
        Step("call", "agent"),
        Step("llm", "call", used(10)),
        Step("other", "root", used(5, cache_read_input_tokens=2)),
        Step("orphan", "not sent yet", used(1)),
    ]
    wanted = {"input_tokens": 36, "output_tokens": 3, "total_tokens": 39, "cache_read_input_tokens": 2}
    assert span_facts.tokens(steps) == wanted
    assert span_facts.tokens(steps[::-1]) == wanted, "in whichever order they come"
    assert span_facts.tokens([Step("root")]) == {}


def test_ids_that_form_a_circle_and_deep_trees_end() -> None:
    span_facts.tokens([Step("a", "b", used(1)), Step("b", "a", used(2)), Step("c", "c", used(3))])
    deep = [Step("0", None, used(1)), *(Step(str(one), str(one - 1), used(1)) for one in range(1, 20_000))]
    assert span_facts.tokens(deep)["input_tokens"] == 1


def test_costs_are_numbers_only() -> None:
    costs = {span_facts.COST: {"input_cost": 0.5, "output_cost": float("nan"), "total_cost": "much", "x": 1}}
    assert span_facts.cost([Step("a", None, costs)]) == {"input_cost": 0.5, "output_cost": 0.0, "total_cost": 0.0}
    assert span_facts.cost([Step("a", None, {span_facts.COST: "free"})]) == {}


@pytest.mark.parametrize(
    ("value", "role", "wanted"),
    [
        ({"x": "ä"}, "user", '{"x": "ä"}'),
        ("text", "user", '"text"'),
        (None, "user", "null"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "user", "a"),
        ({"messages": [{"role": "system", "content": "a"}]}, "user", "a"),
        ({"choices": [{"message": {"role": "assistant", "content": "b"}}]}, "assistant", "b"),
        ({"request": {"input": [{"role": "user", "content": [{"type": "text", "text": "c"}]}]}}, "user", "c"),
        ({"messages": "none"}, "user", '{"messages": "none"}'),
        ({"messages": []}, "user", '{"messages": []}'),
        ("a\x00b", "user", json.dumps("a\x00b")),
        ("x" * 2000, "user", '"' + "x" * 996 + "..."),
    ],
)
def test_previews(value: Any, role: str, wanted: str) -> None:
    assert span_facts.preview(value, role) == wanted


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"a": 1}, {}),
        ({"gen_ai.operation.name": "chat"}, {"mlflow.spanType": "CHAT_MODEL"}),
        ({"gen_ai.operation.name": "chat", "mlflow.spanType": "TOOL"}, {}),
        ({"openinference.span.kind": "AGENT", "mlflow.spanType": "UNKNOWN"}, {"mlflow.spanType": "AGENT"}),
        ({"openinference.span.kind": ["odd"]}, {}),
        ({"input.value": {"q": 1}, "output.value": "a"}, {"mlflow.spanInputs": {"q": 1}, "mlflow.spanOutputs": "a"}),
        ({"input.value": "x", "mlflow.spanInputs": None}, {}),
        (
            {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": "4"},
            {"mlflow.chat.tokenUsage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}},
        ),
        ({"gen_ai.usage.input_tokens": True, "gen_ai.usage.output_tokens": "many"}, {}),
        ({"llm.token_count.total": 9}, {"mlflow.chat.tokenUsage": {"total_tokens": 9}}),
        (
            {"gen_ai.request.model": "small", "gen_ai.system": "local"},
            {"mlflow.llm.model": "small", "mlflow.llm.provider": "local"},
        ),
    ],
)
def test_other_libraries_names(given: dict[str, Any], found: dict[str, Any]) -> None:
    assert semantic_conventions.translated(given) == found

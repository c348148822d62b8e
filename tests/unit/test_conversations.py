"""Chat messages are recognized in the shapes of providers and frameworks, and nothing else is taken for them."""

from typing import Any

import pytest

from mltrail_server.ui import conversation, values
from mltrail_server.ui.conversation import Message

HI = Message("user", "Hi")
RETURNED = {"type": "function_call_output", "output": "7"}
USE = {"type": "tool_use", "name": "f", "input": 1}
SHAPES: list[tuple[Any, list[Message]]] = [
    # OpenAI's chat completions: https://platform.openai.com/docs/api-reference/chat
    ({"messages": [{"role": "user", "content": "Hi"}]}, [HI]),
    ({"choices": [{"message": {"role": "assistant", "content": "Hello"}}]}, [Message("assistant", "Hello")]),
    (
        [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}],
        [Message("assistant", "", (("f", "{}"),))],
    ),
    ([{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {}}]}],
     [Message("user", "Hi\n[picture]")]),
    # OpenAI's responses: https://platform.openai.com/docs/api-reference/responses
    ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]}, [HI]),
    (
        {"output": [{"type": "function_call", "name": "f", "arguments": "{}"}, RETURNED]},
        [Message("assistant", "", (("f", "{}"),)), Message("tool", "7")],
    ),
    # Anthropic's: https://docs.anthropic.com/en/api/messages
    (
        {"role": "assistant", "content": [{"type": "text", "text": "Well"}, USE]},
        [Message("assistant", "Well", (("f", "1"),))],
    ),
    # Gemini's: https://ai.google.dev/api/generate-content
    ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, [HI]),
    ({"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}}]}, [Message("assistant", "Hello")]),
    # LangChain's: https://docs.langchain.com/oss/python/langchain/messages
    ([[{"type": "human", "content": "Hi"}, {"type": "ai", "content": "Hello"}]], [HI, Message("assistant", "Hello")]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "messages"), SHAPES)
def test_a_conversation_is_recognized(value: Any, messages: list[Message]) -> None:
    found = conversation.read(value)
    assert found
    assert found.messages == messages


@pytest.mark.parametrize(
    "value",
    [None, 1, "Hi", [], {}, [1], {"messages": []}, {"messages": [1]}, {"role": 1, "content": 2}, {"role": "owner"},
     {"type": "table", "content": "x"}, [{"role": "user", "content": "x"}, "y"], {"content": "x"}],
)  # fmt: skip
def test_other_values_are_no_conversation(value: Any) -> None:
    assert conversation.read(value) is None


def test_what_else_was_sent_is_kept() -> None:
    found = conversation.read({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    assert found
    assert found.rest == {"model": "m"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "none"),
        ("text", "text"),
        (True, "text"),
        (1.5, "text"),
        ({"question": "why", "k": 3}, "fields"),
        ({"question": ["why"]}, "json"),
        ([1, 2], "json"),
        ({}, "json"),
        ([{"role": "user", "content": "Hi"}], "messages"),
    ],
)
def test_each_value_has_a_form(value: Any, kind: str) -> None:
    assert values.shown(value).kind == kind


def test_only_the_beginning_of_a_huge_value_is_written() -> None:
    shown = values.shown({"rows": [["x"] * 100] * 1000}, most=500)
    assert shown.cut
    assert len(shown.json) <= 500
    shown = values.shown([{"role": "user", "content": "x" * 1000}] * 100, most=500)
    assert sum(len(one.text) for one in shown.messages) == 500


def test_deep_nesting_is_no_error() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert values.shown(value).cut


@pytest.mark.parametrize(
    ("preview", "brief"),
    [
        (None, ""),
        ("not JSON {", "not JSON {"),
        ('"an answer"', "an answer"),
        ('{"question": "why?"}', "why?"),
        ('{"a": 1, "b": 2}', '{"a": 1, "b": 2}'),
        ('{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Hi"}]}', "Hi"),
    ],
)
def test_a_preview_says_what_was_asked(preview: str | None, brief: str) -> None:
    assert values.brief(values.parsed(preview)) == brief

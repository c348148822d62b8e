"""Recognize chat messages in what a span got or returned, in the shapes of the usual providers and frameworks.

Anybody may have sent anything: what is not clearly a conversation is none, and is shown as it is.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

MOST = 200
"""How many messages are shown."""
_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "developer": "system", "function": "tool"}
_KNOWN = frozenset({"user", "assistant", "system", "tool"})
_LISTS = ("messages", "choices", "input", "output", "contents", "candidates", "generations")


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `calls` are the tools that it asks for, with their arguments."""

    role: str
    text: str
    calls: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> str:
        """A role that pages have a look for, or nothing."""
        return self.role if self.role in _KNOWN else ""


@dataclass(frozen=True, slots=True)
class Conversation:
    messages: list[Message]
    rest: dict[str, Any]  # what else there was, such as the model's settings


def read(value: object) -> Conversation | None:
    """Return the conversation in a value, or None if it holds none."""
    if isinstance(value, list):
        found = _messages(value)
        return Conversation(found, {}) if found else None
    if not isinstance(value, dict):
        return None
    for key in _LISTS:
        listed = value.get(key)
        found = _messages(listed) if isinstance(listed, list) else []
        if found:
            return Conversation(found, {name: one for name, one in value.items() if name != key})
    alone = _message(value)
    return Conversation([alone], {}) if alone else None


def _messages(listed: list[Any]) -> list[Message]:
    """Read all messages of a list; none if it contains anything else."""
    while len(listed) == 1 and isinstance(listed[0], list):
        listed = listed[0]
    found = [_message(_unwrapped(one)) for one in islice(listed, MOST)]
    return [one for one in found if one is not None] if found and None not in found else []


def _unwrapped(one: object) -> object:
    """Take a message out of a choice or a candidate of several answers."""
    if isinstance(one, dict):
        for key in ("message", "delta", "content"):
            inner = one.get(key)
            if isinstance(inner, dict) and ("role" in inner or "type" in inner):
                return inner
    return one


def _message(one: object) -> Message | None:
    if not isinstance(one, dict):
        return None
    if one.get("type") in ("function_call", "function_call_output"):
        return _function(one)
    role = one.get("role", one.get("type"))
    if not isinstance(role, str) or ("role" not in one and role not in {*_ROLES, *_KNOWN}):
        return None
    calls = one.get("tool_calls")
    if not any(key in one for key in ("content", "parts", "tool_calls", "text", "refusal")):
        return None
    content = next((one[key] for key in ("content", "parts", "text", "refusal") if one.get(key)), "")
    asked = [_call(call) for call in islice(calls, MOST)] if isinstance(calls, list) else []
    text, inside = _text(content)
    return Message(_ROLES.get(role, role), text, (*inside, *asked))


def _function(one: Mapping[str, Any]) -> Message:
    if one["type"] == "function_call":
        return Message("assistant", "", (_call(one),))
    return Message("tool", _plain(one.get("output", "")))


def _text(content: object) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Join the parts of a message's content. Parts that ask for a tool are returned apart."""
    if not isinstance(content, list):
        return _plain(content), ()
    texts, calls = [], []
    for part in islice(content, MOST):
        if isinstance(part, dict) and part.get("type") == "tool_use":
            calls.append(_call(part))
        else:
            texts.append(_part(part))
    return "\n".join(texts), tuple(calls)


def _part(part: object) -> str:
    if not isinstance(part, dict):
        return _plain(part)
    for key in ("text", "input_text", "output_text", "thinking", "content"):
        if isinstance(part.get(key), str):
            return str(part[key])
    if "image" in str(part.get("type", "")):
        return "[picture]"
    return _plain(part)


def _call(call: object) -> tuple[str, str]:
    if not isinstance(call, dict):
        return "", _plain(call)
    inner = call.get("function")
    function: Mapping[str, Any] = inner if isinstance(inner, dict) else call
    given: Iterable[object] = (function.get(key) for key in ("arguments", "args", "input"))
    return _plain(function.get("name", "")), _plain(next((one for one in given if one is not None), ""))


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except (TypeError, ValueError, RecursionError):
        return str(type(value).__name__)

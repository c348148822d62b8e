"""Show any JSON value that a client sent: as a conversation, as text, as fields, or as indented JSON. Never all of a
huge one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from mltrail_server.domain import json_text

from . import conversation
from .conversation import Message

MOST = 50_000
"""Characters of one value on a page."""
_MOST_FIELDS = 20


@dataclass(frozen=True, slots=True)
class ShownValue:
    """`kind` says which of the others is shown first: messages, fields, text, json or none. `cut` is set if only the
    beginning of the value is here.
    """

    kind: str
    text: str = ""
    json: str = ""
    messages: list[Message] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)
    rest: str = ""
    cut: bool = False


def shown(value: object, most: int = MOST) -> ShownValue:
    if value is None:
        return ShownValue("none")
    if isinstance(value, str):
        return ShownValue("text", text=value[:most], cut=len(value) > most)
    whole, cut = indented(value, most)
    chat = conversation.read(value)
    if chat:
        rest = indented(chat.rest, most)[0] if chat.rest else ""
        messages, left = [], most
        for one in chat.messages:
            messages.append(Message(one.role, one.text[:left], tuple((name, text[:left]) for name, text in one.calls)))
            left = max(0, left - len(one.text))
        return ShownValue("messages", messages=messages, json=whole, rest=rest, cut=cut)
    if isinstance(value, dict) and 0 < len(value) <= _MOST_FIELDS and all(map(_is_plain, value.values())):
        fields = [(str(key), line(one)[:most]) for key, one in value.items()]
        return ShownValue("fields", fields=fields, json=whole, cut=cut)
    if isinstance(value, (bool, int, float)):
        return ShownValue("text", text=whole)
    return ShownValue("json", json=whole, cut=cut)


def line(value: object, most: int = MOST) -> str:
    """Write a value in a line: a text as it is, anything else as JSON."""
    if value is None:
        return ""
    return value[:most] if isinstance(value, str) else indented(value, most, spaces=None)[0]


def brief(value: object, most: int = 300) -> str:
    """Write what a value says in the width of a table's cell: the last message, or the only field."""
    chat = conversation.read(value)
    if chat:
        return chat.messages[-1].text[:most]
    if isinstance(value, Mapping) and len(value) == 1:
        return line(next(iter(value.values())), most)
    return line(value, most)


def indented(value: object, most: int = MOST, *, spaces: int | None = 2) -> tuple[str, bool]:
    """Write JSON up to this many characters, and whether that was not all. Stops there, however much there is."""
    encoder = json.JSONEncoder(indent=spaces, ensure_ascii=False, default=str)
    parts: list[str] = []
    length = 0
    try:
        for part in encoder.iterencode(value):
            parts.append(part)
            length += len(part)
            if length > most:
                break
    except (ValueError, RecursionError):
        return "Nested too deeply to be shown.", True
    return "".join(parts)[:most], length > most


def parsed(text: str | None) -> object:
    """Read a preview, which is JSON, or the beginning of it, or just text."""
    if text is None:
        return None
    try:
        found: object = json_text.loads(text)
    except (ValueError, RecursionError):
        return text
    return found


def pairs(text: str | None) -> dict[str, object]:
    """Read a JSON object; empty if it is none."""
    found = parsed(text)
    return dict(islice(found.items(), 100)) if isinstance(found, dict) else {}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, bool, int, float))

"""What a page says after a form: one sentence that names the things, and often a button that takes the change back.

A message travels to the next page in the session's signed cookie, for which browsers allow 4 kB. So only the newest is
kept, a long text is cut, and a change whose former value is long can't be taken back by a button.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from flask import session

_MOST_TEXT = 600
_MOST_BYTES = 1100
"""Of text and undo each, as JSON: both, in base64, are three quarters of a cookie."""
_MOST_NAME = 80
_KEY = "message"


@dataclass(frozen=True, slots=True)
class Undo:
    """The form whose button takes a change back: where it is sent, as a path below the project's pages, and what it
    contains besides the session's token.
    """

    below: str
    fields: Mapping[str, str]
    label: str = "Undo"


@dataclass(frozen=True, slots=True)
class Message:
    """`kind` is success or danger. `url` and `fields` are those of the undo's form; without a label there is none."""

    kind: str
    text: str
    url: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    label: str = ""


def say(text: str, *, pages: str = "", undo: Undo | None = None) -> None:
    """Let the next page say what was done. `pages` is the path of the project's pages."""
    message = Message("success", _cut(text))
    if undo is not None and _size(dict(undo.fields)) <= _MOST_BYTES:
        message = Message("success", message.text, f"{pages}/{undo.below}", dict(undo.fields), undo.label)
    session[_KEY] = asdict(message)


def refuse(text: str) -> None:
    """Let the next page say why nothing was done."""
    session[_KEY] = asdict(Message("danger", _cut(text)))


def take() -> Message | None:
    """Return the message that waits for this browser, which is then shown no more."""
    waiting = session.pop(_KEY, None)
    return Message(**waiting) if waiting else None


def quoted(name: str) -> str:
    """Put a name into a sentence, shortened if it is long."""
    return f"“{name if len(name) <= _MOST_NAME else name[:_MOST_NAME] + '…'}”"


def _cut(text: str) -> str:
    short = text[:_MOST_TEXT]
    while _size(short) > _MOST_BYTES:
        short = short[: len(short) * 3 // 4]
    return short if short == text else short + "…"


def _size(value: object) -> int:
    return len(json.dumps(value))

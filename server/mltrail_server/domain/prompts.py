"""Prompts that runs have loaded, as MLflow's prompt registry stores them, and what has changed in them.

https://mlflow.org/docs/latest/genai/prompt-registry/
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from .word_diff import Change, Diff, word_diff

LINKED_TAG = "mlflow.linkedPrompts"
"""A run's tag: a JSON list of the names and versions of the prompts that it has loaded."""

TEXT_TAG = "mlflow.prompt.text"
TYPE_TAG = "_mlflow_prompt_type"
MODEL_TAG = "_mlflow_prompt_model_config"
FORMAT_TAG = "_mlflow_prompt_response_format"
TAGS = (TEXT_TAG, TYPE_TAG, MODEL_TAG, FORMAT_TAG)
"""Tags of a prompt's version."""

_CHAT = "chat"
_MOST_LINKED = 100
_MOST_DIGITS = 18  # fit 64 bits
_LONGEST = 20_000
"""More characters of a prompt than these are not compared for a note: its page shows all of it."""


class Linked(NamedTuple):
    name: str
    number: int


class Prompt(NamedTuple):
    """One version of a prompt. `text` is what people read, and `settings` are those for the model."""

    text: str
    settings: str = ""


@dataclass(frozen=True, slots=True)
class PromptChange:
    """The versions of one prompt that the baseline's run has loaded, and those that this side's has.

    `before` and `now` are their texts, where each side has loaded one version and the registry still has it.
    """

    name: str
    old: tuple[int, ...]
    new: tuple[int, ...]
    before: Prompt | None = None
    now: Prompt | None = None

    @property
    def is_same_version(self) -> bool:
        return self.old == self.new

    @property
    def is_same(self) -> bool:
        """Whether the registry says that another version has the same text and settings."""
        return self.is_same_version or (self.before is not None and self.before == self.now)

    @property
    def has_same_text(self) -> bool | None:
        """None if that is not known, or if not each side has loaded one version."""
        if self.is_same_version:
            return True
        return None if self.before is None or self.now is None else self.before.text == self.now.text

    @property
    def gone(self) -> tuple[int, ...]:
        """The versions that should be compared and that the registry does not have any more."""
        if self.is_same_version or len(self.old) != 1 or len(self.new) != 1:
            return ()
        return (*(self.old if self.before is None else ()), *(self.new if self.now is None else ()))

    @property
    def versions(self) -> str:
        """`version 3 → 4`, `version 4, new`, `version 3, no longer loaded`."""
        if not self.old:
            return f"{_versions(self.new)}, new"
        if not self.new:
            return f"{_versions(self.old)}, no longer loaded"
        if self.is_same_version:
            return _versions(self.new)
        return f"{_versions(self.old)} → {_numbers(self.new)}"

    @property
    def changed_lines(self) -> list[Diff]:
        """The lines of the text in which something has changed, each as runs of text."""
        if self.before is None or self.now is None:
            return []
        return _changed_lines(word_diff(self.before.text[:_LONGEST], self.now.text[:_LONGEST]))


def linked(tag: str | None) -> list[Linked]:
    """Read a run's tag; what can't be read is left out."""
    found = _decoded(tag)
    listed = [_linked(one) for one in found[:_MOST_LINKED]] if isinstance(found, list) else []
    return sorted({one for one in listed if one is not None})


def prompt_of(tags: Mapping[str, str]) -> Prompt:
    """Make what people read of the tags of a version: of a chat, each message below its role."""
    messages = "\n\n".join(f"{role}:\n{said}" for role, said in messages_of(tags))
    return Prompt(
        messages or tags.get(TEXT_TAG, ""), "\n".join(tags[key] for key in (MODEL_TAG, FORMAT_TAG) if key in tags)
    )


def messages_of(tags: Mapping[str, str]) -> list[tuple[str, str]]:
    """Read the role and the content of each message of a chat. Empty if it is none, or is shown as it is stored."""
    found = _decoded(tags.get(TEXT_TAG)) if tags.get(TYPE_TAG) == _CHAT else None
    if isinstance(found, list) and all(isinstance(one, dict) for one in found):
        with suppress(RecursionError):
            return [(_plain(one.get("role", "")), _plain(one.get("content", ""))) for one in found]
    return []


def changes(
    before: Sequence[Linked], now: Sequence[Linked], texts: Mapping[Linked, Prompt]
) -> tuple[PromptChange, ...]:
    """Compare the prompts that two runs have loaded, those that differ first."""
    found = []
    for name in sorted({one.name for one in (*before, *now)}):
        old, new = ([one for one in side if one.name == name] for side in (before, now))
        single = len(old) == len(new) == 1
        found.append(
            PromptChange(
                name,
                tuple(one.number for one in old),
                tuple(one.number for one in new),
                texts.get(old[0]) if single else None,
                texts.get(new[0]) if single else None,
            )
        )
    return tuple(sorted(found, key=lambda one: one.is_same))


def _linked(one: object) -> Linked | None:
    if not isinstance(one, dict):
        return None
    name, version = one.get("name"), str(one.get("version"))
    is_number = version.isascii() and version.isdigit() and len(version) <= _MOST_DIGITS
    return Linked(name, int(version)) if isinstance(name, str) and is_number else None


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _decoded(text: str | None) -> object:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _versions(numbers: Sequence[int]) -> str:
    return f"version {numbers[0]}" if len(numbers) == 1 else f"versions {_numbers(numbers)}"


def _changed_lines(diff: Diff) -> list[Diff]:
    lines: list[Diff] = [[]]
    for change, text in _beside_each_other(diff):
        first, *others = text.split("\n")
        if first:
            lines[-1].append((change, first))
        lines += [[(change, one)] if one else [] for one in others]
    return [line for line in lines if any(change is not Change.SAME for change, _ in line)]


def _beside_each_other(diff: Diff) -> Diff:
    """Put what was added after the first line that was removed, whose place it has taken."""
    found: Diff = []
    for change, text in diff:
        if change is Change.ADDED and found and found[-1][0] is Change.REMOVED and "\n" in found[-1][1]:
            (_, removed), (first, mark, rest) = found.pop(), text.partition("\n")
            line, _, others = removed.partition("\n")
            found += [(Change.REMOVED, line), (Change.ADDED, first), (Change.REMOVED, f"\n{others}")]
            found += [(Change.ADDED, f"{mark}{rest}")] if mark else []
        else:
            found.append((change, text))
    return found

"""The prompts that a model's runs have loaded, in a note: which versions, and which words have changed."""

import re
from collections.abc import Sequence
from typing import Any

from mltrail_server.domain.markdown import Markdown, code, link
from mltrail_server.domain.numbers import count
from mltrail_server.domain.prompts import PromptChange
from mltrail_server.domain.word_diff import Change, Diff
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.prompts import prompt_url

from .cells import Page

_MOST_PROMPTS = 8
_MOST_COMPARED = 3
_MOST_LINES = 8
_MOST_CHANGED = 240
_CONTEXT = 40
"""So many characters of what has not changed are shown before and after a change."""

_LONGEST_WORD = 24
"""A phone's line has room for no longer one, and a code span does not break inside words."""

_MARKS = {Change.SAME: "{}", Change.REMOVED: "~~{}~~", Change.ADDED: "<ins>{}</ins>"}
# Bold may not show, since some versions of GitLab write all code in one weight.
_LEGEND = Markdown("~~Struck out~~ is gone, <ins>underlined</ins> is new.")
_UNSEEN = Markdown("only spaces, line breaks or invisible characters have changed")


def folded(page: Page, model: ModelReport) -> dict[str, Any] | None:
    """Write the folded part about prompts; None if no run has loaded any."""
    if not model.prompts:
        return None
    compared = [one for one in model.prompts if one.before is not None and not one.is_same][:_MOST_COMPARED]
    same = [one for one in model.prompts if one.is_same]
    shown = [one for one in model.prompts if not one.is_same][:_MOST_PROMPTS]
    left = len(model.prompts) - len(shown) - len(same)
    more = [f"and {count(left, 'more prompt')}"] if left else []
    if same:
        more.append(_unchanged(page, same))
    prompts = [_prompt(page, one, compared=one in compared) for one in shown]
    return {
        "summary": Markdown(_summary(model.prompts)),
        "legend": _LEGEND if any(one["lines"] for one in prompts) else None,
        "prompts": prompts,
        "more": Markdown("; ".join(more)) if more else None,
    }


def _summary(prompts: Sequence[PromptChange]) -> str:
    """Say how many prompts have changed. It contains no name: a summary is HTML."""
    new = sum(not one.old for one in prompts)
    gone = sum(not one.new for one in prompts)
    same = sum(one.is_same for one in prompts)
    changed = len(prompts) - new - gone - same
    counted = ((changed, "changed"), (new, "new"), (gone, "no longer loaded"), (same, "unchanged"))
    return f"Prompts: {', '.join(f'{number} {word}' for number, word in counted if number)}"


def _unchanged(page: Page, same: Sequence[PromptChange]) -> str:
    named = [
        f"{_link(page, one)} ({one.versions}{'' if one.is_same_version else ', same text'})"
        for one in same[:_MOST_PROMPTS]
    ]
    more = f" and {len(same) - len(named)} more" if len(same) > len(named) else ""
    return f"Unchanged: {', '.join(named)}{more}"


def _prompt(page: Page, one: PromptChange, *, compared: bool) -> dict[str, Any]:
    lines = _lines(one) if page.detail and compared else []
    return {"title": Markdown(f"{_link(page, one)}, {one.versions}{_said(one)}{':' if lines else '.'}"), "lines": lines}


def _said(one: PromptChange) -> str:
    if one.gone:
        which = f"version {one.gone[0]} is not" if len(one.gone) == 1 else "neither version is"
        return f": not compared, since {which} in the registry any more"
    if one.before is None or one.now is None or one.before.settings == one.now.settings:
        return ""
    return f": {'the same text, but ' if one.before.text == one.now.text else ''}different model settings"


def _link(page: Page, one: PromptChange) -> Markdown:
    return link(code(one.name), prompt_url(page.settings, page.path, one))


def _lines(one: PromptChange) -> list[Markdown]:
    changed = one.changed_lines
    listed = [_line(line) for line in changed[:_MOST_LINES]]
    if len(changed) > _MOST_LINES:
        listed.append(Markdown(f"and {count(len(changed) - _MOST_LINES, 'more line')}"))
    if not changed and one.before is not None and one.now is not None and one.before.text != one.now.text:
        listed.append(Markdown("only what comes after the first 20,000 characters has changed"))
    return listed


def _line(line: Diff) -> Markdown:
    pieces = []
    for place, (change, text) in enumerate(line):
        if change is Change.SAME:
            pieces.append(_context(text, first=place == 0, last=place == len(line) - 1))
        else:
            pieces.append(_MARKS[change].format(_code(text, _MOST_CHANGED)) if _is_seen(text) else "")
    if all(not _is_seen(text) for change, text in line if change is not Change.SAME):
        pieces.append(f"({_UNSEEN})")
    return Markdown(" ".join(piece for piece in pieces if piece))


def _context(text: str, *, first: bool, last: bool) -> str:
    """Show what is next to a change, and leave out the rest."""
    if not re.search(r"\w", text):
        return ""
    before = "" if first else _cut(text, _CONTEXT)
    after = "" if last else _cut(text[::-1], _CONTEXT)[::-1]
    if before and after and len(text) <= 2 * _CONTEXT:
        return _code(text, 2 * _CONTEXT)
    shown = [_code(part, _CONTEXT) for part in (before, after) if _is_seen(part)]
    more = "" if len(text) <= _CONTEXT else "…"
    if first:
        return f"{more} {' '.join(shown)}".strip()
    return f"{f' {more} '.join(shown)}{f' {more}' if last else ''}".strip()


def _cut(text: str, most: int) -> str:
    """Return a text's beginning, up to the end of a word."""
    if len(text) <= most:
        return text
    return text[:most].rpartition(" ")[0] or text[:most]


def _code(text: str, most: int) -> str:
    """Write text as code that a phone can break, also inside a long word."""
    shown = text if len(text) <= most else f"{_cut(text, most)}…"
    parts: list[str] = []
    for word in re.split(rf"(\S{{{_LONGEST_WORD + 1},}})", shown):
        if len(word) > _LONGEST_WORD and not re.search(r"\s", word):
            chunks = [word[start : start + _LONGEST_WORD] for start in range(0, len(word), _LONGEST_WORD)]
            parts.append("<wbr>".join(code(chunk) for chunk in chunks if _is_seen(chunk)))
        elif _is_seen(word):
            parts.append(code(word, most=most + 1))
    return " ".join(part for part in parts if part)


def _is_seen(text: str) -> bool:
    return code(text) != code("")

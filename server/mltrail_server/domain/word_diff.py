"""What differs between two texts, word by word, as people read it.

The shortest edit is searched with Myers' algorithm: http://www.xmailserver.org/diff2.pdf. Its time grows with the
product of length and difference, and the texts may be anybody's, so the search has a budget: what is too different is
compared line by line, and then as a whole.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_STEPS = 400_000
"""Takes at most about a third of a second."""


class Change(StrEnum):
    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


Diff = list[tuple[Change, str]]


@dataclass(slots=True)
class _Budget:
    steps: int

    def spend(self, steps: int) -> bool:
        """Return whether there was enough left."""
        self.steps -= steps
        return self.steps >= 0


def word_diff(before: str, after: str) -> Diff:
    """Return runs of text that are in both, only in `before` or only in `after`. What was removed comes before what was
    added in its place. Without the added runs the texts join to `before`, without the removed ones to `after`.
    """
    budget = _Budget(_STEPS)
    found = _diff(_WORDS.findall(before), _WORDS.findall(after), budget)
    if found is None:
        found = _by_lines(before, after, budget)
    return _tidied(found)


def _by_lines(before: str, after: str, budget: _Budget) -> Diff:
    """Compare lines, and then the words of those that were replaced, as far as the budget goes."""
    budget.steps = _STEPS
    lines = _diff(_LINES.findall(before), _LINES.findall(after), budget)
    if lines is None:
        return [(Change.REMOVED, before), (Change.ADDED, after)]
    found: Diff = []
    for kind, text in _joined(lines):
        replaced = kind is Change.ADDED and bool(found) and found[-1][0] is Change.REMOVED
        words = _diff(_WORDS.findall(found[-1][1]), _WORDS.findall(text), budget) if replaced else None
        if words is None:
            found.append((kind, text))
        else:
            found[-1:] = words
    return found


def _diff(before: Sequence[str], after: Sequence[str], budget: _Budget) -> Diff | None:
    """Compare two sequences; None if that would take too long."""
    most = min(len(before), len(after))
    head = next((place for place in range(most) if before[place] != after[place]), most)
    most -= head
    tail = next((place for place in range(most) if before[-1 - place] != after[-1 - place]), most)
    edit = _shortest(before[head : len(before) - tail], after[head : len(after) - tail], budget)
    if edit is None:
        return None
    same = (
        [(Change.SAME, text) for text in before[:head]],
        [(Change.SAME, text) for text in before[len(before) - tail :]],
    )
    return [*same[0], *edit, *same[1]]


def _shortest(before: Sequence[str], after: Sequence[str], budget: _Budget) -> Diff | None:
    if not before or not after:
        return [(Change.REMOVED, text) for text in before] + [(Change.ADDED, text) for text in after]
    furthest = {1: 0}  # by diagonal (place in `before` - place in `after`), how far in `before` one gets
    rounds: list[dict[int, int]] = []
    for edits in range(len(before) + len(after) + 1):
        if not budget.spend(len(furthest)):
            return None
        rounds.append(dict(furthest))
        for diagonal in range(-edits, edits + 1, 2):
            x = _begin(furthest, diagonal, edits)
            start = x
            while x < len(before) and x - diagonal < len(after) and before[x] == after[x - diagonal]:
                x += 1
            furthest[diagonal] = x
            if not budget.spend(1 + x - start):
                return None
            if x >= len(before) and x - diagonal >= len(after):
                return _walked_back(before, after, rounds)
    return None


def _begin(furthest: dict[int, int], diagonal: int, edits: int) -> int:
    """Return where a diagonal is entered: from above (something is added) or from the left (something is removed)."""
    return furthest[diagonal + 1] if _from_above(furthest, diagonal, edits) else furthest[diagonal - 1] + 1


def _from_above(furthest: dict[int, int], diagonal: int, edits: int) -> bool:
    return diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])


def _walked_back(before: Sequence[str], after: Sequence[str], rounds: list[dict[int, int]]) -> Diff:
    found: Diff = []
    x, y = len(before), len(after)
    for edits in range(len(rounds) - 1, -1, -1):
        entered = _begin(rounds[edits], x - y, edits)
        while x > entered:
            x, y = x - 1, y - 1
            found.append((Change.SAME, before[x]))
        if not edits:
            break
        if _from_above(rounds[edits], x - y, edits):
            y -= 1
            found.append((Change.ADDED, after[y]))
        else:
            x -= 1
            found.append((Change.REMOVED, before[x]))
    return found[::-1]


def _tidied(diff: Diff) -> Diff:
    """Join what belongs together: a space between two replaced words is replaced with them, and so are words that both
    texts happen to have between longer parts that differ.
    """
    found: Diff = []
    runs = _joined(diff)
    for place, (kind, text) in enumerate(runs):
        between = 0 < place < len(runs) - 1 and kind is Change.SAME and "\n" not in text
        before, after = runs[max(0, place - 2) : place][::-1], runs[place + 1 : place + 3]
        if between and (text.isspace() or len(text) <= min(_longest(before), _longest(after))):
            found += [(Change.REMOVED, text), (Change.ADDED, text)]
        else:
            found.append((kind, text))
    return _joined(_trimmed(_joined(found)))


def _longest(runs: Diff) -> int:
    """Return how long the longer one is of what was removed and what was added next."""
    changed = itertools.takewhile(lambda run: run[0] is not Change.SAME, runs)
    return max((len(text) for _, text in changed), default=0)


def _trimmed(diff: Diff) -> Diff:
    """Leave out of a replacement the blanks that both texts begin or end with."""
    found: Diff = []
    for place, (kind, text) in enumerate(diff):
        other = diff[place + 1] if place + 1 < len(diff) else (Change.SAME, "")
        if kind is Change.REMOVED and other[0] is Change.ADDED:
            old, new = text, other[1]
            head = _common_blanks(old, new)
            old, new = old[len(head) :], new[len(head) :]
            tail = _common_blanks(old[::-1], new[::-1])[::-1]
            kept = (old[: len(old) - len(tail)], new[: len(new) - len(tail)])
            found += [(Change.SAME, head), (Change.REMOVED, kept[0]), (Change.ADDED, kept[1]), (Change.SAME, tail)]
        elif kind is not Change.ADDED or place == 0 or diff[place - 1][0] is not Change.REMOVED:
            found.append((kind, text))
    return found


def _common_blanks(one: str, other: str) -> str:
    most = min(len(one), len(other))
    return one[: next((n for n in range(most) if one[n] != other[n] or not one[n].isspace()), most)]


def _joined(diff: Diff) -> Diff:
    """Join neighbours of a kind, and between two that are the same put all that was removed first."""
    found: Diff = []
    removed: list[str] = []
    added: list[str] = []
    same: list[str] = []

    def flush(kind: Change, texts: list[str]) -> None:
        if text := "".join(texts):
            found.append((kind, text))
        texts.clear()

    for kind, text in diff:
        if kind is Change.SAME:
            flush(Change.REMOVED, removed)
            flush(Change.ADDED, added)
            same.append(text)
        else:
            flush(Change.SAME, same)
            (removed if kind is Change.REMOVED else added).append(text)
    flush(Change.SAME, same)
    flush(Change.REMOVED, removed)
    flush(Change.ADDED, added)
    return found

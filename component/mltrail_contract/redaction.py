"""Check the patterns that redact traces: whoever logs a trace waits for them, so none may take forever.

Python's `re` has no time limit. A pattern whose parts all end after a known number of characters takes a time that
grows with the length of the text and no faster, whatever the text is.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

MOST_PATTERNS = 50
_LONGEST = 500
_MOST_WAYS = 20_000
"""In how many ways the repeated parts of a pattern can share the text that begins at one place."""
_COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")


class _Piece(NamedTuple):
    """A character, a class, a group's beginning or end; and how often it may occur at least and at most."""

    text: str
    least: float
    most: float


def problem_of(pattern: str) -> str:
    """Say what is wrong with a pattern; "" if nothing is."""
    if len(pattern) > _LONGEST:
        return f"longer than {_LONGEST} characters"
    try:
        found = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"not a regular expression: {str(error).splitlines()[0]}"
    if found.match(""):
        return "matches the empty text, so it would match everywhere"
    return _problem_of_repeats(pattern.removeprefix("(?i)"))


def longest_match(pattern: str) -> int:
    """Return a number of characters that no match of a pattern without problems exceeds."""
    lengths = [0.0]
    for piece in _pieces(pattern.removeprefix("(?i)")):
        if piece.text == "(":
            lengths.append(0)
        elif piece.text == ")":
            inner = lengths.pop()
            lengths[-1] += inner * piece.most
        else:
            lengths[-1] += piece.most
    return int(lengths[0])


def _problem_of_repeats(pattern: str) -> str:
    varies_at = [False]  # whether the group at each depth holds something that can match in several ways
    ways = 1.0
    for piece in _pieces(pattern):
        if problem := _problem_of_piece(piece):
            return problem
        if piece.text == "(":
            varies_at.append(False)
            continue
        varies = piece.most > piece.least or piece.text == "|"
        ways *= 2 if piece.text == "|" else piece.most - piece.least + 1
        if piece.text == ")":
            inner = varies_at.pop()
            if inner and piece.most > 1:
                return "repeats a group that can match in several ways, which can take forever"
            varies = varies or inner
        varies_at[-1] = varies_at[-1] or varies
    if ways > _MOST_WAYS:
        return f"can match a text in {ways:,.0f} ways; at most {_MOST_WAYS:,} are allowed: let it vary in fewer places"
    return ""


def _problem_of_piece(piece: _Piece) -> str:
    """Say what is wrong with a piece wherever it is."""
    if (piece.text == "(" and piece.least < 1) or (piece.text[0] == "\\" and piece.text[1] in "123456789"):
        return "groups are written as ( ) or (?: ), without look-around, flags or references to other groups"
    if math.isinf(piece.most):
        return "sets no limit to a match's length: write {1,100} instead of +, and {0,100} instead of *"
    return ""


def _pieces(pattern: str) -> Iterator[_Piece]:
    place = 0
    while place < len(pattern):
        end = _end_of_piece(pattern, place)
        text = pattern[place:end]
        least, most, place = _repeated(pattern, end)
        yield _Piece(text[:1] if text in ("(", "(?:", ")") else text, least, most)


def _end_of_piece(pattern: str, place: int) -> int:
    if pattern[place] == "\\":
        return min(place + 2, len(pattern))
    if pattern.startswith("(?:", place):
        return place + 3
    if pattern[place] != "[":
        return place + 1
    end = place + 2 if pattern.startswith("[^", place) else place + 1
    end += pattern.startswith("]", end)  # a bracket in the first place means itself
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    return end + 1


def _repeated(pattern: str, place: int) -> tuple[float, float, int]:
    """Read how often the piece before this place may occur, and where the next one begins."""
    least, most = 1.0, 1.0
    if pattern[place : place + 1] in ("*", "+", "?"):
        least, most = {"*": (0.0, math.inf), "+": (1.0, math.inf), "?": (0.0, 1.0)}[pattern[place]]
        place += 1
    elif (found := _COUNT.match(pattern, place)) and (found[1] or found[3]):
        least = float(found[1] or 0)
        most = float(found[3] or math.inf) if found[2] else least
        place = found.end()
    else:
        return least, most, place
    return least, most, place + (pattern[place : place + 1] in ("?", "+"))

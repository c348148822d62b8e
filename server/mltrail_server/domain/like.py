"""SQL's LIKE outside a database: `%` stands for any characters, `_` for one."""

import re

from .errors import invalid
from .filters import MAX_PATTERN, MAX_WILDCARDS

_WILDCARDS = re.compile("%+")


class LikePattern:
    """Matches in time that grows with the text, whatever the pattern: the pieces between `%` are searched one after
    another, each at the first place where it occurs.
    """

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        if len(pattern) > MAX_PATTERN:
            raise invalid(
                f"A pattern of LIKE or ILIKE has {MAX_PATTERN} characters at most; compare longer texts by =."
            )
        pieces = _WILDCARDS.split(pattern)
        if len(pieces) > MAX_WILDCARDS + 1:
            raise invalid(
                f"A pattern of LIKE or ILIKE has {MAX_WILDCARDS} % at most; use fewer, or several comparisons."
            )
        flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
        first, *inner = ["".join("." if one == "_" else re.escape(one) for one in piece) for piece in pieces]
        self._first = re.compile(first, flags)
        self._inner = [re.compile(piece, flags) for piece in inner[:-1]]
        self._last = re.compile(f"{inner[-1]}\\Z", flags) if inner else None
        self._last_length = len(pieces[-1])

    def matches(self, text: str) -> bool:
        start = self._first.match(text)
        if start is None:
            return False
        place = start.end()
        if self._last is None:
            return place == len(text)
        for piece in self._inner:
            found = piece.search(text, place)
            if found is None:
                return False
            place = found.end()
        end = len(text) - self._last_length
        return end >= place and self._last.match(text, end) is not None

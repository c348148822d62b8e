"""Split a filter into names, numbers, texts, operators and punctuation, and say where that fails."""

import re
from dataclasses import dataclass

from .errors import MltrailError, invalid
from .reasons import Reason

_EXAMPLE = "write for example: metrics.accuracy > 0.9 AND params.model = 'tree'"
_SHOWN = 500
MAX_LENGTH = 500_000
"""A list of ten thousand run ids needs 360,000 characters."""

# Digits are matched possessively: otherwise a long row of them before a letter would be split in every possible way.
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<name>
            (?: [^\W\d]\w* | `[^`]*` )
            (?: \. (?: `[^`]*` | "[^"]*" | '[^']*' | attributes\.`[^`]+` | [\w\-]+ (?:\.[\w\-]+)* ) )?
        )
      | (?P<number>[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?(?![\w.]))
      | (?P<text> '(?:[^']|'')*' | "(?:[^"]|"")*" )
      | (?P<operator>!=|>=|<=|=|>|<)
      | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
_FOREIGN_OPERATORS = {"==": "=", "<>": "!=", "=>": ">=", "=<": "<=", "=~": "LIKE", "~": "LIKE", "&&": "AND"}
"""Operators of other languages, and what to write here. Longest first."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a filter. `kind` is name, number, text, operator, mark or end; `start` is its position, from 0."""

    kind: str
    text: str
    start: int

    @property
    def word(self) -> str:
        """The token in upper case when it is a plain word, which may be a keyword; else ""."""
        return self.text.upper() if self.kind == "name" else ""


def cut(text: str) -> list[Token]:
    """Split a filter into tokens, the last of kind "end". Raises INVALID for anything that is not a token."""
    if len(text) > MAX_LENGTH:
        raise invalid(f"The filter is longer than {MAX_LENGTH} characters; use several searches.")
    tokens: list[Token] = []
    stop = len(text.rstrip())
    position = 0
    while position < stop:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _unreadable(text, position)
        kind = match.lastgroup
        token = Token(kind, match[kind], match.start(kind))
        if kind == "operator":
            _check_operator(text, token)
        tokens.append(token)
        position = match.end()
    tokens.append(Token("end", "", stop))
    return tokens


def wrong(text: str, start: int, what: str) -> MltrailError:
    """Say what is wrong with a filter and where; the position in the message counts from 1."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return invalid(Reason.FILTER, shown=shown, at=start + 1, what=what, example=_EXAMPLE)


def _check_operator(text: str, token: Token) -> None:
    for foreign, ours in _FOREIGN_OPERATORS.items():
        if text.startswith(foreign, token.start):
            raise wrong(text, token.start, f"write {ours} instead of {foreign}")


def _unreadable(text: str, position: int) -> MltrailError:
    start = position + len(text[position:]) - len(text[position:].lstrip())
    rest = text[start:]
    before = text[:position].rstrip()[-1:]
    if rest[0] in "`'\"":
        return wrong(text, start, f"the quote {rest[0]} is not closed")
    for foreign, ours in _FOREIGN_OPERATORS.items():
        if rest.startswith(foreign):
            return wrong(text, start, f"write {ours} instead of {foreign}")
    if rest[0] == ";":
        return wrong(text, start, "a filter is one line of comparisons, without ';'")
    if rest[0] == ".":
        return wrong(text, start, "a name is missing before or after '.'")
    if before.isalnum() and not rest[0].isspace():
        return wrong(text, start, f"can't read {rest[:30]!r}; put a name that contains {rest[0]!r} in backticks")
    return wrong(text, start, f"can't read {rest[:30]!r}")

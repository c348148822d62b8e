"""The docs quote messages as the code has them, so that a reader can find the one on the screen."""

import ast
import re
from functools import cache

import pytest

from tests.places import ROOT

_ANYTHING = "…"


def quoted(page: str, heading: str, *, code: bool) -> list[str]:
    """The messages in the first column of the table below a heading."""
    section = (ROOT / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")][1:]
    return [one for cell in cells for one in (re.findall(r"`([^`]+)`", cell) if code else [cell])]


def message_of(node: ast.expr) -> str | None:
    """A string in the code, with … for values that are known only at run time."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(message_of(part) or _ANYTHING for part in node.values)
    return None


@cache
def messages() -> str:
    found: list[str] = []
    for path in sorted([*(ROOT / "server").rglob("*.py"), *(ROOT / "component").rglob("*.py")]):
        nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.expr))
        found += filter(None, map(message_of, nodes))
    return "\n".join(found).replace("`", "")


QUOTES = [
    *quoted("docs/how-to/promote.md", "When it does not promote", code=True),
    *quoted("docs/reference/tokens.md", "Errors, and how to fix them", code=False),
]


def test_there_are_quotes() -> None:
    assert len(QUOTES) > 25


@pytest.mark.parametrize("quote", QUOTES)
def test_the_code_has_each_message_that_the_docs_quote(quote: str) -> None:
    pieces = [piece.strip(" ',;.") for piece in re.sub(r"\\(.*\\)", "", quote).split(_ANYTHING)]
    assert [piece for piece in pieces if piece.replace("`", "") not in messages()] == []

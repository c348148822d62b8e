"""Plain text for a job's log: numbers, tables, and colour on terminals.

Names come from people. Control characters in them, which could move the cursor or fake lines, are shown as `?`.
"""

import os
import sys
import textwrap
from collections.abc import Sequence

from .console import shown

_WIDTH = 100
_COLOURS = {"good": "32", "bad": "31", "unknown": "33"}


def clean(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def exact(name: str) -> str:
    """A name in a form that is unique, because GitLab treats test cases with the same name as one."""
    if "\\" not in name and name.isprintable():
        return name
    return name.encode("unicode_escape").decode("ascii")


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4g}"


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Columns two spaces apart, with a line under the first row; the columns in `right` are right-aligned."""
    cells = [[shown(clean(cell)) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def labelled(lines: Sequence[tuple[str, str]]) -> str:
    """Sentences under a word each, the words in a column of their own, in lines of at most a hundred characters."""
    width = max((len(label) for label, _ in lines), default=0) + 3
    return "\n".join(
        textwrap.fill(
            shown(clean(sentence)),
            _WIDTH,
            initial_indent=f"{clean(label)}: ".ljust(width),
            subsequent_indent=" " * width,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for label, sentence in lines
    )


def coloured(text: str, level: str) -> str:
    """Colour only on a terminal, and never if NO_COLOR is set."""
    colour = _COLOURS.get(level)
    if colour is None or sys.stdout is None or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{colour}m{text}\033[0m"

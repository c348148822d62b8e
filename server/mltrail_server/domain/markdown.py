"""Make text that a user chose inert in GitLab's Markdown.

A note is written with the bot's rights, so a parameter's value must not become a quick action, a mention, a reference,
HTML or the end of a table. Every such text is put in a code span, where GitLab looks for none of these. Titles, which
can't be code, are written with characters that look the same but have no special meaning.

https://docs.gitlab.com/user/markdown/
"""

import re
import unicodedata
from urllib.parse import quote

MOST = 80
_LONGEST_RUN = 16  # parsers stop looking for the end of a code span after some length, comrak after 80
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and signs that are invisible
_JOINER = "\u2060"  # invisible, and allows no line break
_JOINERS = frozenset("\u200c\u200d")
_TO_FULL_WIDTH = 0xFEE0
_HARMLESS = frozenset(" ._-/+=,()'")
_ISSUE = re.compile(r"(?<=\w)-(?=\d)")
_WEB = re.compile(r"(?i)(?<=www)\.")
_SHA = re.compile(r"[0-9A-Fa-f]{6}(?=[0-9A-Fa-f])")
_LONG = 12
"""A name of more characters may not fit in a column, or in a line of a heading, on a phone."""
_OF_PARTS = re.compile(r"(?!www[./])[A-Za-z][A-Za-z0-9]*(?:[_/.][A-Za-z0-9]+)+")
_BETWEEN_PARTS = re.compile(r"(?<=[_/.])")


class Markdown(str):
    """Text that can be put in a note as it is. Only code that has made the text safe creates one."""

    __slots__ = ()


def code(text: str, *, most: int = MOST, in_table: bool = True) -> Markdown:
    """Put text in a code span that it can't break out of, on one line, cut after `most` characters; safe in a table
    too.

    Outside a Markdown table, `in_table=False` leaves pipes as they are.
    """
    line = _on_one_line(text, most)
    if not line:
        return Markdown("*empty*")
    run = max((len(found) for found in re.findall("`+", line)), default=0)
    if run > _LONGEST_RUN:
        line, run = line.replace("`", "'"), 0
    # GitLab shows nothing of a note that contains "![" often, in code or not.
    line = line.replace("![", f"!{_JOINER}[")
    # A backslash before a pipe in the text would escape ours.
    if in_table:
        line = line.replace("\\|", f"\\{_JOINER}|").replace("|", "\\|")
    fence = "`" * (run + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markdown(f"{fence}{pad}{line}{pad}{fence}")


def name(text: str) -> Markdown:
    """Put a name in a code span that a narrow screen may break after `_`, `/` and `.`, if it is long and nothing else
    is in it. Copied, it is still the same name.
    """
    if len(text) <= _LONG or len(text) > MOST or not _OF_PARTS.fullmatch(text):
        return code(text)
    return Markdown(f"<code>{_BETWEEN_PARTS.sub('<wbr>', text)}</code>")


def cell(text: str) -> Markdown:
    """Put text in a code span of a JSON table's cell.

    An older GitLab joins cells with pipes into a Markdown table, where a backslash keeps a pipe in its cell. A newer
    one reads each cell by itself, and would show the backslash. An HTML element works in both.
    """
    if "|" not in text:
        return code(text, in_table=False)
    return Markdown(f"<code>{''.join(map(_entity, _on_one_line(text, MOST)))}</code>")


def link(text: str, url: str | None) -> Markdown:
    """Link inert text. Without a web URL, return only the text."""
    label = text if isinstance(text, Markdown) else code(text)
    if not url or not url.startswith(("https://", "http://")):
        return Markdown(label)
    return Markdown(f"[{label}]({quote(url, safe=':/?=&%~+,;@-._#')})")


def title(text: str, *, most: int = MOST) -> Markdown:
    """Write text where code is not possible, such as an issue's title or a column's heading: the characters that GitLab
    looks for in titles and Markdown are replaced by full-width ones, which look alike. Empty if nothing of the text is
    visible.
    """
    line = "".join(
        one if one in _HARMLESS or one.isalnum() or not one.isascii() else chr(ord(one) + _TO_FULL_WIDTH)
        for one in _on_one_line(text, most)
    )
    line = _WEB.sub("\uff0e", _ISSUE.sub("\u2011", line))
    return Markdown(_SHA.sub(lambda match: f"{match[0]}\u200b", line))


def _on_one_line(text: str, most: int) -> str:
    start = text[: most * 4]
    line = "".join(" " if _is_unseen(start, place) else one for place, one in enumerate(start))
    line = " ".join(line.split())
    if len(line) > most or len(text) > most * 4:
        line = line[: most - 1] + "…"
    return line


def _is_unseen(text: str, place: int) -> bool:
    """Whether a character is invisible, or changes how others look. Joiners inside a word or an emoji are allowed."""
    one = text[place]
    if one in _JOINERS and 0 < place < len(text) - 1:
        return not all(_joins(other) for other in (text[place - 1], text[place + 1]))
    return one in _BLANK or unicodedata.category(one) in _INVISIBLE


def _joins(one: str) -> bool:
    return not one.isascii() and unicodedata.category(one) not in _INVISIBLE


def _entity(one: str) -> str:
    if not one.isascii() or one.isalnum() or one == " ":
        return one
    # Markdown looks for addresses after decoding entities, but not across a comment.
    return f"{'<!---->' if one == '@' else ''}&#{ord(one)};"

"""Make text that a user chose inert in GitLab's Markdown.

A note is written with the bot's rights, so a parameter's value must not become a quick action, a mention, a reference,
HTML or the end of a table. Every such text stands in a code span, where GitLab looks for none of these.
"""

import re
import unicodedata
from urllib.parse import quote

MOST = 80
_LONGEST_RUN = 16  # Markdown parsers stop looking for the end of a code span at some length, comrak at 80
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})


class Markdown(str):
    """Text that may stand in a note as it is. Only code that has made the text safe makes one."""

    __slots__ = ()


def code(text: str, *, most: int = MOST, in_table: bool = True) -> Markdown:
    """Put text in a code span that it can't leave, on one line, cut after `most` characters; safe in a table too.

    Where no table of Markdown is around it, `in_table=False` leaves pipes as they are.
    """
    line = "".join(" " if unicodedata.category(one) in _INVISIBLE else one for one in text[: most * 4])
    line = " ".join(line.split())
    if len(line) > most or len(text) > most * 4:
        line = line[: most - 1] + "…"
    if not line:
        return Markdown("*empty*")
    run = max((len(found) for found in re.findall("`+", line)), default=0)
    if run > _LONGEST_RUN:
        line, run = line.replace("`", "'"), 0
    # A backslash of the user's before a pipe would escape ours; a space keeps them apart.
    if in_table:
        line = line.replace("\\|", "\\ |").replace("|", "\\|")
    fence = "`" * (run + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markdown(f"{fence}{pad}{line}{pad}{fence}")


def link(text: str, url: str | None) -> Markdown:
    """Link inert text. Without a web URL it is only the text."""
    label = text if isinstance(text, Markdown) else code(text)
    if not url or not url.startswith(("https://", "http://")):
        return Markdown(label)
    return Markdown(f"[{label}]({quote(url, safe=':/?=&%~+,;@-._#')})")

"""What a page needs beyond the theme, for readers with a keyboard, a phone or a screen reader."""

import html
import re
from pathlib import Path

# A table with a cell longer than this is for reading, not for comparing figures.
_FIGURES = 60

_CHANGES = (
    # What scrolls sideways must be reachable by keyboard.
    (r"<pre>", '<pre tabindex="0">'),
    (r'<div class="(table-wrapper[^"]*)">', r'<div class="\1" tabindex="0">'),
    (r'<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    # The corner cell of a table is no heading.
    (r'<th class="head[^"]*"><p></p></th>', "<td></td>"),
    (r'<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="All pages">'),
    (r'<aside class="toc-drawer([^"]*)">', r'<aside class="toc-drawer\1" aria-label="This page">'),
    (r'<div id="search-results">', '<h1>Search</h1><div id="search-results">'),
)


def finish(folder: Path) -> None:
    """Change all pages of a built site in place, and remove what only Sphinx itself uses."""
    for page in folder.rglob("*.html"):
        text = page.read_text()
        for old, new in _CHANGES:
            text = re.sub(old, new, text)
        page.write_text(re.sub(r'(?s)<table class="docutils.*?</table>', _stackable, text))
    for unused in ("objects.inv", ".buildinfo", ".buildinfo.bak"):
        (folder / unused).unlink(missing_ok=True)


def _stackable(table: re.Match[str]) -> str:
    """Where there is no room, the style sheet stacks the cells of a table: each then shows its column's name.

    The roles are what the elements have anyway; `display: block` would take them away.
    """
    if max(len(_text(cell)) for cell in re.findall(r"(?s)<t[hd][ >].*?</t[hd]>", table[0])) <= _FIGURES:
        return table[0]
    names = [_text(head) for head in re.findall(r"(?s)<th[ >].*?</th>", table[0])]

    def row(found: re.Match[str]) -> str:
        columns = iter(names)

        def cell(_: re.Match[str]) -> str:
            name = next(columns, "")
            label = f' data-label="{html.escape(name)}"' if name and name != names[0] and len(names) > 2 else ""
            return f'<td role="cell"{label}'

        return re.sub(r"<td(?=[ >])", cell, found[0])

    made = re.sub(r"(?s)<tr[ >].*?</tr>", row, table[0])
    made = re.sub(r"<tr(?=[ >])", '<tr role="row"', made)
    made = re.sub(r"<th(?=[ >])", '<th role="columnheader"', made)
    made = re.sub(r"<(thead|tbody)>", r'<\1 role="rowgroup">', made)
    return made.replace('<table class="', '<table role="table" class="stackable ', 1)


def _text(element: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", element)).strip()

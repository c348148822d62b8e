"""What a page needs beyond what the theme gives, for those who use it by keyboard or hear it read out."""

import re
from pathlib import Path

_CHANGES = (
    # What scrolls sideways must be reachable by keyboard.
    (r"<pre>", '<pre tabindex="0">'),
    (r'<div class="(table-wrapper[^"]*)">', r'<div class="\1" tabindex="0">'),
    (r'<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    # The corner of a table names nothing.
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
        page.write_text(text)
    for unused in ("objects.inv", ".buildinfo", ".buildinfo.bak"):
        (folder / unused).unlink(missing_ok=True)

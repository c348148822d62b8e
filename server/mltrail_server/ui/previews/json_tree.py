"""JSON as a tree that opens and closes without scripts."""

import json
from collections.abc import Iterator
from itertools import islice

from markupsafe import Markup, escape

from mltrail_server.domain import json_text

from . import tables
from .preview import FilePreview
from .texts import visible

MOST_BYTES = 2_000_000
_MOST_NODES = 2_000
_MOST_DEPTH = 30
_MOST_TEXT = 2_000
_OPEN_BELOW = 2
"""How many levels are open at first."""
_FEW = 20
"""Of more entries than that, a level below the first stays closed."""


def shown(text: str) -> FilePreview | None:
    """Show JSON as a table if it is one, else as a tree; None if it can't be read, or is a single value."""
    try:
        content = json_text.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(content, dict) and (table := tables.of_columns(content)) is not None:
        return table
    if not isinstance(content, (dict, list)) or not content:
        return None
    left = [_MOST_NODES]
    markup = Markup("").join(_branch(content, 0, left))
    return FilePreview("tree", markup=markup, source=True, remark=_remark(left))


def _remark(left: list[int]) -> str:
    return "" if left[0] > 0 else f"The first {_MOST_NODES:,} entries; the rest is in the file."


def _branch(value: object, depth: int, left: list[int]) -> Iterator[Markup]:
    """Write the entries of an object or list. `left` counts down how many more there may be on the page."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield Markup("<ul>")
    for name, one in islice(pairs, max(0, left[0])):
        left[0] -= 1
        if left[0] < 0:
            break
        yield Markup("<li>")
        yield from _entry(name, one, depth, left)
        yield Markup("</li>")
    yield Markup("</ul>")


def _entry(name: object, value: object, depth: int, left: list[int]) -> Iterator[Markup]:
    label = Markup("<b>{}</b>").format(visible(str(name))[:_MOST_TEXT])
    if not isinstance(value, (dict, list)) or not value:
        yield Markup("{}: {}").format(label, _leaf(value))
        return
    kind = f"{len(value)} {'fields' if isinstance(value, dict) else 'entries'}"
    if depth >= _MOST_DEPTH:
        yield Markup('{}: <i class="soft">{}, nested too deeply to be shown</i>').format(label, kind)
        return
    is_open = depth + 1 < _OPEN_BELOW and len(value) <= _FEW
    opening = Markup('<details{}><summary>{} <span class="soft">{}</span></summary>')
    yield opening.format(Markup(" open") if is_open else "", label, kind)
    yield from _branch(value, depth + 1, left)
    yield Markup("</details>")


def _leaf(value: object) -> Markup:
    text = visible(json.dumps(value, ensure_ascii=False))
    kind = "string" if isinstance(value, str) else "value"
    cut = "…" if len(text) > _MOST_TEXT else ""
    return Markup('<span class="{}">{}{}</span>').format(kind, escape(text[:_MOST_TEXT]), cut)

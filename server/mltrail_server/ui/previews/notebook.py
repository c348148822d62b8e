"""Jupyter notebooks: their text, code and stored outputs, as nbconvert would show them. Nothing in them runs.

https://nbformat.readthedocs.io/en/latest/format_description.html
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mltrail_server.domain import json_text
from mltrail_server.ui import prose

from . import json_tree
from .preview import FilePreview, NotebookCell, NotebookOutput
from .texts import visible

MOST_BYTES = 20_000_000
_MOST_PARTS = 300_000
"""The most entries that are read: many small ones take far more memory than their text."""
_MOST_CELLS = 300
_MOST_OUTPUTS = 50  # of a cell
_MOST_OUTPUTS_OF_ALL = 3_000
_MOST_PICTURES = 50
_MOST_TEXT = 10_000  # of a cell's source, or of an output
_MOST_PROSE = 5_000
"""Longer Markdown is shown unformatted: parsing it could take long."""
_MOST_OF_ALL = 120_000
"""Characters on the page, so that it stays small."""
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours and other commands to a terminal, which tracebacks and progress bars contain."""


def shown(text: str) -> FilePreview | None:
    """Show a notebook of format 4, and anything else as the JSON that it is; None if it can't be read."""
    content = _read(text)
    if content is None:
        return json_tree.shown(text) if len(text) <= json_tree.MOST_BYTES else None
    budget = _Budget()
    cells = content["cells"]
    found = [_cell(place, one, budget) for place, one in enumerate(cells[:_MOST_CELLS]) if isinstance(one, dict)]
    return FilePreview("notebook", cells=found, source=True, cut=budget.cut or len(cells) > _MOST_CELLS)


def picture(text: str, cell: int, output: int) -> tuple[str, bytes] | None:
    """Return the picture of an output, counted from 0, with the type that the notebook gives; None if there is none."""
    content = _read(text)
    try:
        one = content["cells"][cell]["outputs"][output] if content is not None else None
    except (KeyError, IndexError, TypeError):
        return None
    data = _data(one)
    kind = _picture_kind(data)
    if kind is None:
        return None
    if kind == "image/svg+xml":
        return kind, _text(data[kind]).encode()
    try:
        return kind, base64.b64decode(_text(data[kind]))
    except ValueError:  # of binascii, or for letters that are not ASCII
        return None


def _read(text: str) -> dict[str, Any] | None:
    if sum(text.count(sign) for sign in "[{,") > _MOST_PARTS:
        return None
    try:
        content = json_text.loads(text)
    except (ValueError, RecursionError):
        return None
    is_notebook = isinstance(content, dict) and content.get("nbformat") == 4 and isinstance(content.get("cells"), list)
    return content if is_notebook else None


@dataclass
class _Budget:
    """What may still be written on the page."""

    text: int = _MOST_OF_ALL
    outputs: int = _MOST_OUTPUTS_OF_ALL
    pictures: int = _MOST_PICTURES
    cut: bool = False

    def take(self, text: str, most: int) -> str:
        """Return as much of a text as there is room for."""
        given = visible(_TERMINAL.sub("", text[: 4 * most]))
        part = given[: min(most, self.text)]
        self.text -= len(part)
        self.cut = self.cut or len(part) < len(given) or len(text) > 4 * most
        return part


def _cell(place: int, cell: Mapping[str, object], budget: _Budget) -> NotebookCell:
    kind, source = cell.get("cell_type"), _text(cell.get("source"))
    if kind == "markdown":
        text = budget.take(source, _MOST_TEXT)
        return NotebookCell("markdown", markup=prose.shown(text, _MOST_PROSE))
    count, outputs = cell.get("execution_count"), cell.get("outputs")
    return NotebookCell(
        "code" if kind == "code" else "raw",
        text=budget.take(source, _MOST_TEXT),
        count=str(count)[:10] if isinstance(count, int) else "",
        outputs=list(_outputs(place, outputs, budget)) if isinstance(outputs, list) else (),
    )


def _outputs(place: int, outputs: Sequence[object], budget: _Budget) -> Iterator[NotebookOutput]:
    most = min(_MOST_OUTPUTS, budget.outputs)
    budget.outputs -= min(most, len(outputs))
    for number, one in enumerate(outputs[:most]):
        if not isinstance(one, dict):
            continue
        if one.get("output_type") == "error":
            lines = one.get("traceback")
            trace = "\n".join(str(line) for line in lines) if isinstance(lines, list) else ""
            yield NotebookOutput("error", budget.take(trace or f"{one.get('ename')}: {one.get('evalue')}", _MOST_TEXT))
        elif one.get("output_type") == "stream":
            yield NotebookOutput("text", budget.take(_as_written(_text(one.get("text"))), _MOST_TEXT))
        else:
            yield _displayed(place, number, _data(one), budget)
    budget.cut = budget.cut or len(outputs) > most


def _displayed(place: int, number: int, data: Mapping[str, object], budget: _Budget) -> NotebookOutput:
    """Choose the richest form of an output that is safe on a page."""
    if _picture_kind(data) is not None and budget.pictures:
        budget.pictures -= 1
        return NotebookOutput("picture", cell=place, output=number)
    plain = _text(data.get("text/plain"))
    if "text/markdown" in data:
        text = budget.take(_text(data["text/markdown"]), _MOST_TEXT)
        return NotebookOutput("markdown", markup=prose.shown(text, _MOST_PROSE))
    if plain:
        return NotebookOutput("text", budget.take(plain, _MOST_TEXT))
    if "text/html" in data:
        return NotebookOutput("html", budget.take(_text(data["text/html"]), _MOST_TEXT))
    return NotebookOutput("other", ", ".join(budget.take(str(name), 100) for name in list(data)[:5]))


def _data(output: object) -> Mapping[str, object]:
    data = output.get("data") if isinstance(output, dict) else None
    return data if isinstance(data, dict) else {}


def _picture_kind(data: Mapping[str, object]) -> str | None:
    return next((kind for kind in _PICTURES if kind in data), None)


def _text(value: object) -> str:
    """Join a text that may be a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _as_written(text: str) -> str:
    """Keep what a terminal would show of each line in the end: a progress bar writes its line again and again."""
    return "\n".join(line.removesuffix("\r").rpartition("\r")[2] for line in text.split("\n"))

"""Tables: CSV, TSV, JSON Lines, and the JSON that MLflow's `log_table` and pandas write."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from itertools import islice

from mltrail_server.domain import paths
from mltrail_server.domain.errors import MltrailError
from mltrail_server.ui import values

from .preview import Cell, FilePreview, Pictures

MOST_ROWS = 200
MOST_COLUMNS = 100
_MOST_CELL = 1_000


def comma_separated(text: str) -> FilePreview | None:
    return _separated(text, ",")


def tab_separated(text: str) -> FilePreview | None:
    return _separated(text, "\t")


def _separated(text: str, delimiter: str) -> FilePreview | None:
    try:
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=False)
        rows = list(islice(reader, MOST_ROWS + 2))
    except csv.Error:
        return None
    return of_rows([[cell[:_MOST_CELL] for cell in row[:MOST_COLUMNS]] for row in rows])


def json_lines(text: str) -> FilePreview | None:
    """Show objects, one a line, as a table of their fields. The last line may be cut off."""
    found: list[Mapping[str, object]] = []
    for line in text.splitlines()[: MOST_ROWS + 2]:
        one = values.parsed(line)
        if isinstance(one, dict):
            found.append(one)
        elif found and line.strip():
            break
        elif line.strip():
            return None
    if not found:
        return None
    names = list(dict.fromkeys(name for one in found for name in one))[:MOST_COLUMNS]
    return of_rows([names, *([cell(one.get(name)) for name in names] for one in found)])


def of_columns(content: Mapping[str, object]) -> FilePreview | None:
    """Read `{"columns": […], "data": [[…], …]}`; None if it is anything else."""
    columns, data = content.get("columns"), content.get("data")
    if not isinstance(columns, list) or not isinstance(data, list) or not columns:
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in data[:MOST_ROWS]):
        return None
    names = [values.line(name, _MOST_CELL) for name in columns[:MOST_COLUMNS]]
    rows = [[cell(one) for one in row[:MOST_COLUMNS]] for row in data[:MOST_ROWS]]
    return of_rows([names, *rows], total=len(data), source=True)


def of_rows(rows: Sequence[Sequence[Cell]], *, total: int | None = None, source: bool = True) -> FilePreview:
    """Show rows below a row of names. `total` is how many rows there are without it, if that is known."""
    shown = rows[: MOST_ROWS + 1]
    remark = "" if total is None or total <= MOST_ROWS else f"The first {MOST_ROWS} of {total:,} rows."
    cut = total is None and len(rows) > len(shown)
    return FilePreview("table", rows=shown, cut=cut, remark=remark, source=source)


def cell(value: object) -> Cell:
    if isinstance(value, dict) and value.get("type") == "image":
        path, small = value.get("filepath"), value.get("compressed_filepath")
        if isinstance(path, str) and _is_path(path):
            return Pictures(path, small if isinstance(small, str) and _is_path(small) else path)
    if isinstance(value, float) or value is None or isinstance(value, bool):
        return json.dumps(value)
    return values.line(value, _MOST_CELL)


def _is_path(text: str) -> bool:
    try:
        return bool(paths.clean(text))
    except MltrailError:
        return False

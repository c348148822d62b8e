"""Read the rows of a table of cases from JSON, JSON Lines, CSV or Parquet.

A client has written the file, so nothing about it is taken for granted: rows are decoded one at a time, and only the
columns that the contract names are kept.

https://mlflow.org/docs/latest/api_reference/python_api/mlflow.html#mlflow.log_table
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec

from . import parquet

MOST_BYTES = 20_000_000
MOST_ROWS = 50_000
_MOST_COLUMNS = 10_000
_MOST_VALUES = 3_000_000
"""In a JSON file: a decoded value takes seventy bytes, and in the file it may be one character and a comma."""

Value = str | int | float | bool | None
Row = tuple[Value, ...]
"""The values of the columns that were asked for, in their order."""


class UnreadableError(Exception):
    """Why a table can't be read: a sentence that contains nothing from the table."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def read(content: bytes, name: str, columns: Mapping[str, str]) -> list[Row]:
    """Read a table. `name` is the file's, whose ending says what it is; `columns` maps what a column is for, in the
    contract's words, to its name.

    Raises `UnreadableError`.
    """
    ending = name.lower().rpartition(".")[2]
    if not content.strip():
        raise UnreadableError("the file is empty")
    try:
        found = _READERS[ending](content, columns)
        rows = []
        for row in found:
            rows.append(row)
            if len(rows) > MOST_ROWS:
                raise UnreadableError(_TOO_MANY)
    except msgspec.ValidationError as error:
        raise UnreadableError(_NO_OBJECTS if ending == "jsonl" else _NO_LIST) from error
    except (UnicodeError, RecursionError, msgspec.MsgspecError, csv.Error) as error:
        kind = {"csv": "CSV with a header", "jsonl": "JSON Lines"}.get(ending, "JSON")
        raise UnreadableError(f"the table is not valid {kind}{_hint(error, content)}") from error
    if not rows:
        raise UnreadableError("the table has no rows")
    return rows


_NO_PARQUET = "the server can't read Parquet: log CSV or JSON, or have its operator install pyarrow"
_TOO_MANY = f"the table has more than {MOST_ROWS:,} rows; log fewer cases"
_NO_OBJECTS = "a line of the table is not a JSON object"
_NO_LIST = "the JSON is neither a list of objects nor an object with `columns` and `data`"


class _Split(msgspec.Struct):
    """What pandas calls `orient="split"`, and MLflow writes."""

    columns: Annotated[list[str], msgspec.Meta(max_length=_MOST_COLUMNS)]
    data: list[msgspec.Raw]


_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_ROW = msgspec.json.Decoder(Annotated[list[msgspec.Raw], msgspec.Meta(max_length=_MOST_COLUMNS)])
_RECORD = msgspec.json.Decoder(Annotated[dict[str, msgspec.Raw], msgspec.Meta(max_length=_MOST_COLUMNS)])
_CELL = msgspec.json.Decoder(Value)
_SPLIT = msgspec.json.Decoder(_Split)


def _json(content: bytes, columns: Mapping[str, str]) -> Iterator[Row]:
    content = content.removeprefix(b"\xef\xbb\xbf").strip()
    if sum(map(content.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise UnreadableError(f"the table has more than {_MOST_VALUES:,} values; log fewer columns")
    if content.startswith(b"["):
        return _records(_RAWS.decode(content), columns)
    if not content.startswith(b"{"):
        raise UnreadableError("the table is not JSON")
    if _are_lines(content):
        raise UnreadableError("the table is JSON Lines; let the name of its file end with .jsonl")
    return _split(_SPLIT.decode(content), columns)


def _are_lines(content: bytes) -> bool:
    """Whether each line seems to be an object of its own."""
    first, _, rest = content.partition(b"\n")
    return first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")


def _split(table: _Split, columns: Mapping[str, str]) -> Iterator[Row]:
    places = _places(table.columns, columns)
    for raw in table.data:
        row = _ROW.decode(raw)
        if len(row) != len(table.columns):
            raise UnreadableError("a row of the table has more or fewer values than there are columns")
        yield tuple(_cell(row[place]) for place in places)


def _lines(content: bytes, columns: Mapping[str, str]) -> Iterator[Row]:
    lines = (line for line in io.BytesIO(content.removeprefix(b"\xef\xbb\xbf")) if line.strip())
    return _records(lines, columns)


def _records(raws: Sequence[msgspec.Raw] | Iterator[bytes], columns: Mapping[str, str]) -> Iterator[Row]:
    for raw in raws:
        record = _RECORD.decode(raw)
        missing = next((use for use, name in columns.items() if name not in record), None)
        if missing is not None:
            raise _no_column(missing)
        yield tuple(_cell(record[name]) for name in columns.values())


def _cell(raw: msgspec.Raw) -> Value:
    try:
        found: Value = _CELL.decode(raw)
    except msgspec.ValidationError:
        raise UnreadableError("a value that should be text or a number is a list or an object") from None
    return found


def _csv(content: bytes, columns: Mapping[str, str]) -> Iterator[Row]:
    lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    rows = csv.reader(lines, strict=True)
    header = next(rows, [])
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise UnreadableError("the columns of the CSV file are separated by semicolons or tabs; write commas")
    places = _places(header, columns)
    for row in rows:
        if len(row) != len(header):
            if not row:
                continue  # an empty line
            raise UnreadableError("a row of the table has more or fewer values than there are columns")
        yield tuple(row[place] for place in places)


def _parquet(content: bytes, columns: Mapping[str, str]) -> Iterator[Row]:
    try:
        yield from parquet.rows(content, list(columns.values()), most=MOST_ROWS)
    except parquet.NotInstalledError:
        raise UnreadableError(_NO_PARQUET) from None
    except parquet.MissingColumnError as error:
        raise _no_column(list(columns)[error.place]) from None
    except parquet.NoTableError as error:
        raise UnreadableError(error.sentence) from None


_READERS = {"json": _json, "jsonl": _lines, "csv": _csv, "parquet": _parquet}


def _places(names: Sequence[str], columns: Mapping[str, str]) -> list[int]:
    places = []
    for use, name in columns.items():
        if name not in names:
            raise _no_column(use)
        if names.count(name) > 1:
            raise UnreadableError(f"the table has several columns that the contract names as {use}")
        places.append(names.index(name))
    return places


def _no_column(use: str) -> UnreadableError:
    return UnreadableError(f"the table has no column that the contract names as {use}")


def _hint(error: Exception, content: bytes) -> str:
    if isinstance(error, UnicodeError):
        return ": it is not UTF-8"
    if isinstance(error, RecursionError):
        return ": it is nested too deeply"
    if isinstance(error, msgspec.DecodeError) and (b"NaN" in content or b"Infinity" in content):
        return ", which has no NaN and no Infinity: write null"
    return ""

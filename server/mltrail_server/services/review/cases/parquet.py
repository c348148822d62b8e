"""Read some columns of a Parquet file, if pyarrow is installed."""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

_BATCH = 10_000  # rows that are in memory at once
_MOST_BYTES = 200_000_000
"""Of the columns that are read, uncompressed: a small file can hold very much."""


class NotInstalledError(Exception):
    """pyarrow is missing."""


class MissingColumnError(Exception):
    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class NoTableError(Exception):
    """`sentence` says why the file can't be read."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def rows(content: bytes, columns: Sequence[str], *, most: int) -> Iterator[tuple[Any, ...]]:
    """Read these columns, row by row. Raises NoTableError if there are more than `most` rows."""
    try:
        arrow, library = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise NotInstalledError from None
    try:
        _check(library.ParquetFile(arrow.BufferReader(content)), columns, most)
        # A dictionary stays one, or a few bytes would become a long text in each row.
        file = library.ParquetFile(arrow.BufferReader(content), read_dictionary=list(columns))
        for batch in file.iter_batches(batch_size=_BATCH, columns=list(columns)):
            yield from zip(*(_values(batch.column(name)) for name in columns), strict=True)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise NoTableError("the table is not valid Parquet") from error


def _check(file: Any, columns: Sequence[str], most: int) -> None:  # noqa: ANN401 - pyarrow has no types
    metadata = file.metadata
    if metadata.num_rows > most:
        raise NoTableError(f"the table has more than {most:,} rows; log fewer cases")
    names = file.schema_arrow.names
    for place, name in enumerate(columns):
        if names.count(name) != 1 or file.metadata.schema.names.count(name) != 1:
            raise MissingColumnError(place)
    size = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        parts = (group.column(place) for place in range(group.num_columns))
        size += sum(part.total_uncompressed_size for part in parts if part.path_in_schema in columns)
    if size > _MOST_BYTES:
        raise NoTableError("the table is too large when it is unpacked")


def _values(column: Any) -> list[Any]:  # noqa: ANN401 - pyarrow has no types
    plain = (bool, int, float, str, type(None))
    if hasattr(column, "indices"):
        texts = column.dictionary.to_pylist()
        values = [None if place is None else texts[place] for place in column.indices.to_pylist()]
    else:
        values = column.to_pylist()
    if not all(isinstance(value, plain) for value in values):
        raise NoTableError("a value that should be text or a number is something else")
    return values

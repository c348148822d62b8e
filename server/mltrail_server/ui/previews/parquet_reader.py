"""Print the first rows of a Parquet file as JSON. A program of its own, with little memory and time: a small file can
unpack to very much. It gets the file as its standard input, and how many rows and columns to print.
"""

import json
import os
import resource
import sys
from typing import Any

MOST_MEMORY = 1 << 30  # of address space; the library takes a third of it
MOST_SECONDS = 8
MOST_UNPACKED = 200_000_000
MOST_CELL = 1000
MOST_ANSWER = 4_000_000


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    most_rows, most_columns = int(sys.argv[1]), int(sys.argv[2])
    arrow = __import__("pyarrow")
    library = __import__("pyarrow.parquet", fromlist=["ParquetFile"])
    arrow.set_cpu_count(1)
    arrow.set_io_thread_count(1)
    with os.fdopen(0, "rb") as given:
        file = library.ParquetFile(given, thrift_string_size_limit=10_000_000, thrift_container_size_limit=100_000)
        names = file.schema_arrow.names[:most_columns]
        head = _head(file, names, most_rows)
        columns = []
        if head is not None:
            # Of several columns with the same name, all are read, and not in the file's order.
            names, columns = head.schema.names[:most_columns], head.columns[:most_columns]
        rows = [[_short(value) for value in row] for row in zip(*map(_values, columns), strict=True)]
        answer = {"columns": [name[:MOST_CELL] for name in names], "rows": rows, "total": file.metadata.num_rows}
    text = json.dumps(answer, default=lambda value: str(value)[:MOST_CELL])
    if len(text) > MOST_ANSWER:
        raise SystemExit(1)
    sys.stdout.write(text)


def _head(file: Any, names: list[str], most: int) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Read the head of the first group of rows; None if there is none."""
    if not file.metadata.num_row_groups or not names:
        return None
    group = file.metadata.row_group(0)
    if sum(group.column(place).total_uncompressed_size for place in range(group.num_columns)) > MOST_UNPACKED:
        raise SystemExit(1)
    return next(file.iter_batches(batch_size=most, row_groups=[0], columns=names), None)


def _values(column: Any) -> list[object]:  # noqa: ANN401 - pyarrow has no types
    """Return a column's values; those that Python can't hold, such as a time after the year 9999, as a remark."""
    try:
        found: list[object] = column.to_pylist()
    except (ValueError, OverflowError):
        found = [_value(one) for one in column]
    return found


def _value(one: Any) -> object:  # noqa: ANN401 - pyarrow has no types
    try:
        return one.as_py()
    except (ValueError, OverflowError):
        return f"<{one.type} that can't be shown>"


def _short(value: object) -> object:
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)[:MOST_CELL]


if __name__ == "__main__":
    main()

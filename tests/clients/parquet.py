"""Run by a client's Python: write tables, read them with the server's module, and print what came out as JSON."""

import importlib.util
import io
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-not-found, import-untyped, unused-ignore]
import pyarrow as pa  # type: ignore[import-not-found, import-untyped, unused-ignore]
import pyarrow.parquet as pq  # type: ignore[import-not-found, import-untyped, unused-ignore]

MODULE = Path(__file__).parents[2] / "server/mltrail_server/services/review/cases/parquet.py"


def reader() -> Any:
    spec = importlib.util.spec_from_file_location("parquet_reader", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(table: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **how)
    return buffer.getvalue()


def main() -> None:
    read = reader()

    def rows(content: bytes, columns: list[str], most: int = 10) -> Any:
        try:
            return list(read.rows(content, columns, most=most))
        except (read.NoTableError, read.MissingColumnError) as error:
            return f"{type(error).__name__}: {error}"

    frame = pd.DataFrame(
        {
            "id": ["a", "b", None],
            "target": [1, 0, 1],
            "p": [1.5, None, 2],
            "right": [True, False, True],
            "at": pd.Timestamp("2026-01-01"),
            "kind": pd.Categorical(["x", "y", "x"]),
            "parts": [[1], [2], [3]],
        }
    )
    content = written(pa.Table.from_pandas(frame, preserve_index=False))
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000), pa.array(["x" * 1_000_000]))
    repeated = rows(written(pa.table({"id": long})), ["id"], 200_000)
    many = pa.table({"id": pa.array(["y" * 1100] * 200_000)})
    odd = pa.table({"id": pa.array([b"\xff\xfe"], pa.binary()).cast(pa.string(), safe=False)})
    answers = {
        "plain": rows(content, ["id", "target", "p", "right", "kind"]),
        "times": rows(content, ["at"]),
        "lists": rows(content, ["parts"]),
        "no column": rows(content, ["id", "nope"]),
        "too many rows": rows(content, ["id"], 2),
        "too large": rows(written(many, use_dictionary=False), ["id"], 200_000),
        "cut off": rows(content[:-20], ["id"]),
        "empty": rows(b"", ["id"]),
        "no text": rows(written(odd), ["id"]),
        "one long text in every row": [len(repeated), len(repeated[0][0])],
    }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()

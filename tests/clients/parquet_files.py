"""Write honest and hostile Parquet files into a folder. A client's Python runs this."""

import sys
from pathlib import Path

import pyarrow as pa  # type: ignore[import-not-found, import-untyped, unused-ignore]
import pyarrow.parquet as pq  # type: ignore[import-not-found, import-untyped, unused-ignore]


def main() -> None:
    folder = Path(sys.argv[1])
    honest = pa.table(
        {
            "id": ["<b>a</b>", "b", None],
            "p": [1.5, None, float("nan")],
            "right": [True, False, None],
            "parts": [[1, 2], [], None],
            "raw": pa.array([b"\xff\xfe", b"", None], pa.binary()),
        }
    )
    pq.write_table(honest, folder / "honest.parquet")
    pq.write_table(pa.table({f"c{number}": [number] for number in range(3000)}), folder / "wide.parquet")
    pq.write_table(pa.table({"nothing": pa.nulls(20_000_000, pa.int8())}), folder / "long.parquet")
    pq.write_table(pa.table({"id": pa.array([], pa.int64())}), folder / "empty.parquet")
    twice = pa.Table.from_arrays([pa.array([number]) for number in (1, 2, 3)], names=["a", "b", "a"])
    pq.write_table(twice, folder / "twice.parquet")
    far = {"at": pa.array([0, 2**62, None], pa.timestamp("us")), "on": pa.array([0, 2**30, None], pa.date32())}
    pq.write_table(pa.table(far), folder / "far.parquet")
    one = pa.array([b"a" * 210_000_000], pa.binary())
    plain = {"use_dictionary": False, "write_statistics": False, "compression": "zstd"}
    pq.write_table(pa.table({"text": one}), folder / "one-value.parquet", **plain)
    # A few hundred bytes on the disk, and twenty megabytes for each row that is read.
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["a" * 20_000_000]))
    pq.write_table(pa.table({"text": repeated}), folder / "repeated.parquet", compression="zstd")
    content = (folder / "honest.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(content[: len(content) // 2])
    (folder / "headless.parquet").write_bytes(content[len(content) // 2 :])
    footer = bytearray(content)
    footer[-60:-20] = b"\xff" * 40
    (folder / "footer.parquet").write_bytes(footer)


if __name__ == "__main__":
    main()

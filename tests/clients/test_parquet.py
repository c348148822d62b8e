"""The reader of Parquet, with the pyarrow that a client has: the server's own environment has none."""

import json
import subprocess

import pytest

from tests.clients.environments import ENVIRONMENTS, HERE

PROGRAM = HERE / "parquet.py"


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    python = ENVIRONMENTS / "mlflow-3/bin/python"
    done = subprocess.run([python, PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.clients
@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("plain", [["a", 1, 1.5, True, "x"], ["b", 0, None, False, "y"], [None, 1, 2.0, True, "x"]]),
        ("times", "NoTableError: a value that should be text or a number is something else"),
        ("lists", "MissingColumnError: 0"),
        ("no column", "MissingColumnError: 1"),
        ("too many rows", "NoTableError: the table has more than 2 rows; log fewer cases"),
        ("too large", "NoTableError: the table is too large when it is unpacked"),
        ("cut off", "NoTableError: the table is not valid Parquet"),
        ("empty", "NoTableError: the table is not valid Parquet"),
        ("no text", "NoTableError: the table is not valid Parquet"),
        ("one long text in every row", [200_000, 1_000_000]),
    ],
)
def test_a_table_is_read_or_the_reason_is_given(found: dict[str, object], table: str, says: object) -> None:
    assert found[table] == says

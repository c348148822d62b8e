"""Previews of Parquet with the pyarrow that a client has: what a page shows, and what a hostile file may take."""

import subprocess
from pathlib import Path

import pytest

from mltrail_server.ui.previews import FilePreview, parquet
from tests.clients.environments import ENVIRONMENTS, HERE
from tests.processes import PATIENCE_SECONDS

pytestmark = [pytest.mark.clients]

PYTHON = ENVIRONMENTS / "mlflow-3/bin/python"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("parquet")
    subprocess.run([PYTHON, HERE / "parquet_files.py", made], check=True)
    return made


@pytest.fixture(autouse=True)
def on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the reader time. How much of the processor and of the memory it may use is limited all the same."""
    monkeypatch.setattr(parquet, "_MOST_SECONDS", PATIENCE_SECONDS)


def shown(folder: Path, name: str) -> FilePreview:
    with (folder / f"{name}.parquet").open("rb") as file:
        return parquet.of_answer(parquet.read(file.fileno(), str(PYTHON)), 100)


def test_its_first_rows_are_a_table(folder: Path) -> None:
    assert shown(folder, "honest").rows == [
        ["id", "p", "right", "parts", "raw"],
        ["<b>a</b>", "1.5", "true", "[1, 2]", "b'\\xff\\xfe'"],
        ["b", "null", "false", "[]", "b''"],
        ["null", "NaN", "null", "null", "null"],
    ]
    assert shown(folder, "empty").rows == [["id"]]


def test_columns_of_the_same_name_keep_their_values(folder: Path) -> None:
    (names, values) = shown(folder, "twice").rows
    assert sorted(zip(names, values, strict=True)) == [("a", "1"), ("a", "3"), ("b", "2")]


def test_times_that_python_cannot_hold_hide_no_others(folder: Path) -> None:
    assert shown(folder, "far").rows == [
        ["at", "on"],
        ["1970-01-01 00:00:00", "1970-01-01"],
        ["<timestamp[us] that can't be shown>", "<date32[day] that can't be shown>"],
        ["null", "null"],
    ]


def test_only_a_part_of_a_large_one_is_read(folder: Path) -> None:
    long = shown(folder, "long")
    assert (len(long.rows), long.remark) == (201, "The first 200 of 20,000,000 rows.")
    assert len(shown(folder, "wide").rows[0]) == 100


@pytest.mark.parametrize("name", ["one-value", "repeated", "cut", "headless", "footer"])
def test_a_hostile_one_is_given_up(folder: Path, name: str) -> None:
    found = shown(folder, name)
    assert (found.kind, found.remark) == ("none", "This Parquet file can't be read here.")

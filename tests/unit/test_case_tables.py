"""Tables of cases come from clients: each format is read, and what is wrong is a sentence without a user's words."""

import csv
import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrail_contract import CaseTable, HigherOrLower
from mltrail_server.domain.cases.plain import name, plain
from mltrail_server.domain.cases.table import Answer, Case
from mltrail_server.services.review.cases import reading, rows
from mltrail_server.services.review.cases.rows import UnreadableError

HEAD = ["id", "target", "prediction", "amount"]
DATA: list[list[Any]] = [["a", 1, 1, 2.5], ["b", 0, 1, None], ["c", 1, None, 3]]
CASES = [
    Case("a", "1", Answer("1")),
    Case("b", "0", Answer("1")),
    Case("c", "1", Answer(None)),  # no answer is a wrong one
]


def table(name: str = "cases.json", **columns: Any) -> CaseTable:
    columns = {"label": "target", "prediction": "prediction"} | columns
    return CaseTable("golden", name, "id", **{key: value for key, value in columns.items() if value is not None})


def scores(name: str = "cases.json", **columns: Any) -> CaseTable:
    return table(name, **{"prediction": None, "score": "score"} | columns)


def split(head: list[str], data: list[list[Any]]) -> bytes:
    return json.dumps({"columns": head, "data": data}).encode()


def as_csv(head: list[str], data: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([head, *data])
    return text.getvalue().encode()


def problem(content: bytes, of: CaseTable) -> str:
    with pytest.raises(UnreadableError) as caught:
        reading.read(content, of)
    return caught.value.sentence


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cases.json", split(HEAD, DATA)),  # what mlflow.log_table and mlflow.models.evaluate write
        ("cases.JSON", b"\xef\xbb\xbf \n" + split(HEAD, DATA)),
        ("cases.json", json.dumps([dict(zip(HEAD, row, strict=True)) for row in DATA]).encode()),
        ("cases.jsonl", b"\n\n".join(json.dumps(dict(zip(HEAD, row, strict=True))).encode() for row in DATA)),
        ("cases.csv", as_csv(HEAD, DATA)),
        ("cases.csv", b"\xef\xbb\xbf" + as_csv(HEAD, DATA) + b"\r\n"),
        ("cases.csv", as_csv(HEAD, [[row[0], *(float(one or 0) for one in row[1:2]), *row[2:]] for row in DATA])),
    ],
)
def test_each_format_says_the_same(name: str, content: bytes) -> None:
    assert reading.read(content, table(name)) == CASES


def test_an_index_and_cells_that_are_lists_do_not_matter() -> None:
    """MLflow writes an image as an object."""
    data = [["a", 1, {"type": "image", "filepath": "x"}], ["b", 0, [1, [2]]]]
    content = json.dumps({"index": [5, 6], "columns": ["id", "target", "image"], "data": data}).encode()
    assert reading.read(content, table(prediction="target"))[1] == Case("b", "0", Answer("0"))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        *((1, "1"), (1.0, "1"), ("1.0", "1"), (True, "1"), ("true", "1"), ("False", "0"), (" yes ", "yes"), (None, "")),
        *((0.1, "0.1"), ("1.10", "1.10"), ("-2.00", "-2"), (float("nan"), ""), (1e300, "1e+300"), (2**70, f"{2**70}")),
    ],
)
def test_a_label_is_the_same_however_it_is_written(value: Any, form: str) -> None:
    assert plain(value) == form


@pytest.mark.parametrize(
    ("value", "form"),
    [
        *((7, "7"), (7.0, "7"), ("7.0", "7"), ("7.00", "7.00"), ("1.10", "1.10"), ("true", "true"), (True, "1")),
        *(("cafe\u0301", "caf\u00e9"), (" a ", "a"), (None, ""), ("007", "007")),
    ],
)
def test_an_id_is_found_again_and_kept_apart_from_others(value: Any, form: str) -> None:
    assert name(value) == form


def test_an_accent_may_be_written_in_two_ways() -> None:
    content = split(["id", "target", "prediction"], [["a", "caf\u00e9", "cafe\u0301"]])
    assert reading.read(content, table()) == [Case("a", "caf\u00e9", Answer("caf\u00e9"))]


def test_a_model_that_has_all_cases_wrong_is_no_mistake_of_the_contract() -> None:
    wrong = [["a", 1, 0], ["b", 0, 1]], [["a", 1, 0], ["b", 1, 2]], [[f"{n}", f"text {n}", "?"] for n in range(200)]
    for rows_of in wrong:
        assert len(reading.read(split(["id", "target", "prediction"], rows_of), table())) == len(rows_of)


def test_scores_may_be_booleans() -> None:
    content = as_csv(["id", "score"], [["a", "True"], ["b", False]])
    assert [case.answer.score for case in reading.read(content, scores("a.csv", label=None))] == [1.0, 0.0]


def test_scores_with_labels() -> None:
    content = split(["id", "target", "score"], [["a", "yes", 0.9], ["b", "no", "0.5"], ["c", "maybe", 0.1]])
    found = reading.read(content, scores(positive="yes", threshold=0.5))
    assert found == [
        Case("a", "1", Answer("1", 0.9)),
        Case("b", "0", Answer("1", 0.5)),
        Case("c", "0", Answer("0", 0.1)),
    ]


@pytest.mark.parametrize(("better", "right"), [(HigherOrLower.HIGHER, "1"), (HigherOrLower.LOWER, "0")])
def test_scores_without_labels_are_good_or_bad_answers(better: HigherOrLower, right: str) -> None:
    content = split(["id", "score"], [["a", 4]])
    (found,) = reading.read(content, scores(label=None, threshold=3.0, better=better))
    assert found == Case("a", "1", Answer(right, 4.0))


def test_a_cluster_is_read() -> None:
    content = split([*HEAD, "patient"], [[*row, patient] for row, patient in zip(DATA, [7, 7.0, None], strict=True)])
    assert [case.cluster for case in reading.read(content, table(cluster="patient"))] == ["7", "7", None]


BAD = [
    (b"", table(), "the file is empty"),
    (b"\n ", table("a.csv"), "the file is empty"),
    (b"\xff\xfe{", table(), "the table is not JSON"),
    (b'{"columns": ["id"], "data": [[', table(), "the table is not valid JSON"),
    (b"[" * 100_000, table(), "the table is not valid JSON: it is nested too deeply"),
    (b'{"a": ' * 100_000, table(), "the table is not valid JSON: it is nested too deeply"),
    (b'[{"id": 1, "target": NaN}]', table(), "the table is not valid JSON, which has no NaN and no Infinity: write nu"),
    (b'{"id": {"0": 1}}', table(), "the JSON is neither a list of objects nor an object with `columns` and `data`"),
    (b"[1, 2]", table(), "the JSON is neither a list of objects nor an object with `columns` and `data`"),
    (b'{"columns": ["id", "target", "prediction"], "data": [1]}', table(), "the JSON is neither a list of objects nor"),
    (b'{"id": 1}\r\n{"id": 2}', table(), "the table is JSON Lines; let the name of its file end with .jsonl"),
    (b"[1]\n[2]", table("a.jsonl"), "a line of the table is not a JSON object"),
    (b"id;target;prediction\na;1;1", table("a.csv"), "the columns of the CSV file are separated by semicolons or tabs"),
    (b"id\ttarget\tprediction\na\t1\t1", table("a.csv"), "the columns of the CSV file are separated by semicolons or"),
    (
        split(HEAD, [[1, 1, 1, 1], ["1.0", 1, 1, 1]]),
        table(),
        "two ids are the same number, written in two ways, such as",
    ),
    (split(HEAD, [["a", 1, 0.9, 1], ["b", 0, 0.1, 1]]), table(), "no prediction is any of the labels; the contract's"),
    (split(HEAD, [["a", "no", "No", 1], ["b", "yes", None, 1]]), table(), "no prediction is any of the labels; the c"),
    (b"[]", table(), "the table has no rows"),
    (split(HEAD, []), table(), "the table has no rows"),
    (split(HEAD, [["a"]]), table(), "a row of the table has more or fewer values than there are columns"),
    (split(["id", "target"], [["a", 1]]), table(), "the table has no column that the contract names as prediction"),
    (split([*HEAD, "id"], [[*DATA[0], 2]]), table(), "the table has several columns that the contract names as id"),
    (split(HEAD, [[None, 1, 1, 1]]), table(), "a case has no id"),
    (split(HEAD, [[" ", 1, 1, 1]]), table(), "a case has no id"),
    (split(HEAD, [["a", None, 1, 1]]), table(), "a case has no label"),
    (split(HEAD, [["a", [1], 1, 1]]), table(), "a value that should be text or a number is a list or an object"),
    (split(HEAD, [["a", 1, 1, 1], ["a", 0, 1, 1]]), table(), "two rows about the same case have different labels"),
    (split(HEAD, [["a" * 10_001, 1, 1, 1]]), table(), "an id, a label or a prediction is longer than 10,000 char"),
    (b'[{"id": 1%s}]' % (b"0" * 5000), table(), "the table has no column that the contract names as label"),
    (b'[{"id": 1, "target": 1%s, "prediction": 1}]' % (b"0" * 5000), table(), "a value that should be text or a numb"),
    (b"\xff", table("a.csv"), "the table is not valid CSV with a header: it is not UTF-8"),
    (b'id,target\n"a', table("a.csv", prediction="target"), "the table is not valid CSV with a header"),
    (b"id,target\na,1,2", table("a.csv", prediction="target"), "a row of the table has more or fewer values than"),
    (b"id,target\n" + b"x" * 200_000, table("a.csv", prediction="target"), "the table is not valid CSV with a header"),
    (b"x", table("a.csv"), "the table has no column that the contract names as id"),
    (b"{}\n{", table("a.jsonl"), "the table has no column that the contract names as id"),
    (
        b"PAR1",
        table("a.parquet"),
        "the server can't read Parquet: log CSV or JSON, or have its operator install pyarrow",
    ),
]
BAD_SCORES = [
    (split(["id", "target", "score"], [["a", 1, score]]), scores(), "a score is missing, not a finite number")
    for score in (None, "", "high", "nan", "-inf", "1e999")
]
NOT_POSITIVE = (split(["id", "target", "score"], [["a", "yes", 1]]), scores(), "no case has the positive label; the co")


@pytest.mark.parametrize(("content", "of", "says"), [*BAD, *BAD_SCORES, NOT_POSITIVE])
def test_what_is_wrong_is_said_without_a_user_s_words(content: bytes, of: CaseTable, says: str) -> None:
    assert says in problem(content, of)


@pytest.mark.parametrize(
    "content",
    [
        b"[" + b"1," * 9_900_000 + b"1]",
        b'{"columns": ["id"], "data": [' + b"[]," * 6_000_000 + b"[]]}",
        b'{"columns": ["id"], "data": [[' + b"{}," * 6_000_000 + b"{}]]}",
        b'{"columns": [' + b'"",' * 6_000_000 + b'""], "data": []}',
    ],
)
def test_a_file_made_to_fill_the_memory_does_not(content: bytes) -> None:
    tracemalloc.start()
    try:
        assert problem(content, table()) == "the table has more than 3,000,000 values; log fewer columns"
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_no_more_rows_are_read_than_a_table_can_have() -> None:
    line = b"a,1\n"
    assert len(reading.read(b"id,target\n" + line * rows.MOST_ROWS, table("a.csv", prediction="target"))) == 50_000
    too_many = b"id,target\n" + line * (rows.MOST_ROWS + 1)
    assert (
        problem(too_many, table("a.csv", prediction="target")) == "the table has more than 50,000 rows; log fewer cases"
    )


def is_read_or_explained(content: bytes, of: CaseTable) -> bool:
    try:
        reading.read(content, of)
    except UnreadableError as error:
        return bool(error.sentence)
    return True


@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.jsonl", "a.csv"]))
def test_any_bytes_are_a_table_or_a_sentence(content: bytes, name: str) -> None:
    assert is_read_or_explained(content, table(name))


_CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.dictionaries(st.sampled_from([*HEAD, "score"]), _CELLS), max_size=4), st.booleans())
def test_any_json_is_a_table_or_a_sentence(records: list[dict[str, Any]], scored: bool) -> None:
    assert is_read_or_explained(json.dumps(records).encode(), scores(threshold=0.5) if scored else table())

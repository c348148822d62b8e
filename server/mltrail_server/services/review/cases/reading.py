"""Make cases of a table's rows: texts in one form, scores as numbers, and a plain sentence where that can't be done."""

import math
import sys
from collections.abc import Mapping, Sequence

from mltrail_contract import CaseTable, HigherOrLower
from mltrail_server.domain.cases.metrics import LARGEST
from mltrail_server.domain.cases.plain import composed, name, plain
from mltrail_server.domain.cases.table import Answer, Case

from . import rows
from .rows import UnreadableError, Value

_LONGEST = 10_000  # characters of an id, a label or a prediction
_FEW_LABELS = 100
_COLUMNS = ("id", "label", "prediction", "score", "cluster")


def read(content: bytes, table: CaseTable) -> list[Case]:
    """Read a table of cases. Raises `UnreadableError`, whose sentence contains nothing from the table."""
    columns = {use: name for use in _COLUMNS if (name := getattr(table, use)) is not None}
    places = {use: place for place, use in enumerate(columns)}
    making = _Making(table, places)
    found = [making.case(row) for row in rows.read(content, table.table, columns)]
    _check(table, found)
    return found


class _Making:
    """Makes cases of rows. `places` says where in a row each column is."""

    def __init__(self, table: CaseTable, places: Mapping[str, int]) -> None:
        self._table = table
        self._places = places
        self._positive = plain(table.positive if table.positive is not None else "1")
        self._written: dict[str, str] = {}

    def case(self, row: Sequence[Value]) -> Case:
        name = self._name(row[self._places["id"]])
        cluster = self._text(row, "cluster") if "cluster" in self._places else None
        label, answer = self._answer(row)
        return Case(name, label, answer, cluster or None)

    def _answer(self, row: Sequence[Value]) -> tuple[str | None, Answer]:
        label = self._text(row, "label") if "label" in self._places else None
        if label == "":
            raise UnreadableError("a case has no label")
        if "prediction" in self._places:
            return label, Answer(self._text(row, "prediction") or None)
        score = _number(row[self._places["score"]])
        if label is not None:
            # Whether a score is right depends on the positive label alone, so all others are one.
            label = "1" if label == self._positive else "0"
        if self._table.threshold is None:
            return label, Answer(score=score)
        low_is_good = self._table.better is HigherOrLower.LOWER
        good = score <= self._table.threshold if low_is_good else score >= self._table.threshold
        return label or "1", Answer("1" if good else "0", score)

    def _name(self, value: Value) -> str:
        found = _short(name(value))
        if not found:
            raise UnreadableError("a case has no id")
        written = _short(composed(str(value)))
        if self._written.setdefault(found, written) != written:
            raise UnreadableError(
                "two ids are the same number, written in two ways, such as 1 and 1.0; use one of them"
            )
        return found

    def _text(self, row: Sequence[Value], use: str) -> str:
        return sys.intern(_short(plain(row[self._places[use]])))  # a label is the same text very often


def _short(text: str) -> str:
    if len(text) > _LONGEST:
        raise UnreadableError(f"an id, a label or a prediction is longer than {_LONGEST:,} characters")
    return text


def _number(value: Value) -> float:
    try:
        # A CSV file may say True or False, which are 1 and 0 in JSON.
        found = float(plain(value) if isinstance(value, str) else value) if value is not None else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not abs(found) <= LARGEST:
        raise UnreadableError("a score is missing, not a finite number, or larger than any that makes sense")
    return found


def _check(table: CaseTable, cases: Sequence[Case]) -> None:
    if table.score is not None and table.label is not None and all(case.label == "0" for case in cases):
        raise UnreadableError("no case has the positive label; the contract's key `positive` says which one it is")
    if table.prediction is not None and table.right_or_wrong:
        _check_predictions(cases)
    labels: dict[str, str | None] = {}
    for case in cases:
        if labels.setdefault(case.id, case.label) != case.label:
            raise UnreadableError("two rows about the same case have different labels")


def _check_predictions(cases: Sequence[Case]) -> None:
    """Tell predictions of another kind from wrong ones: with few labels, a model that answers with labels hits some."""
    labels = {case.label for case in cases}
    if 1 < len(labels) <= _FEW_LABELS and not any(case.answer.prediction in labels for case in cases):
        raise UnreadableError(
            "no prediction is any of the labels; the contract's `prediction` is a column with classes, written as the "
            "labels are"
        )

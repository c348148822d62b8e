"""Whatever two tables hold, comparing them ends in a verdict or in a sentence."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_contract import CaseTable, Measure, Model, Rule, Tolerance
from mltrail_server.domain.cases import rule as case_rules
from mltrail_server.domain.cases import words
from mltrail_server.domain.cases.result import CaseResult, found
from mltrail_server.domain.cases.rule import CaseInput
from mltrail_server.domain.cases.wear import wear
from mltrail_server.domain.hypotheses import decide
from mltrail_server.gitlab_api import cases as api
from mltrail_server.services.review.cases import reading
from mltrail_server.services.review.cases.rows import UnreadableError

HEAD = ["id", "y", "p", "s", "who"]
_IDS = st.sampled_from(["a", "a ", "A", "é", "e\u0301", "\u202ex", "日本", "0", "0.0", "-0.0", "\ud800", "b", "c", "d"])
_LABELS = st.sampled_from([0, 1, True, "1.0", "yes", "", None, -1, 1e308, 5e-324, "NaN"])
_SCORES = st.one_of(st.sampled_from([0, 1, 0.5, 1e308, -1e308, 5e-324, "NaN", "inf", None]), st.floats(0, 1))
_ROWS = st.lists(st.tuples(_IDS, _LABELS, _LABELS, _SCORES, st.sampled_from(["x", "y", None])), max_size=12)


def table(measure: Measure, *, clustered: bool) -> CaseTable:
    keys: dict[str, Any] = {"label": "y", "prediction": "p"}
    if measure in {Measure.AUC, Measure.LOG_LOSS, Measure.BRIER}:
        keys = {"label": "y", "score": "s"}
    elif measure is Measure.MEAN_SCORE:
        keys = {"score": "s"}
    return CaseTable("t", "t.json", "id", given_measure=measure, cluster="who" if clustered else None, **keys)


def ends(one: CaseTable, before: list[list[Any]], now: list[list[Any]]) -> CaseResult | None:
    """Do all that a report does with two sides, each with its runs' rows."""
    try:
        sides = [
            [reading.read(json.dumps({"columns": HEAD, "data": rows}).encode(), one) for rows in runs]
            for runs in (before, now)
        ]
    except UnreadableError:
        return None
    compared = found(one, *sides)
    rules = (Rule("", worse_by=Tolerance(1.0, percent=True), cases="t"),)
    for rule in ((), rules):
        asked = CaseInput(Model("m", cases={"t": one}, case_rules=rule), [compared], "main")
        ((shown,), rulings) = case_rules.judge(asked, decide(case_rules.hypotheses(asked)))
        assert shown.reason
        assert all(ruling.sentence for ruling in rulings)
        json.dumps(api.shown(shown), allow_nan=False)
        if shown.compared is not None:
            assert words.about_these_models(shown.compared)
            assert words.about_the_change(shown.compared)
            assert words.values(shown.compared)
            if shown.decision is not None:
                words.by_chance(shown.compared, shown.decision, shown.allowed, lower=shown.lower_is_better)
            assert not math.isnan(shown.compared.evidence.below(0.0))
            assert all(wear(judged, shown.compared).sentence for judged in (1, 10, 1000))
    return compared


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(Measure), st.booleans(), st.lists(_ROWS, min_size=2, max_size=4))
def test_any_rows(measure: Measure, clustered: bool, sides: list[list[Any]]) -> None:
    ends(table(measure, clustered=clustered), sides[:1], sides[1:])


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(Measure), st.booleans(), st.data())
def test_the_same_cases_with_other_answers(measure: Measure, clustered: bool, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    labels = data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=size, max_size=size))
    scores = st.lists(st.sampled_from([0, 0.5, 1, 1e308, -1e29, 1e30, 1e-100, 5e-324]), min_size=size, max_size=size)
    answers = st.lists(st.sampled_from([0, 1, 2, 1e29, 1e308, 1e-100]), min_size=size, max_size=size)

    def side() -> list[Any]:
        said, scored = data.draw(answers), data.draw(scores)
        return [[f"é{n // 2}", labels[n // 2], said[n], scored[n], f"c{n % 2}"] for n in range(size)]

    ends(table(measure, clustered=clustered), [side() for _ in range(2)], [side()])


@pytest.mark.parametrize("measure", Measure)
@pytest.mark.parametrize("rows", [[["a", 1, 1, 1, "x"]], [["a", 1, 1, 1, "x"]] * 5])
@pytest.mark.parametrize("clustered", [False, True])
def test_one_case_that_nothing_has_changed_in(measure: Measure, rows: list[Any], clustered: bool) -> None:
    ends(table(measure, clustered=clustered), [rows], [rows])
    ends(table(measure, clustered=clustered), [rows, rows], [rows, rows])

# ruff: noqa: RUF001 - the true minus sign is what people read
"""Tables of cases are judged together with the metrics of a merge request, by the contract's rules and without."""

import random
import re
from collections.abc import Set as AbstractSet

import pytest

from mltrail_contract import CaseTable, HigherOrLower, Measure, Model, Outcome, Rule, Then, Tolerance
from mltrail_server.domain import judgement
from mltrail_server.domain.cases import words
from mltrail_server.domain.cases.comparison import CaseComparison, CaseMetric, Counts, Method
from mltrail_server.domain.cases.result import CaseResult, found
from mltrail_server.domain.cases.right_or_wrong import McNemarEvidence, Strictest, TangoEvidence
from mltrail_server.domain.cases.table import Answer, Case
from mltrail_server.domain.comparison import compare
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import JudgedModel, ModelInput
from mltrail_server.domain.verdict import Verdict

GOLDEN = CaseTable("golden", "cases.json", "id", label="y", prediction="p")
ONLY = "these two models only: "
NO_DROP = Rule("", worse_by=Tolerance(0.0), cases="golden")


def side(right: list[bool]) -> list[Case]:
    return [Case(f"{number}", "1", Answer("1" if one else "0")) for number, one in enumerate(right)]


def answered(broke: int, fixed: int, cases: int, table: CaseTable = GOLDEN) -> CaseResult:
    rest = [True] * (cases - broke - fixed)
    return found(
        table, [side([True] * broke + [False] * fixed + rest)], [side([False] * broke + [True] * fixed + rest)]
    )


def counted(broke: int, fixed: int, cases: int) -> CaseResult:
    """Say the same as `answered`, without tables."""
    tests = TangoEvidence(fixed, broke, cases), McNemarEvidence(fixed, broke, cases)
    right, counts = cases - broke - fixed, Counts(broke, fixed, cases - broke - fixed, 0)
    before, now = (right + broke) / cases, (right + fixed) / cases
    measured = CaseMetric.ACCURACY, before, now, cases, cases, broke + fixed, Method.MCNEMAR
    return CaseResult(GOLDEN, CaseComparison(*measured, Strictest(tests), counts))


def over_runs(rng: random.Random, *wrong: int, runs: int | None = None) -> list[list[Case]]:
    """Let runs answer 1,000 cases, each so many of them wrong: three runs, or as many as numbers are given."""
    numbers = [*wrong] * (runs or 3) if len(wrong) == 1 else [*wrong]
    missed = [set(rng.sample(range(1000), number)) for number in numbers]
    return [side([case not in each for case in range(1000)]) for each in missed]


def scored(shift: float, cases: int = 200, **keys: HigherOrLower) -> CaseResult:
    rng = random.Random(1)
    before = [rng.gauss(10, 1) for _ in range(cases)]
    table = CaseTable("scores", "scores.json", "id", score="s", **keys)
    sides = [
        [Case(f"{n}", None, Answer(None, one)) for n, one in enumerate(each)]
        for each in (before, [x + shift for x in before])
    ]
    return found(table, [sides[0]], [sides[1]])


def noise(rng: random.Random, metrics: int) -> list[Run]:
    return [
        Run(seed, "run", RunState.SUCCEEDED, {"seed": str(seed)}, {f"auc_{n}": rng.gauss(0, 1) for n in range(metrics)})
        for seed in range(3)
    ]


def judged(
    tables: list[CaseResult], *rules: Rule, metrics: int = 1, red: AbstractSet[str] = frozenset()
) -> JudgedModel:
    """Judge a model's tables, beside so many metrics of which nothing has changed."""
    rng = random.Random(3)
    now, before = noise(rng, metrics), noise(rng, metrics)
    model = Model("churn", cases={one.name: one.table for one in tables}, case_rules=rules)
    given = ModelInput("churn", compare(now, before), model, "main", red, cases=tables)
    return judgement.judge_models([given])["churn"]


def test_with_one_rule_two_points_are_seen_on_a_thousand_cases() -> None:
    """Five of a hundred cases change: 15 are fixed and 35 broken on average, or 25 and 25 if nothing has changed."""
    rng = random.Random(6)

    def failed(share: float) -> float:
        found = 0
        for _ in range(200):
            kinds = rng.choices(("broke", "fixed", ""), weights=(share, 0.05 - share, 0.95), k=1000)
            (ruling,) = judged([counted(kinds.count("broke"), kinds.count("fixed"), 1000)], NO_DROP).rulings
            found += ruling.outcome is Outcome.FAIL
        return found / 200

    assert failed(0.035) >= 0.8
    assert failed(0.025) <= 0.05 + 0.046  # three standard errors


@pytest.mark.parametrize(
    ("broke", "fixed", "cases", "verdict", "reason", "advice"),
    [
        (30, 5, 1000, Verdict.WORSE, "broke 30 of 1,000 cases, fixed 5, more than chance explains", ""),
        (5, 30, 1000, Verdict.BETTER, "broke 5 of 1,000 cases, fixed 30, more than chance explains", ""),
        (
            *(5, 7, 1000, Verdict.NO_CLEAR_CHANGE, "broke 5 of 1,000 cases, fixed 7, could be chance"),
            "a drop of 2.0 pp would be seen four times out of five",
        ),
        (
            *(1, 2, 40, Verdict.CANT_TELL, "broke 1 of 40 cases, fixed 2; too few cases to tell"),
            "with 400 cases, a drop of 5.0 pp would be seen four times out of five",
        ),
        (0, 0, 40, Verdict.NO_CLEAR_CHANGE, "no case broke, none was fixed (40 cases)", ""),
    ],
)
def test_a_table_without_a_rule_is_tested(
    broke: int, fixed: int, cases: int, verdict: Verdict, reason: str, advice: str
) -> None:
    (one,) = judged([answered(broke, fixed, cases)]).cases
    assert (one.verdict, one.reason, one.advice) == (verdict, f"{ONLY}{reason}", advice)


@pytest.mark.parametrize(
    ("broke", "fixed", "verdict", "outcome", "sentence"),
    [
        (
            *(60, 10, Verdict.WORSE, Outcome.FAIL),
            "broke 60 of 1,000 cases, fixed 10, clearly more than the 2.0 pp allowed",
        ),
        (30, 5, Verdict.NO_CLEAR_CHANGE, Outcome.PASS, "broke 30 of 1,000 cases, fixed 5, could be chance"),
        (
            6,
            5,
            Verdict.WITHIN_LIMIT,
            Outcome.PASS,
            "broke 6 of 1,000 cases, fixed 5, at worst −0.72 pp (2.0 pp allowed)",
        ),
    ],
)
def test_a_tolerance_is_in_the_measure(
    broke: int, fixed: int, verdict: Verdict, outcome: Outcome, sentence: str
) -> None:
    rule = Rule("", worse_by=Tolerance(0.02), cases="golden")
    (ruling,) = judged([answered(broke, fixed, 1000)], rule).rulings
    assert ruling.expects == "accuracy must not drop by more than 2.0 pp"
    assert (ruling.verdict, ruling.outcome, ruling.sentence) == (verdict, outcome, f"{ONLY}{sentence}")


@pytest.mark.parametrize(
    ("broke", "fixed", "tolerance", "says"),
    [
        (
            60,
            10,
            0.02,
            "Chance alone would show such a drop beyond the 2.0 pp allowed in less than 0.1 % of such test sets",
        ),
        (30, 5, 0.0, "Chance alone would show such a drop in less than 0.1 % of such test sets"),
        (5, 12, 0.0, "Chance alone would show such a rise in 8.0 % of such test sets"),
        (12, 12, 0.0, ""),
    ],
)
def test_what_chance_would_show_is_said_as_it_was_tested(broke: int, fixed: int, tolerance: float, says: str) -> None:
    rule = Rule("", worse_by=Tolerance(tolerance), cases="golden")
    (one,) = judged([answered(broke, fixed, 1000)], rule).cases
    assert one.compared is not None
    assert one.decision is not None
    said = words.by_chance(one.compared, one.decision, one.allowed, lower=one.lower_is_better)
    assert said == (f"{says} (one-sided, the only test)." if says else "")


def test_with_several_runs_a_side_a_rule_is_about_the_change_and_one_bad_seed_breaks_nothing() -> None:
    """The named model broke 40 cases more than it fixed; the other seeds are as good as those of the baseline."""
    rng = random.Random(4)
    before, bad, good = over_runs(rng, 40), over_runs(rng, 80, runs=1), over_runs(rng, 40, runs=2)
    (alone,) = judged([found(GOLDEN, before[:1], bad)], NO_DROP).rulings
    assert (alone.verdict, alone.outcome) == (Verdict.WORSE, Outcome.FAIL), "these two models differ"
    several = judged([found(GOLDEN, before, [*bad, *good])], NO_DROP)
    (ruling,), (table,) = several.rulings, several.cases
    assert (ruling.verdict, ruling.outcome) == (Verdict.NO_CLEAR_CHANGE, Outcome.PASS)
    assert ruling.sentence.startswith("3 runs here against 3 of the baseline, on the same 1,000 cases: accuracy −1.")
    assert table.counts is not None
    assert table.counts.broke - table.counts.fixed == 40, "what the named model broke is still known"


@pytest.mark.parametrize(("tolerance", "outcome"), [(0.0, Outcome.FAIL), (0.01, Outcome.FAIL), (0.1, Outcome.PASS)])
def test_with_several_runs_a_side_a_worse_recipe_breaks_the_rule_beyond_its_tolerance(
    tolerance: float, outcome: Outcome
) -> None:
    """The named model is the best of its side, and answers as well as the baseline's, which is its worst."""
    rng = random.Random(5)
    before, now = over_runs(rng, 55, 30, 35), over_runs(rng, 60, 95, 100, 105)
    rule = Rule("", worse_by=Tolerance(tolerance), cases="golden")
    assert judged([found(GOLDEN, before[:1], now[:1])], rule).rulings[0].outcome is Outcome.PASS
    (ruling,) = judged([found(GOLDEN, before, now)], rule).rulings
    assert ruling.outcome is outcome
    said = "4 runs here against 3 of the baseline, on the same 1,000 cases: accuracy −5.0 pp, "
    assert ruling.sentence.startswith(said)


def test_a_percentage_is_of_the_mean_of_the_runs() -> None:
    rng = random.Random(6)
    before = [*over_runs(rng, 500, runs=1), *over_runs(rng, 100, runs=3)]
    rule = Rule("", worse_by=Tolerance(10, percent=True), cases="golden")
    (one,) = judged([found(GOLDEN, before, over_runs(rng, 200))], rule).cases
    assert one.allowed == pytest.approx(0.08)


def test_with_several_runs_on_one_side_only_a_rule_is_about_the_two_named_models() -> None:
    rng = random.Random(7)
    (one,) = judged([found(GOLDEN, over_runs(rng, 40), over_runs(rng, 100, runs=1))], NO_DROP).rulings
    assert one.outcome is Outcome.FAIL
    assert one.sentence.startswith("these two models only: broke ")


def test_copies_of_a_run_are_not_several() -> None:
    rng = random.Random(10)
    one = over_runs(rng, 100, runs=1)
    (ruling,) = judged([found(GOLDEN, over_runs(rng, 40), one * 3)], NO_DROP).rulings
    assert ruling.sentence.startswith("these two models only: broke ")


def test_runs_that_are_made_to_differ_hide_no_drop() -> None:
    """Two of its runs answer hardly any case right, so that nothing would be clear over all of them."""
    rng = random.Random(11)
    before, now = over_runs(rng, 40, runs=5), over_runs(rng, 100, 110, 90, 700, 900)
    (ruling,) = judged([found(GOLDEN, before, now)], NO_DROP).rulings
    assert ruling.outcome is Outcome.FAIL
    assert ruling.sentence.startswith("these two models only: broke ")


def test_a_run_that_leaves_out_cases_does_not_decide_which_ones_count() -> None:
    """Its other runs have logged nothing but cases that they have right."""
    rng = random.Random(8)
    before, now = over_runs(rng, 40), over_runs(rng, 100, runs=1)
    easy = [[one for one in table if one.answer == Answer("1")] for table in over_runs(rng, 100, runs=2)]
    (one,) = judged([found(GOLDEN, before, [*now, *easy])], NO_DROP).rulings
    assert one.outcome is Outcome.FAIL
    assert one.sentence.startswith("these two models only: broke ")


def test_too_few_runs_say_how_many_would_tell() -> None:
    rng = random.Random(9)
    before, now = over_runs(rng, 40, 100), over_runs(rng, 60, 90)
    (one,) = judged([found(GOLDEN, before, now)], NO_DROP).rulings
    assert (one.verdict, one.sentence.rpartition("; ")[2]) == (Verdict.CANT_TELL, "too few runs to tell")
    assert re.fullmatch(r"with \d+ runs a side, a drop of 5.0 pp would be seen four times out of five", one.advice)


def test_both_bounds_of_a_rule_hold() -> None:
    rule = Rule("", worse_by=Tolerance(0.0), cases="golden", broke_at_most=10)
    many, clearly, neither = (judged([answered(*one, 1000)], rule).rulings[0] for one in ((11, 30), (8, 0), (8, 7)))
    assert many.sentence == "broke 11 of 1,000 cases (10 allowed), fixed 30"
    assert (many.verdict, clearly.verdict, neither.verdict) == (Verdict.WORSE, Verdict.WORSE, Verdict.NO_CLEAR_CHANGE)
    assert neither.outcome is Outcome.PASS
    assert neither.expects == "must break at most 10 cases, accuracy must not drop"


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_rules_about_a_table_the_worse_one_is_its_verdict(turned: bool) -> None:
    wide = Rule("", worse_by=Tolerance(0.2), cases="golden")
    found = judged([answered(60, 10, 1000)], *((NO_DROP, wide) if turned else (wide, NO_DROP)))
    assert sorted(one.verdict for one in found.rulings) == [Verdict.WITHIN_LIMIT, Verdict.WORSE]
    (one,) = found.cases
    assert (one.verdict, one.reason) == (
        Verdict.WORSE,
        "these two models only: broke 60 of 1,000 cases, fixed 10, more than chance explains",
    )


@pytest.mark.parametrize(
    ("keys", "shift", "verdict"),
    [
        ({}, -0.5, Verdict.WORSE),
        ({}, 0.5, Verdict.BETTER),
        ({"better": HigherOrLower.LOWER}, 0.5, Verdict.WORSE),
        ({"better": HigherOrLower.LOWER}, -0.5, Verdict.BETTER),
    ],
)
def test_a_score_is_better_the_way_that_the_table_says(
    keys: dict[str, HigherOrLower], shift: float, verdict: Verdict
) -> None:
    (one,) = judged([scored(shift, **keys)]).cases
    assert one.verdict is verdict


def test_a_low_score_that_counts_as_right_does_not_make_a_low_accuracy_good() -> None:
    table = CaseTable("golden", "a.csv", "id", score="s", threshold=3, better=HigherOrLower.LOWER)
    assert table.measure is Measure.ACCURACY
    (one,) = judged([answered(30, 5, 1000, table)]).cases
    assert one.verdict is Verdict.WORSE


def test_cases_share_the_false_alarms_with_the_metrics() -> None:
    tables = [answered(15, 4, 1000)]
    assert judged(tables).cases[0].verdict is Verdict.WORSE
    assert judged(tables, metrics=30).cases[0].verdict is Verdict.NO_CLEAR_CHANGE
    assert judged(tables, NO_DROP, metrics=30).cases[0].verdict is Verdict.WORSE, "a rule that can fail has its own"


def test_a_table_and_a_metric_of_the_same_name_are_two_things() -> None:
    table = CaseTable("auc_0", "cases.json", "id", label="y", prediction="p")
    found = judged([answered(30, 5, 1000, table)])
    assert (found.cases[0].verdict, found.comparison.metrics[0].verdict) != (Verdict.WORSE, Verdict.WORSE)
    assert found.cases[0].verdict is Verdict.WORSE


def test_a_rule_that_was_broken_before_is_cleared_by_evidence_only() -> None:
    warn = Rule("", worse_by=Tolerance(0.0), cases="golden", then=Then.WARN)
    red = {"churn: golden accuracy must not drop"}
    again = judged([answered(12, 8, 1000)], NO_DROP, red=red).rulings[0]
    fixed = judged([answered(8, 12, 1000)], NO_DROP, red=red).rulings[0]
    assert (again.verdict, again.outcome) == (Verdict.NO_CLEAR_CHANGE, Outcome.PASS)
    still = judged([answered(14, 8, 1000)], NO_DROP, red=red).rulings[0]
    assert (still.verdict, still.outcome, fixed.outcome) == (Verdict.WORSE, Outcome.FAIL, Outcome.PASS)
    assert judged([answered(14, 8, 1000)], warn).rulings[0].outcome is Outcome.PASS

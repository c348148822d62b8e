"""What scorers say of traces is compared scorer by scorer and case by case, and rules hold whatever a model writes."""

import random
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import pytest
from scipy import stats

from mltrail_contract import Evaluation, HigherOrLower, Model, Outcome, Rule, Tolerance
from mltrail_server.domain import judgement
from mltrail_server.domain.cases import evaluate, marks
from mltrail_server.domain.cases.evaluate import RunAnswers
from mltrail_server.domain.cases.evaluation import CaseTrace, Change, EvaluationResult, Kind, Mark, ScorerResult
from mltrail_server.domain.comparison import NO_BASELINE, compare
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import JudgedModel, ModelInput
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.verdict import Verdict

GOLDEN = Evaluation("golden", "golden")
Side = Mapping[str, Sequence[Any]]
"""What each scorer says of the cases, in their order: a mark, an error (an exception), or nothing (...)."""


def mark(value: Any) -> Mark:
    return Mark(None, error="SCORER_ERROR") if isinstance(value, Exception) else Mark(value)


def side(number: int, said: Side, **keys: Any) -> RunAnswers:
    cases = {
        f"q{case}": (
            CaseTrace(
                f"tr-{number}-{case}",
                {scorer: mark(values[case]) for scorer, values in said.items() if values[case] is not ...},
            ),
        )
        for case in range(max(map(len, said.values())))
    }
    return RunAnswers(number, f"run{number}", "golden", cases, **keys)


def found(
    before: Side | RunAnswers | None, now: Side | RunAnswers, asked: Evaluation = GOLDEN, *, stated: bool = True
) -> EvaluationResult:
    here = now if isinstance(now, RunAnswers) else side(2, now)
    there = before if isinstance(before, RunAnswers) or before is None else side(1, before)
    return evaluate.evaluate(asked, [] if there is None else [there], [here], stated=stated)


def scorer(result: EvaluationResult, name: str = "exact") -> ScorerResult:
    return next(one for one in result.scorers if one.name == name)


def ids(result: EvaluationResult, change: Change) -> list[str]:
    return [one.id for one in result.that(change)]


def test_a_case_is_broken_if_any_scorer_broke_it() -> None:
    before = {"exact": [True, True, False, False, True], "safe": ["yes", "yes", "yes", "no", "yes"]}
    now = {"exact": [True, False, True, True, True], "safe": ["no", "yes", "no", "yes", "yes"]}
    result = found(before, now)
    assert ids(result, Change.BROKE) == ["q0", "q1", "q2"]
    assert ids(result, Change.FIXED) == ["q3"]
    assert result.counts is not None
    assert (result.counts.broke, result.counts.fixed, result.counts.n) == (3, 1, 5)
    assert [one.broke for one in result.cases] == [("safe",), ("exact",), ("safe",), (), ()]
    exact = scorer(result).result
    assert exact.counts is not None
    assert (exact.name, exact.counts.broke, exact.counts.fixed) == ("golden · exact", 1, 2)
    assert scorer(result).values == (0.8, 0.6)


@pytest.mark.parametrize(
    ("value", "passed"),
    [
        *((True, True), (False, False), ("yes", True), ("No", False), (" PASS ", True), ("fail", False)),
        *(("true", True), ("maybe", False), ("", False), ([], False), ({"a": 1}, False), (None, False)),
    ],
)
def test_only_what_says_so_passes(value: Any, passed: bool) -> None:
    """A judge's answer is a model's text: anything else than a pass is none."""
    read = marks.judged(Mark(value), Kind.PASS_FAIL, bar=None, better=HigherOrLower.HIGHER)
    assert read.passed is passed
    assert bool(read.error) is not isinstance(marks.verdict_of(value), bool)


@pytest.mark.parametrize(("better", "passes"), [(HigherOrLower.HIGHER, [4, 5]), (HigherOrLower.LOWER, [1, 2, 3, 4])])
def test_numbers_pass_at_their_bar(better: HigherOrLower, passes: list[int]) -> None:
    asked = Evaluation("golden", "golden", pass_at={"mark": 4}, better={"mark": better})
    result = found({"mark": [1, 2, 3, 4, 5]}, {"mark": [1, 2, 3, 4, 5]}, asked)
    assert [one.here[0].marks["mark"].value for one in result.cases if one.passed] == passes
    assert scorer(result, "mark").result.compared is not None
    assert scorer(result, "mark").result.lower_is_better is (better is HigherOrLower.LOWER)
    assert scorer(result, "mark").result.table.right_or_wrong


def test_true_may_be_bad() -> None:
    asked = Evaluation("golden", "golden", better={"toxic": HigherOrLower.LOWER})
    result = found({"toxic": [False, False]}, {"toxic": [False, True]}, asked)
    assert ids(result, Change.BROKE) == ["q1"]


def test_numbers_without_a_bar_pass_and_fail_nothing() -> None:
    result = found({"relevance": [0.5, 0.7]}, {"relevance": [0.4, 0.7]})
    assert result.counts is None
    assert {one.passed for one in result.cases} == {None}
    assert scorer(result, "relevance").result.compared is not None
    assert scorer(result, "relevance").values == pytest.approx((0.55, 0.6))


def test_a_number_of_which_nobody_knows_which_way_is_better_is_shown_and_not_compared() -> None:
    undirected = found({"exact": [1, 2]}, {"exact": [2, 3]}, stated=False)
    assert "higher or a lower" in scorer(undirected).result.problem
    assert scorer(undirected).values == (2.5, 1.5)
    assert not scorer(undirected).result.ours
    assert scorer(found({"toxicity": [0.1]}, {"toxicity": [0.9]}, stated=False), "toxicity").result.lower_is_better
    assert scorer(found({"exact": [1, 2]}, {"exact": [2, 3]}, stated=True)).result.compared is not None


def test_an_error_of_a_scorer_has_failed_and_is_counted() -> None:
    result = found(
        {"exact": [True, True], "relevance": [0.2, 0.9]},
        {"exact": [True, ValueError()], "relevance": [ValueError(), 0.9]},
    )
    assert ids(result, Change.BROKE) == ["q1"]
    assert scorer(result).errors == (1, 0)
    compared = scorer(result, "relevance").result.compared
    assert compared is not None
    assert (compared.before, compared.now) == pytest.approx((0.55, 0.55))  # the worst mark of both sides is 0.2


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), 1e300, "yes", None, [1], True])
def test_an_odd_value_among_numbers_is_the_worst_one(odd: Any) -> None:
    result = found({"relevance": [0.5, 0.6, 0.7, 0.8]}, {"relevance": [0.5, 0.6, 0.7, odd]})
    compared = scorer(result, "relevance").result.compared
    assert compared is not None
    assert compared.now == pytest.approx((0.5 + 0.6 + 0.7 + 0.5) / 4)
    assert scorer(result, "relevance").errors == (1, 0)


def test_an_application_that_failed_fails_by_all_scorers() -> None:
    now = side(2, {"exact": [True, ...]})
    failed = CaseTrace("tr-2-1", {}, failed=True)
    result = found({"exact": [True, True]}, RunAnswers(2, "", "golden", {**now.cases, "q1": (failed,)}))
    assert ids(result, Change.BROKE) == ["q1"]
    assert result.cases[1].here[0].marks["exact"].error == marks.NO_ANSWER


def test_leaving_out_a_case_or_a_judgement_is_no_way_to_pass() -> None:
    fewer = found({"exact": [True, True, False]}, {"exact": [True, True]})
    assert scorer(fewer).result.problem == "1 of the baseline's 3 cases is missing here"
    assert scorer(fewer).result.ours
    assert ids(fewer, Change.MISSING) == ["q2"]
    unjudged = found({"exact": [True, False], "safe": [True, True]}, {"exact": [True, ...], "safe": [True, True]})
    assert scorer(unjudged).result.ours
    assert unjudged.cases[1].failed == ("exact",)
    assert unjudged.cases[1].passed is False


def test_more_cases_are_compared_once_the_baseline_has_them() -> None:
    result = found({"exact": [True]}, {"exact": [True, False]})
    assert scorer(result).result.added == 1
    assert result.counts is not None
    assert result.counts.n == 1


def test_a_scorer_that_is_gone_is_this_side_s_doing_and_a_new_one_is_not() -> None:
    gone = scorer(found({"exact": [True], "safe": [True]}, {"exact": [True]}), "safe").result
    assert (gone.problem, gone.ours) == ("this scorer judged no case here", True)
    new = scorer(found({"exact": [True]}, {"exact": [True], "safe": [True]}), "safe").result
    assert (new.problem, new.ours) == ("the baseline does not have this scorer", False)


@pytest.mark.parametrize(
    ("keys", "others", "says"),
    [
        ({"digests": {"exact": frozenset({"a"})}}, {"digests": {"exact": frozenset({"b"})}}, "code has changed"),
        (
            {"judges": {"exact": frozenset({"openai:/x"})}},
            {"judges": {"exact": frozenset({"<b>@all"})}},
            "judge model",
        ),
        ({"expected": {"q0": "a"}}, {"expected": {"q0": "b"}}, "the expectations of 1 case are not the baseline's"),
        ({"expected": {"q0": "a", "q1": "c"}}, {}, "the expectations of 2 cases are not the baseline's"),
        ({}, {"deleted": 2}, "2 traces of this run were deleted"),
        ({}, {"problem": "there are too many traces"}, "there are too many traces"),
    ],
)
def test_what_differs_is_said_without_anybody_s_words(
    keys: Mapping[str, Any], others: Mapping[str, Any], says: str
) -> None:
    said: Side = {"exact": [True, True]}
    result = scorer(found(side(1, said, **keys), side(2, said, **others)))
    assert says in result.result.problem
    assert result.result.ours
    assert "<" not in result.result.problem
    if result.differs is not None and result.differs.what == "judge":
        assert (result.differs.here, result.differs.baseline) == ("<b>@all", "openai:/x")


def test_a_baseline_of_an_older_client_that_does_not_say_who_judged_is_compared() -> None:
    known = side(2, {"exact": [True]}, digests={"exact": frozenset({"a"})})
    assert scorer(found({"exact": [True]}, known)).result.compared is not None


def test_traces_that_the_baseline_has_lost_are_not_this_side_s_doing() -> None:
    result = found(side(1, {"exact": [True]}, deleted=1), {"exact": [True]})
    assert (result.problem, result.ours) == ("in the baseline, 1 trace was deleted", False)


def test_without_a_baseline_cases_pass_and_fail_all_the_same() -> None:
    result = found(None, {"exact": [True, False]})
    assert (result.problem, result.ours, result.counts) == (NO_BASELINE, False, None)
    assert [one.passed for one in result.cases] == [True, False]
    assert scorer(result).values == (0.5, None)


def test_a_scorer_whose_answers_are_of_another_kind_now() -> None:
    result = scorer(found({"exact": [True, True]}, {"exact": [0.9, 0.8]}))
    assert (result.result.problem, result.result.ours) == (
        "this scorer's values are of another kind than in the baseline",
        True,
    )
    essays = scorer(found({"style": ["warm", "cold"]}, {"style": ["warm", "warm"]}), "style")
    assert (essays.kind, essays.result.ours) == (Kind.OTHER, False)


def test_repeats_of_a_case_are_one_cluster() -> None:
    """Three answers to a question are no three questions: of 8 cases that break in all repeats, 8 are counted."""
    rng = random.Random(5)

    def repeated(number: int, broken: AbstractSet[int]) -> RunAnswers:
        cases = {
            f"q{case}": tuple(
                CaseTrace(f"tr-{number}-{case}-{repeat}", {"exact": Mark(case not in broken)}) for repeat in range(3)
            )
            for case in range(100)
        }
        return RunAnswers(number, "", "golden", cases)

    broken = set(rng.sample(range(100), 8))
    result = found(repeated(1, set()), repeated(2, broken))
    compared = scorer(result).result.compared
    assert compared is not None
    assert (compared.cases, compared.clusters) == (100, 100)
    assert compared.counts is not None
    assert compared.counts.broke == 8
    p = stats.binomtest(8, 8, 0.5, alternative="greater").pvalue
    assert p <= compared.evidence.below(0.0) < 0.05


def test_right_and_wrong_are_tested_as_scipy_does() -> None:
    before = {"exact": [True] * 15 + [False] * 4 + [True] * 60}
    now = {"exact": [False] * 15 + [True] * 4 + [True] * 60}
    compared = scorer(found(before, now)).result.compared
    assert compared is not None
    exact = stats.binomtest(15, 19, 0.5, alternative="greater").pvalue
    assert compared.evidence.below(0.0) == pytest.approx(exact, rel=1e-9)


def test_labels_say_no_word_of_a_case() -> None:
    digest = "3f2a91" + 10 * "0"
    answered = RunAnswers(
        2,
        "",
        "tests",
        {
            "tests/test_a.py::test_refund[late]": (CaseTrace("tr-1", {"exact": Mark(True)}),),
            digest: (CaseTrace("tr-2", {"exact": Mark(True)}),),
            "question-17": (CaseTrace("tr-3", {"exact": Mark(True)}),),
        },
        frozenset({"tests/test_a.py::test_refund[late]"}),
    )
    assert [one.label for one in found(None, answered).cases] == ["test_refund[late]", "3f2a91", "question-17"]


def test_labels_are_the_same_in_whichever_order_traces_began() -> None:
    digests = ["3f2a91" + 10 * "0", "407e6e" + 10 * "a", "407e6e" + 9 * "a" + "b", "407e6f" + 10 * "0"]
    labels = {}
    for order in (digests, digests[::-1]):
        cases = {case: (CaseTrace("tr-1", {"exact": Mark(True)}),) for case in order}
        found_cases = found(None, RunAnswers(2, "", "golden-set", cases)).cases
        labels[order[0]] = {one.id: one.label for one in found_cases}
    assert labels[digests[0]] == labels[digests[-1]]
    assert [labels[digests[0]][case] for case in digests] == ["3f2a91", digests[1], digests[2], "407e6f"]


def test_only_the_scorers_that_count_are_compared() -> None:
    said: Side = {"exact": [True], "exact_too": [True], "other": [True]}
    result = found(said, said, Evaluation("golden", "golden", scorers=("exact*",)))
    assert [one.name for one in result.scorers] == ["exact", "exact_too"]
    assert set(result.cases[0].here[0].marks) == {"exact", "exact_too"}


# Rules.


def a_run() -> list[Run]:
    return [Run(1, "run", RunState.SUCCEEDED, {}, {"loss": 0.5})]


def judged(
    result: EvaluationResult | None, *rules: Rule, red: AbstractSet[str] = frozenset(), before: bool = True, **keys: Any
) -> JudgedModel:
    model = Model("m", evaluations={"golden": GOLDEN}, case_rules=rules, **keys)
    tables = [one.result for one in result.scorers] if result is not None else [evaluate.missing(GOLDEN, before=before)]
    evaluations = [result] if result is not None else []
    given = ModelInput("m", compare(a_run(), a_run()), model, "main", red, cases=tables, evaluations=evaluations)
    return judgement.judge_models([given])["m"]


def ruled(result: EvaluationResult | None, rule: Rule, **keys: Any) -> Ruling:
    (ruling,) = judged(result, rule, **keys).rulings
    return ruling


def passing(wrong: Iterable[int], cases: int = 100) -> list[bool]:
    missed = set(wrong)
    return [case not in missed for case in range(cases)]


@pytest.mark.parametrize(("most", "outcome"), [(2, Outcome.FAIL), (3, Outcome.PASS)])
def test_broken_cases_are_counted_over_all_scorers(most: int, outcome: Outcome) -> None:
    before = {"exact": passing([]), "safe": passing([])}
    now = {"exact": passing([1, 2]), "safe": passing([2, 3])}
    ruling = ruled(found(before, now), Rule("", cases="golden", broke_at_most=most))
    assert (ruling.outcome, ruling.metric) == (outcome, "golden")
    assert ruling.sentence.startswith("broke 3 of 100 cases")
    assert ruling.expects == f"must break at most {most} cases"
    of_one = ruled(found(before, now), Rule("", cases="golden", broke_at_most=most, scorer="exact"))
    assert (of_one.outcome, of_one.metric) == (Outcome.PASS, "golden · exact")


def test_each_scorer_is_held_to_a_tolerance_by_itself() -> None:
    before = {"exact": passing([]), "safe": passing([])}
    now = {"exact": passing(range(20)), "safe": passing([])}
    rulings = judged(found(before, now), Rule("", cases="golden", worse_by=Tolerance(0.02))).rulings
    assert [(one.metric, one.outcome, one.verdict) for one in rulings] == [
        ("golden · exact", Outcome.FAIL, Verdict.WORSE),
        ("golden · safe", Outcome.PASS, Verdict.NO_CLEAR_CHANGE),
    ]
    assert rulings[0].expects == "pass rate must not drop by more than 2.0 pp"
    assert rulings[0].decision is not None
    assert rulings[0].decision.tests == 2


def test_scorers_share_one_chance_of_a_false_alarm() -> None:
    """A drop that a single scorer would be called worse for is no more than chance among twenty of them."""
    alone = found({"exact": passing([])}, {"exact": passing(range(5))})
    (table,) = judged(alone).cases
    assert table.verdict is Verdict.WORSE
    same = {f"other{number}": passing([]) for number in range(20)}
    many = found({"exact": passing([]), **same}, {"exact": passing(range(5)), **same})
    tables = {one.scorer: one for one in judged(many).cases}
    assert tables["exact"].verdict is Verdict.NO_CLEAR_CHANGE or tables["exact"].verdict is Verdict.CANT_TELL


@pytest.mark.parametrize(("least", "outcome"), [(0.8, Outcome.PASS), (0.81, Outcome.FAIL)])
def test_a_pass_rate_needs_no_baseline(least: float, outcome: Outcome) -> None:
    result = found(None, {"exact": passing(range(20))})
    ruling = ruled(result, Rule("", cases="golden", pass_rate_at_least=least))
    assert (ruling.outcome, ruling.sentence) == (
        outcome,
        f"80 of 100 cases pass; must be at least {least * 100:g} %",
    )


def test_cases_that_are_missing_have_not_passed() -> None:
    result = found({"exact": passing([], 10)}, {"exact": passing([], 8)})
    rate = ruled(result, Rule("", cases="golden", pass_rate_at_least=0.9))
    assert (rate.outcome, rate.sentence) == (
        Outcome.FAIL,
        "8 of 10 cases (2 missing) pass; must be at least 90 %",
    )
    must = ruled(result, Rule("", cases="golden", must_pass=("q8", "q1")))
    assert (must.outcome, must.sentence) == (Outcome.FAIL, "1 of 2 cases that must pass does not")


@pytest.mark.parametrize(
    ("globs", "outcome", "sentence"),
    [
        (("q1", "q2*"), Outcome.PASS, "all 2 cases that must pass do"),
        (("q3",), Outcome.FAIL, "1 of 1 case that must pass does not"),
        (("q1", "none*"), Outcome.FAIL, "1 pattern of `must_pass` matches no case"),
        (("[", "q1"), Outcome.FAIL, "1 pattern of `must_pass` matches no case"),
    ],
)
def test_named_cases_must_pass(globs: tuple[str, ...], outcome: Outcome, sentence: str) -> None:
    result = found(None, {"exact": passing([3], 5)})
    ruling = ruled(result, Rule("", cases="golden", must_pass=globs))
    assert (ruling.outcome, ruling.sentence) == (outcome, sentence)


def test_a_case_must_pass_by_every_scorer_of_the_rule() -> None:
    result = found(None, {"exact": passing([]), "safe": passing([7])})
    assert ruled(result, Rule("", cases="golden", must_pass=("q7",))).outcome is Outcome.FAIL
    assert ruled(result, Rule("", cases="golden", must_pass=("q7",), scorer="exact")).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "rule",
    [
        Rule("", cases="golden", broke_at_most=2),
        Rule("", cases="golden", worse_by=Tolerance(0.0)),
        Rule("", cases="golden", pass_rate_at_least=0.5),
        Rule("", cases="golden", must_pass=("q1",)),
    ],
)
def test_an_evaluation_that_is_not_logged_breaks_its_rules_only_if_the_baseline_has_it(rule: Rule) -> None:
    missing = ruled(None, rule)
    assert (missing.outcome, missing.verdict) == (Outcome.FAIL, Verdict.CANT_TELL)
    assert missing.sentence == "the evaluation was not logged here"
    never = ruled(None, rule, before=False, if_unknown=Outcome.WARN)
    assert (never.outcome, never.sentence) == (Outcome.WARN, "no run has this evaluation")


@pytest.mark.parametrize("bound", [{"broke_at_most": 2}, {"worse_by": Tolerance(0.1)}])
def test_another_scorer_breaks_rules_that_compare_until_somebody_accepts_it(bound: Mapping[str, Any]) -> None:
    said: Side = {"exact": passing([])}
    other = found(
        side(1, said, digests={"exact": frozenset({"a"})}), side(2, said, digests={"exact": frozenset({"b"})})
    )
    ruling = ruled(other, Rule("", cases="golden", **bound))
    assert (ruling.outcome, ruling.verdict) == (Outcome.FAIL, Verdict.CANT_TELL)
    assert "code has changed" in ruling.sentence
    assert "this merge request is the cause" in ruling.advice
    assert ruled(other, Rule("", cases="golden", pass_rate_at_least=0.9)).outcome is Outcome.PASS


def test_a_new_scorer_is_no_reason_for_a_rule_about_all_of_them() -> None:
    result = found({"exact": passing([])}, {"exact": passing([]), "safe": passing([1])})
    rulings = judged(
        result,
        Rule("", cases="golden", broke_at_most=0),
        Rule("", cases="golden", worse_by=Tolerance(0.05)),
        if_unknown=Outcome.FAIL,
    ).rulings
    assert [(one.metric, one.outcome) for one in rulings] == [
        ("golden", Outcome.PASS),
        ("golden · exact", Outcome.PASS),
    ]


def test_a_rule_that_failed_before_stays_broken_while_nobody_can_tell() -> None:
    rule = Rule("", cases="golden", worse_by=Tolerance(0.0), scorer="exact")
    red = {"m: golden · exact pass rate must not drop"}
    there = side(1, {"exact": passing([])}, deleted=3)
    ruling = ruled(found(there, {"exact": passing([])}), rule, red=red)
    assert (ruling.outcome, ruling.verdict) == (Outcome.FAIL, Verdict.CANT_TELL)
    bar = ruled(
        None, Rule("", cases="golden", broke_at_most=2), before=False, red={"m: golden must break at most 2 cases"}
    )
    assert bar.outcome is Outcome.FAIL


def test_what_was_red_stays_red_when_both_sides_have_lost_the_evaluation() -> None:
    rule = Rule("", cases="golden", worse_by=Tolerance(0.0))
    rulings = judged(None, rule, before=False, red={"m: golden · exact pass rate must not drop"}).rulings
    assert Outcome.FAIL in [one.outcome for one in rulings]


def test_rules_say_nothing_that_anybody_wrote() -> None:
    hostile = "<img src=x> @all /close"
    before, now = {hostile: passing([])}, {hostile: passing(range(30))}
    rules = [
        Rule("", cases="golden", broke_at_most=0),
        Rule("", cases="golden", worse_by=Tolerance(0.0)),
        Rule("", cases="golden", pass_rate_at_least=0.9, must_pass=(hostile,)),
    ]
    for ruling in judged(found(before, now), *rules).rulings:
        assert hostile not in ruling.sentence + ruling.expects + ruling.advice
    assert all(hostile not in one.reason + one.problem for one in judged(found(before, now)).cases)

# ruff: noqa: RUF001 - the true minus sign is what people read
"""The contract's rules against a comparison: what passes, what warns, what fails, and what is said of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mltrail_contract import HigherOrLower, Model, Outcome, Rule, Then, Tolerance, Value
from mltrail_server.domain import gate, judgement, rules
from mltrail_server.domain.comparison import MetricChange, compare
from mltrail_server.domain.grouping import Extremes, Run, RunState
from mltrail_server.domain.judgement import JudgedModel, ModelInput
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.verdict import Verdict

STEADY = (0.80, 0.81, 0.82, 0.80, 0.81)
DROP = Rule("val_accuracy", better=HigherOrLower.HIGHER, worse_by=Tolerance(0.002))


def runs(values: Sequence[float], *, metric: str = "val_accuracy", first: int = 1, **more: Any) -> list[Run]:
    return [
        Run(first + seed, "run", RunState.SUCCEEDED, {"seed": str(seed)}, {metric: value}, **more)
        for seed, value in enumerate(values)
    ]


def ruled(now: list[Run], before: list[Run], *rules: Rule, target: str = "main", **model: Any) -> list[Ruling]:
    return list(judged(now, before, *rules, target=target, **model).rulings)


def judged(
    now: list[Run],
    before: list[Run],
    *rules: Rule,
    history: Sequence[list[Run]] = (),
    target: str = "main",
    red: frozenset[str] = frozenset(),
    earlier: Sequence[list[Run]] = (),
    **model: Any,
) -> JudgedModel:
    written = Model("churn", rules=rules, **model)
    compared = compare(now, before, history=history, earlier=earlier, model=written)
    return judgement.judge_models([ModelInput("churn", compared, written, target, red)])["churn"]


def only(now: list[Run], before: list[Run], **model: Any) -> MetricChange:
    (metric,) = judged(now, before, **model).comparison.metrics
    return metric


@pytest.mark.parametrize(
    ("now", "before", "outcome", "sentence"),
    [
        ((0.70, 0.71, 0.72), STEADY, Outcome.FAIL, "−9.8 pp, clearly more than allowed: −0.2 pp"),
        ((0.90, 0.91, 0.92), STEADY, Outcome.PASS, "+10 pp, more than chance explains"),
        ((0.800, 0.805, 0.81), STEADY, Outcome.PASS, "−0.3 pp, could be chance; allowed: −0.2 pp"),
        (
            (0.80,),
            (0.81,),
            Outcome.WARN,
            "−1.0 pp, allowed: −0.2 pp; one run on each side can't show how much is chance",
        ),
        ((0.81,), (0.81,), Outcome.PASS, "the same value"),
        ((0.70,), (), Outcome.PASS, "no baseline yet"),
    ],
)
def test_a_drop_fails_when_it_is_clearly_larger_than_allowed(
    now: Sequence[float], before: Sequence[float], outcome: Outcome, sentence: str
) -> None:
    (ruling,) = ruled(runs(now), runs(before), DROP)
    assert (ruling.outcome, ruling.sentence) == (outcome, sentence)
    assert ruling.expects == "must not drop by more than 0.002"


def test_a_drop_within_the_tolerance_passes() -> None:
    (ruling,) = ruled(runs([0.7990, 0.7991]), runs([0.8000, 0.8001]), DROP)
    assert (ruling.outcome, ruling.sentence) == (
        Outcome.PASS,
        "−0.10 pp, could be as low as −0.12 pp; allowed: −0.2 pp",
    )


@pytest.mark.parametrize("wanted", list(Outcome))
def test_the_contract_says_what_becomes_of_what_nobody_can_tell(wanted: Outcome) -> None:
    (ruling,) = ruled(runs([0.70]), runs([0.80]), DROP, if_unknown=wanted)
    assert (ruling.outcome, ruling.known) == (wanted, False)


def test_absolute_bounds_need_no_baseline_and_no_seeds() -> None:
    floor = Rule("val_accuracy", at_least=0.9, then=Then.WARN)
    ceiling = Rule("val_accuracy", at_most=0.85)
    low, high = ruled(runs([0.88]), [], floor, ceiling)
    assert (low.outcome, low.expects, low.sentence) == (Outcome.WARN, "at least 0.9", "0.8800; must be at least 0.9")
    assert (high.outcome, high.expects, high.sentence) == (Outcome.FAIL, "at most 0.85", "0.8800; must be at most 0.85")


def test_per_cent_are_of_the_baseline_and_lower_may_be_better() -> None:
    rule = Rule("latency_ms", better=HigherOrLower.LOWER, worse_by=Tolerance(10, percent=True), then=Then.WARN)
    before = runs([100, 101, 99], metric="latency_ms")
    (slower,) = ruled(runs([120, 121, 119], metric="latency_ms"), before, rule)
    (within,) = ruled(runs([108, 109, 107], metric="latency_ms"), before, rule)
    assert (slower.outcome, slower.sentence) == (Outcome.WARN, "+20 ms (+20 %), clearly more than allowed: +10 %")
    assert slower.expects == "must not rise by more than 10 %"
    assert within.outcome is Outcome.PASS


def test_a_metric_that_is_gone_breaks_its_rule() -> None:
    now = runs([0.9, 0.91], metric="other")
    (ruling,) = ruled(now, runs(STEADY), DROP)
    assert (ruling.outcome, ruling.sentence) == (Outcome.FAIL, "no longer logged")


def test_a_metric_that_never_was_is_unknown() -> None:
    (ruling,) = ruled(runs([0.9], metric="other"), [], DROP)
    assert (ruling.outcome, ruling.known) == (Outcome.WARN, False)


def test_a_glob_is_a_rule_for_each_slice() -> None:
    def sliced(values: dict[str, float]) -> list[Run]:
        return [Run(1, "run", RunState.SUCCEEDED, {}, values)]

    rule = Rule("f1/*", at_least=0.7)
    rulings = ruled(sliced({"f1/old": 0.8, "f1/young": 0.6, "accuracy": 0.1}), [], rule)
    assert [(one.metric, one.outcome) for one in rulings] == [("f1/old", Outcome.PASS), ("f1/young", Outcome.FAIL)]


def test_a_rule_for_one_target_branch_is_silent_elsewhere() -> None:
    rule = Rule("val_accuracy", at_least=0.92, target="release/*")
    assert ruled(runs([0.9]), [], rule) == []
    (ruling,) = ruled(runs([0.9]), [], rule, target="release/1.0")
    assert ruling.outcome is Outcome.FAIL


def test_the_best_value_of_the_history_may_count() -> None:
    rule = Rule("val_loss", better=HigherOrLower.LOWER, at_most=0.4, value=Value.BEST)
    now = runs([0.5, 0.5], metric="val_loss", extremes={"val_loss": Extremes(0.38, 0.9)})
    (ruling,) = ruled(now, [], rule)
    assert (ruling.outcome, ruling.sentence) == (Outcome.PASS, "0.3800; must be at most 0.4")
    assert ruling.expects == "at most 0.4 (best value)"
    (unknown,) = ruled(runs([0.5], metric="val_loss"), [], rule)
    assert not unknown.known


@pytest.mark.parametrize(
    ("ours", "theirs", "sentence", "outcome"),
    [
        ({"test": "new"}, {"test": "old"}, "another dataset is used here", Outcome.FAIL),
        ({}, {"test": "old"}, "the dataset that the contract names was not logged here", Outcome.FAIL),
        ({"train": "old"}, {"test": "old"}, "the dataset that the contract names was not logged here", Outcome.FAIL),
        ({"test": "old"}, {}, "the dataset that the contract names was not logged in the baseline", Outcome.WARN),
        ({}, {}, "the dataset that the contract names was not logged in the baseline", Outcome.WARN),
    ],
)
def test_another_dataset_is_not_compared(
    ours: dict[str, str], theirs: dict[str, str], sentence: str, outcome: Outcome
) -> None:
    now, before = runs([0.1, 0.11], datasets=ours), runs(STEADY, datasets=theirs)
    (ruling,) = ruled(now, before, DROP, same_dataset="test")
    assert (ruling.outcome, ruling.known) == (outcome, False)
    assert ruling.sentence == f"not comparable: {sentence}"
    assert ("evaluate this model on the target branch" in ruling.full_sentence) is (outcome is Outcome.FAIL)
    (mild,) = ruled(now, before, replace(DROP, then=Then.WARN), same_dataset="test")
    assert mild.outcome is Outcome.WARN
    (same,) = ruled(runs([0.1, 0.11], datasets=theirs), before, DROP)
    assert same.outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("now", "before", "outcome"),
    [
        (1, 2, Outcome.FAIL),  # it is the merge request that has taken the seeds away
        (1, 1, Outcome.WARN),
        (2, 1, Outcome.WARN),
    ],
)
def test_fewer_seeds_than_the_baseline_has_are_no_way_to_be_unknown(now: int, before: int, outcome: Outcome) -> None:
    (ruling,) = ruled(runs([0.7] * now), runs([0.8] * before), DROP)
    assert (ruling.outcome, ruling.known) == (outcome, False)
    (mild,) = ruled(runs([0.7] * now), runs([0.8] * before), replace(DROP, then=Then.WARN), if_unknown=Outcome.PASS)
    assert mild.outcome is (Outcome.WARN if outcome is Outcome.FAIL else Outcome.PASS)


def best_of(values: Sequence[float], points: int, *, last: float = 0.5) -> list[Run]:
    return [
        Run(
            number,
            "run",
            RunState.SUCCEEDED,
            {"seed": str(number)},
            {"val_accuracy": last},
            extremes={"val_accuracy": Extremes(0.1, value, points)},
        )
        for number, value in enumerate(values)
    ]


BEST = Rule("val_accuracy", better=HigherOrLower.HIGHER, worse_by=Tolerance(0.01), value=Value.BEST)


def test_best_values_are_tested_by_their_own_spread() -> None:
    (worse,) = ruled(best_of((0.70, 0.71, 0.72), 20), best_of((0.80, 0.81, 0.82), 20), BEST)
    assert (worse.outcome, worse.sentence) == (Outcome.FAIL, "−10 pp, clearly more than allowed: −1 pp")
    (spread,) = ruled(best_of((0.70, 0.80, 0.90), 20), best_of((0.72, 0.82, 0.92), 20), BEST)
    assert (spread.outcome, spread.verdict) == (Outcome.PASS, Verdict.NO_CLEAR_CHANGE)


def test_best_values_of_an_earlier_look_hold() -> None:
    def seeded(values: Sequence[float], first: int) -> list[Run]:
        made = best_of(values, 20)
        return [replace(run, iid=first + run.iid, params={"seed": str(first + run.iid)}) for run in made]

    before, first, second = best_of((0.80, 0.81, 0.82), 20), (0.75, 0.765, 0.775), (0.79, 0.80, 0.775)
    assert [one.outcome for one in ruled(seeded(second, 20), before, BEST)] == [Outcome.WARN]
    both = judged(seeded(second, 20), before, BEST, earlier=[seeded(first, 10)])
    assert [one.outcome for one in both.rulings] == [Outcome.FAIL]
    assert both.rulings[0].decision is not None
    assert both.rulings[0].decision.was_worse


def test_more_values_to_choose_the_best_from_show_nothing() -> None:
    (longer,) = ruled(best_of((0.82, 0.83, 0.84), 40), best_of((0.80, 0.81, 0.82), 20), BEST)
    assert (longer.outcome, longer.verdict) == (Outcome.WARN, Verdict.CANT_TELL)
    assert longer.sentence == "best of 40 values here, of 20 there"
    (yet_worse,) = ruled(best_of((0.70, 0.71, 0.72), 40), best_of((0.80, 0.81, 0.82), 20), BEST)
    assert (yet_worse.outcome, yet_worse.verdict) == (Outcome.FAIL, Verdict.WORSE)
    # Logging less must be no way out.
    (shorter,) = ruled(best_of((0.70, 0.71, 0.72), 1), best_of((0.80, 0.81, 0.82), 20), BEST)
    assert (shorter.outcome, shorter.verdict) == (Outcome.FAIL, Verdict.CANT_TELL)


def test_a_history_without_a_number_breaks_the_rule_that_looks_at_it() -> None:
    rule = Rule("val_accuracy", better=HigherOrLower.HIGHER, worse_by=Tolerance(0.01), value=Value.BEST)
    seen = {"val_accuracy": Extremes(0.7, 0.9)}
    (hidden,) = ruled(
        runs([0.7], extremes={"val_accuracy": Extremes(0.1, float("inf"))}), runs([0.8], extremes=seen), rule
    )
    assert (hidden.outcome, hidden.known) == (Outcome.FAIL, False)
    (theirs,) = ruled(runs([0.7], extremes=seen), runs([0.8]), rule)
    assert (theirs.outcome, theirs.known) == (Outcome.WARN, False)


def test_folds_are_compared_pairwise() -> None:
    def folded(shift: float) -> list[Run]:
        # The folds differ far more than the sides do.
        levels = (0.60, 0.70, 0.80, 0.90, 0.65)
        noise = (0.000, 0.001, -0.001, 0.001, 0.000)
        return [
            Run(
                number,
                "run",
                RunState.SUCCEEDED,
                {"fold": str(number)},
                {"val_accuracy": level + shift * (1 + extra * 10)},
            )
            for number, (level, extra) in enumerate(zip(levels, noise, strict=True))
        ]

    metric = only(folded(-0.02), folded(0))
    assert (metric.verdict, metric.reason) == (Verdict.WORSE, "−2.0 pp, more than chance explains")
    (ruling,) = ruled(folded(-0.02), folded(0), DROP)
    assert ruling.outcome is Outcome.FAIL


def test_directions_come_from_the_contract() -> None:
    now, before = runs([5, 5.1, 4.9], metric="spread"), runs([1, 1.1, 0.9], metric="spread")
    rule = Rule("spread", better=HigherOrLower.LOWER, worse_by=Tolerance(0))
    (metric,) = judged(now, before, rule, rank_by="spread").comparison.metrics
    assert (metric.verdict, metric.direction.guessed) == (Verdict.WORSE, False)


def test_the_best_of_ten_equal_candidates_is_luck() -> None:
    now = [
        Run(number, "run", RunState.SUCCEEDED, {"lr": str(number)}, {"val_accuracy": 0.800 + 0.002 * number})
        for number in range(1, 11)
    ]
    assert only(now, runs(STEADY)).verdict is not Verdict.BETTER
    lucky = [*now[:-1], Run(10, "run", RunState.SUCCEEDED, {"lr": "10"}, {"val_accuracy": 0.83})]
    metric = only(lucky, runs(STEADY))
    assert (metric.verdict, metric.reason) == (
        Verdict.NO_CLEAR_CHANGE,
        "+2.2 pp, could be luck: it is the best of 10 candidates; luck alone puts the best of 10 ahead by about 1.3 pp",
    )


def test_the_worst_outcome_decides() -> None:
    assert rules.worst([]) is Outcome.PASS
    assert rules.worst([Outcome.PASS, Outcome.FAIL, Outcome.WARN]) is Outcome.FAIL


def test_runs_that_are_made_to_spread_hide_no_drop() -> None:
    history = [runs(STEADY, first=100 + 10 * place) for place in range(5)]
    (ruling,) = judged(runs([0.2, 0.5, 0.8]), runs(STEADY), DROP, history=history).rulings
    assert (ruling.outcome, ruling.known) == (Outcome.WARN, False)
    assert "times as much as the branch's, which may hide a drop" in ruling.sentence


def test_what_is_no_number_breaks_its_bounds() -> None:
    (ruling,) = ruled(runs([float("nan")], metric="loss"), [], Rule("loss", at_most=1.0))
    assert (ruling.outcome, ruling.sentence) == (Outcome.FAIL, "diverged: not a number")


def test_very_many_rules_and_metrics_end_soon_and_do_not_pass() -> None:
    metrics = {f"slice/{number}": 0.9 for number in range(1500)}
    now = [Run(1, "run", RunState.SUCCEEDED, {}, metrics)]
    bars = [Rule(f"slice/*{'?' * (number % 3)}", at_least=0.1, then=Then.WARN) for number in range(58)]
    rulings = ruled(now, now, *bars)
    assert len(rulings) < gate.MOST_RULINGS + len(bars)
    assert rulings[-1].sentence == "1500 metrics are too many to check"
    assert (rulings[-1].outcome, rulings[-1].known) == (Outcome.WARN, False)

# ruff: noqa: RUF001 - the true minus sign is what people read
"""The contract's rules against a comparison: what passes, what warns, what fails, and what is said of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mltrail_contract import HigherOrLower, Model, Outcome, Rule, Then, Tolerance, Value
from mltrail_server.domain import gate
from mltrail_server.domain.comparison import Judgement, compare
from mltrail_server.domain.gate import Ruling
from mltrail_server.domain.grouping import Run, RunState

STEADY = (0.80, 0.81, 0.82, 0.80, 0.81)
DROP = Rule("val_accuracy", better=HigherOrLower.HIGHER, worse_by=Tolerance(0.002))


def runs(values: Sequence[float], *, metric: str = "val_accuracy", first: int = 1, **more: Any) -> list[Run]:
    return [
        Run(first + seed, "run", RunState.SUCCEEDED, {"seed": str(seed)}, {metric: value}, **more)
        for seed, value in enumerate(values)
    ]


def ruled(now: list[Run], before: list[Run], *rules: Rule, target: str = "main", **model: Any) -> list[Ruling]:
    written = Model("churn", rules=rules, **model)
    return list(gate.judge(compare(now, before, model=written), written, target=target))


@pytest.mark.parametrize(
    ("now", "before", "outcome", "sentence"),
    [
        ((0.70, 0.71, 0.72), STEADY, Outcome.FAIL, "−9.8 pp, real"),
        ((0.90, 0.91, 0.92), STEADY, Outcome.PASS, "+10 pp"),
        ((0.800, 0.805, 0.81), STEADY, Outcome.PASS, "−0.30 pp, within noise; 171 seeds a side would tell"),
        ((0.80,), (0.81,), Outcome.WARN, "−1.0 pp; noise unknown, add seeds to tell"),
        ((0.81,), (0.81,), Outcome.PASS, "unchanged"),
        ((0.70,), (), Outcome.PASS, "no baseline yet"),
    ],
)
def test_a_drop_fails_when_it_is_real_and_larger_than_allowed(
    now: Sequence[float], before: Sequence[float], outcome: Outcome, sentence: str
) -> None:
    (ruling,) = ruled(runs(now), runs(before), DROP)
    assert (ruling.outcome, ruling.sentence) == (outcome, sentence)
    assert ruling.expects == "must not drop by more than 0.002"


def test_a_real_drop_within_the_tolerance_passes() -> None:
    (ruling,) = ruled(runs([0.7990, 0.7991]), runs([0.8000, 0.8001]), DROP)
    assert (ruling.outcome, ruling.sentence) == (Outcome.PASS, "−0.10 pp")


@pytest.mark.parametrize("wanted", list(Outcome))
def test_the_contract_says_what_becomes_of_what_nobody_can_tell(wanted: Outcome) -> None:
    (ruling,) = ruled(runs([0.70]), runs([0.80]), DROP, if_unknown=wanted)
    assert (ruling.outcome, ruling.known) == (wanted, False)


def test_absolute_bounds_need_no_baseline_and_no_seeds() -> None:
    floor = Rule("val_accuracy", at_least=0.9, then=Then.WARN)
    ceiling = Rule("val_accuracy", at_most=0.85)
    low, high = ruled(runs([0.88]), [], floor, ceiling)
    assert (low.outcome, low.expects, low.sentence) == (Outcome.WARN, "at least 0.9", "0.8800 is less")
    assert (high.outcome, high.expects, high.sentence) == (Outcome.FAIL, "at most 0.85", "0.8800 is more")


def test_per_cent_are_of_the_baseline_and_lower_may_be_better() -> None:
    rule = Rule("latency_ms", better=HigherOrLower.LOWER, worse_by=Tolerance(10, percent=True), then=Then.WARN)
    before = runs([100, 101, 99], metric="latency_ms")
    (slower,) = ruled(runs([120, 121, 119], metric="latency_ms"), before, rule)
    (within,) = ruled(runs([108, 109, 107], metric="latency_ms"), before, rule)
    assert (slower.outcome, slower.sentence) == (Outcome.WARN, "+20 (+20 %), real")
    assert slower.expects == "must not rise by more than 10 %"
    assert within.outcome is Outcome.PASS


def test_a_metric_that_is_gone_breaks_its_rule() -> None:
    now = runs([0.9, 0.91], metric="other")
    (ruling,) = ruled(now, runs(STEADY), DROP)
    assert (ruling.outcome, ruling.sentence) == (Outcome.FAIL, "no longer logged, or not a number")


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
    now = runs([0.5, 0.5], metric="val_loss", extremes={"val_loss": (0.38, 0.9)})
    (ruling,) = ruled(now, [], rule)
    assert (ruling.outcome, ruling.sentence) == (Outcome.PASS, "0.3800")
    assert ruling.expects == "at most 0.4 (best value)"
    (unknown,) = ruled(runs([0.5], metric="val_loss"), [], rule)
    assert not unknown.known


@pytest.mark.parametrize(
    ("ours", "theirs", "sentence", "outcome"),
    [
        ({"test": "new"}, {"test": "old"}, "another dataset than the baseline's", Outcome.FAIL),
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
    assert ("this merge request has changed it" in ruling.full_sentence) is (outcome is Outcome.FAIL)
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


def test_a_history_without_a_number_breaks_the_rule_that_looks_at_it() -> None:
    rule = Rule("val_accuracy", better=HigherOrLower.HIGHER, worse_by=Tolerance(0.01), value=Value.BEST)
    seen = {"val_accuracy": (0.7, 0.9)}
    (hidden,) = ruled(runs([0.7], extremes={"val_accuracy": (0.1, float("inf"))}), runs([0.8], extremes=seen), rule)
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

    (metric,) = compare(folded(-0.02), folded(0)).metrics
    assert (metric.judgement, metric.sentence) == (Judgement.WORSE, "−2.0 pp, worse, real (5 folds)")
    (ruling,) = ruled(folded(-0.02), folded(0), DROP)
    assert ruling.outcome is Outcome.FAIL


def test_directions_come_from_the_contract() -> None:
    model = Model("churn", rules=(Rule("spread", better=HigherOrLower.LOWER, worse_by=Tolerance(0)),), rank_by="spread")
    now, before = runs([5, 5.1, 4.9], metric="spread"), runs([1, 1.1, 0.9], metric="spread")
    (metric,) = compare(now, before, model=model).metrics
    assert (metric.judgement, metric.direction.guessed) == (Judgement.WORSE, False)


def test_the_best_of_ten_equal_candidates_is_luck() -> None:
    now = [
        Run(number, "run", RunState.SUCCEEDED, {"lr": str(number)}, {"val_accuracy": 0.800 + 0.002 * number})
        for number in range(1, 11)
    ]
    (metric,) = compare(now, runs(STEADY)).metrics
    assert (metric.judgement, metric.sentence) == (
        Judgement.NOISE,
        "+1.2 pp, within noise (1 v 5 runs)",
    )
    lucky = [*now[:-1], Run(10, "run", RunState.SUCCEEDED, {"lr": "10"}, {"val_accuracy": 0.83})]
    (metric,) = compare(lucky, runs(STEADY)).metrics
    assert metric.sentence == "+2.2 pp, what luck gives the best of 10 (1 v 5 runs)"


def test_the_worst_outcome_decides() -> None:
    assert gate.worst([]) is Outcome.PASS
    assert gate.worst([Outcome.PASS, Outcome.FAIL, Outcome.WARN]) is Outcome.FAIL


def test_runs_that_are_made_to_spread_hide_no_drop() -> None:
    history = [runs(STEADY, first=100 + 10 * place) for place in range(5)]
    written = Model("churn", rules=(DROP,))
    compared = compare(runs([0.2, 0.5, 0.8]), runs(STEADY), history=history, model=written)
    (ruling,) = gate.judge(compared, written, target="main")
    assert (ruling.outcome, ruling.known) == (Outcome.WARN, False)
    assert "times as much as the branch's, which may hide a drop" in ruling.sentence


def test_what_is_no_number_breaks_its_bounds() -> None:
    (ruling,) = ruled(runs([float("nan")], metric="loss"), [], Rule("loss", at_most=1.0))
    assert (ruling.outcome, ruling.sentence) == (Outcome.FAIL, "not a number")


def test_very_many_rules_and_metrics_end_soon_and_do_not_pass() -> None:
    metrics = {f"slice/{number}": 0.9 for number in range(1500)}
    now = [Run(1, "run", RunState.SUCCEEDED, {}, metrics)]
    rules = [Rule(f"slice/*{'?' * (number % 3)}", at_least=0.1, then=Then.WARN) for number in range(58)]
    rulings = ruled(now, now, *rules)
    assert len(rulings) < gate.MOST_RULINGS + len(rules)
    assert rulings[-1].sentence == "1500 metrics are too many to check"
    assert (rulings[-1].outcome, rulings[-1].known) == (Outcome.WARN, False)

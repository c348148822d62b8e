# ruff: noqa: RUF001 - the true minus sign is what people read
"""What a pipeline does to a model, judged by the spread between repeated runs."""

import itertools
from collections.abc import Iterable

import pytest

from mltrail_server.domain import conclusion, judgement
from mltrail_server.domain.comparison import Comparison, MetricChange, ParameterChange, compare
from mltrail_server.domain.conclusion import Level
from mltrail_server.domain.direction import Better
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import ModelInput
from mltrail_server.domain.verdict import Verdict

_numbers = itertools.count(1)


def runs(
    values: Iterable[float], *, metric: str = "val_accuracy", state: RunState = RunState.SUCCEEDED, **params: str
) -> list[Run]:
    """Make a run a value, each with a seed of its own."""
    return [
        Run(next(_numbers), f"run-{seed}", state, params | {"seed": str(seed)}, {metric: value})
        for seed, value in enumerate(values)
    ]


def judged(comparison: Comparison) -> Comparison:
    return judgement.judge_models([ModelInput("churn", comparison)])["churn"].comparison


def verdicts(comparison: Comparison) -> dict[str, Verdict]:
    return {metric.name: metric.verdict for metric in judged(comparison).metrics}


def only(comparison: Comparison) -> MetricChange:
    (metric,) = judged(comparison).metrics
    return metric


STEADY = [0.80, 0.81, 0.82, 0.80, 0.81]


@pytest.mark.parametrize(
    ("now", "before", "verdict", "reason"),
    [
        ([0.90, 0.91, 0.92], [0.80, 0.81, 0.82], Verdict.BETTER, "+10 pp, more than chance explains"),
        ([0.70, 0.71, 0.72], [0.80, 0.81, 0.82], Verdict.WORSE, "−10 pp, more than chance explains"),
        ([0.80, 0.83, 0.81], [0.80, 0.82, 0.81], Verdict.NO_CLEAR_CHANGE, "+0.3 pp, could be chance"),
        ([0.9], [0.8], Verdict.CANT_TELL, "+10 pp; one run on each side can't show how much is chance"),
        ([0.8], [0.8], Verdict.NO_CLEAR_CHANGE, "the same value"),
        # One run is held against the interval in which one more run of the other side would fall.
        ([0.90], STEADY, Verdict.BETTER, "+9.2 pp, more than chance explains"),
        ([0.82], STEADY, Verdict.CANT_TELL, "+1.2 pp; 1 run here, 5 in the baseline"),
        (STEADY, [0.90], Verdict.WORSE, "−9.2 pp, more than chance explains"),
        # Repeats that all give the same number show nothing about chance.
        ([0.81, 0.81], [0.80, 0.80], Verdict.CANT_TELL, "+1.0 pp; all runs on a side gave the same number"),
        ([0.81], [0.80, 0.80], Verdict.CANT_TELL, "+1.0 pp; all runs on a side gave the same number"),
    ],
)
def test_a_difference_is_judged_by_the_spread_of_repeats(
    now: list[float], before: list[float], verdict: Verdict, reason: str
) -> None:
    metric = only(compare(runs(now), runs(before)))
    assert (metric.verdict, metric.reason) == (verdict, reason)


def test_for_a_loss_less_is_better_and_the_sentence_has_per_cent() -> None:
    metric = only(compare(runs([1.8, 1.81, 1.79], metric="loss"), runs([2.0, 2.01, 1.99], metric="loss")))
    assert (metric.verdict, metric.reason) == (Verdict.BETTER, "−0.20 (−10 %), more than chance explains")
    assert metric.relative == pytest.approx(-0.1)


def test_a_metric_whose_direction_nobody_knows_is_no_verdict() -> None:
    compared = compare(runs([5, 5.1, 4.9], metric="spread"), runs([1, 1.1, 0.9], metric="spread"), rank_by="spread")
    assert only(compared).verdict is Verdict.CANT_TELL
    assert "is higher or lower better?" in only(compared).sentence
    with_direction = compare(
        runs([5, 5.1, 4.9], metric="spread"),
        runs([1, 1.1, 0.9], metric="spread"),
        rank_by="spread",
        better=Better.LOWER,
    )
    assert only(with_direction).verdict is Verdict.WORSE
    assert not only(with_direction).direction.guessed


def test_the_best_parameters_win_by_their_mean_and_seeds_are_repeats() -> None:
    lucky = runs([0.95, 0.60], lr="1")
    solid = runs([0.85, 0.86], lr="2")
    compared = compare(lucky + solid, runs([0.8, 0.8], lr="1"))
    assert compared.groups == 2
    assert compared.best is not None
    assert compared.best.params == {"lr": "2"}
    assert compared.best_run is solid[1]
    assert compared.parameters == (ParameterChange("lr", "1", "2"),)


def test_parameters_that_come_and_go_are_changes() -> None:
    compared = compare(runs([0.9], lr="1", depth="3"), runs([0.9], lr="1", dropout="0.1"))
    assert compared.parameters == (ParameterChange("depth", None, "3"), ParameterChange("dropout", "0.1", None))


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.SUCCEEDED])
def test_only_runs_of_succeeded_jobs_count(state: RunState) -> None:
    compared = compare(runs([0.5]) + runs([0.99], state=state), runs([0.5]) + runs([0.99], state=state))
    assert only(compared).reason == "the same value"
    assert compare(runs([0.9], state=state), runs([0.5])).best is None


def test_metrics_that_appear_and_vanish_are_new_and_gone() -> None:
    one, other = (
        Run(1, "a", RunState.SUCCEEDED, {}, {"acc": 0.9, "f1": 0.8}),
        Run(2, "b", RunState.SUCCEEDED, {}, {"acc": 0.9, "auc": 0.7}),
    )
    assert verdicts(compare([one], [other])) == {
        "acc": Verdict.NO_CLEAR_CHANGE,
        "f1": Verdict.CANT_TELL,
        "auc": Verdict.WORSE,
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.7976931348623157e308])
def test_a_training_that_diverged_is_worse(value: float) -> None:
    broken = [Run(1, "a", RunState.SUCCEEDED, {}, {"val_acc": value, "val_loss": 0.1})]
    fine = [Run(2, "b", RunState.SUCCEEDED, {}, {"val_acc": 0.9, "val_loss": 0.1})]
    compared = compare(broken, fine)
    assert verdicts(compared) == {"val_acc": Verdict.WORSE, "val_loss": Verdict.NO_CLEAR_CHANGE}
    assert {one.reason for one in judged(compared).metrics} == {"diverged: not a number", "the same value"}


def test_the_ranking_metric_comes_first_then_what_is_worse() -> None:
    names = ("val_accuracy", "a_loss", "b_loss", "z_loss", "system/cpu_utilization")
    now = [
        Run(
            n,
            "n",
            RunState.SUCCEEDED,
            {"seed": str(n)},
            dict(zip(names, (0.9, 1, 5 + n / 9, 7 + n / 9, 3), strict=True)),
        )
        for n in range(3)
    ]
    before = [
        Run(
            n,
            "b",
            RunState.SUCCEEDED,
            {"seed": str(n)},
            dict(zip(names, (0.9, 1, 9 + n / 9, 1 + n / 9, 9), strict=True)),
        )
        for n in range(3)
    ]
    assert [metric.name for metric in judged(compare(now, before)).metrics] == [
        "val_accuracy",
        "z_loss",
        "b_loss",
        "a_loss",
    ]


def test_nothing_to_compare_is_no_error() -> None:
    assert compare([], []).best is None
    assert compare(runs([0.9]), []).baseline is None
    bare = [Run(1, "a", RunState.SUCCEEDED, {}, {})]
    assert compare(bare, bare).metrics == ()


class TestVerdict:
    @pytest.mark.parametrize(
        ("now", "before", "level"),
        [
            ([0.90, 0.91, 0.92], [0.80, 0.81, 0.82], Level.GOOD),
            ([0.70, 0.71, 0.72], [0.80, 0.81, 0.82], Level.BAD),
            ([0.80, 0.83, 0.81], [0.80, 0.82, 0.81], Level.NEUTRAL),
            ([0.9], [0.8], Level.UNKNOWN),
            ([0.9], [], Level.NEUTRAL),
            ([], [0.9], Level.UNKNOWN),
        ],
    )
    def test_the_ranking_metric_decides(self, now: list[float], before: list[float], level: Level) -> None:
        assert conclusion.of_model(judged(compare(runs(now), runs(before)))).level is level

    def test_a_metric_that_vanished_is_bad_where_nothing_else_changed(self) -> None:
        now = [Run(1, "a", RunState.SUCCEEDED, {}, {"acc": 0.9})]
        before = [Run(2, "b", RunState.SUCCEEDED, {}, {"acc": 0.9, "auc": 0.7})]
        found = conclusion.of_model(judged(compare(now, before)))
        assert (found.level, found.sentence) == (Level.BAD, "1 metric is worse")
        assert found.named("`{}`".format) == "`auc` is worse (no longer logged)"

    def test_the_worst_model_decides(self) -> None:
        good = conclusion.of_model(judged(compare(runs([0.9, 0.92]), runs([0.1, 0.12]))))
        bad = conclusion.of_model(judged(compare(runs([0.1, 0.12]), runs([0.9, 0.92]))))
        found = conclusion.overall([("a", good), ("b", bad)])
        assert (found.level, found.sentence) == (Level.BAD, "2 models: 1 worse, 1 better")
        assert found.named("`{}`".format) == (
            "2 models: 1 worse, 1 better; `b`: `val_accuracy` is worse (−80 pp, more than chance explains); "
            "`a`: `val_accuracy` is better (+80 pp, more than chance explains)"
        )
        assert conclusion.overall([("a", good)]).sentence == good.sentence
        assert conclusion.overall([]).level is Level.UNKNOWN

# ruff: noqa: RUF001 - the true minus sign is what people read
"""What a pipeline does to a model, judged by the spread between repeated runs."""

import itertools
from collections.abc import Iterable

import pytest

from mltrail_server.domain import conclusion
from mltrail_server.domain.comparison import Comparison, Judgement, MetricChange, ParameterChange, compare
from mltrail_server.domain.conclusion import Level
from mltrail_server.domain.direction import Better
from mltrail_server.domain.grouping import Run, RunState

_numbers = itertools.count(1)


def runs(
    values: Iterable[float], *, metric: str = "val_accuracy", state: RunState = RunState.SUCCEEDED, **params: str
) -> list[Run]:
    """Make a run a value, each with a seed of its own."""
    return [
        Run(next(_numbers), f"run-{seed}", state, params | {"seed": str(seed)}, {metric: value})
        for seed, value in enumerate(values)
    ]


def only(comparison: Comparison) -> MetricChange:
    (metric,) = comparison.metrics
    return metric


STEADY = [0.80, 0.81, 0.82, 0.80, 0.81]


@pytest.mark.parametrize(
    ("now", "before", "judgement", "sentence"),
    [
        ([0.90, 0.91, 0.92], [0.80, 0.81, 0.82], Judgement.BETTER, "+10 pp, better, real (3 v 3 runs)"),
        ([0.70, 0.71, 0.72], [0.80, 0.81, 0.82], Judgement.WORSE, "−10 pp, worse, real (3 v 3 runs)"),
        ([0.80, 0.83, 0.81], [0.80, 0.82, 0.81], Judgement.NOISE, "+0.33 pp, within noise (3 v 3 runs)"),
        ([0.9], [0.8], Judgement.UNKNOWN, "+10 pp; 1 run, noise unknown: add seeds to tell"),
        ([0.8], [0.8], Judgement.SAME, "unchanged"),
        # One run is held against the interval in which one more run of the other side would fall.
        ([0.90], STEADY, Judgement.BETTER, "+9.2 pp, better, real (1 v 5 runs)"),
        ([0.82], STEADY, Judgement.NOISE, "+1.2 pp, within noise (1 v 5 runs)"),
        (STEADY, [0.90], Judgement.WORSE, "−9.2 pp, worse, real (5 v 1 runs)"),
        # Fixed seeds show nothing about chance.
        ([0.81, 0.81], [0.80, 0.80], Judgement.UNKNOWN, "+1.0 pp; 2 v 2 runs, noise unknown: add seeds to tell"),
        ([0.81], [0.80, 0.80], Judgement.UNKNOWN, "+1.0 pp; 1 v 2 runs, noise unknown: add seeds to tell"),
    ],
)
def test_a_difference_is_judged_by_the_spread_of_repeats(
    now: list[float], before: list[float], judgement: Judgement, sentence: str
) -> None:
    metric = only(compare(runs(now), runs(before)))
    assert (metric.judgement, metric.sentence) == (judgement, sentence)


def test_for_a_loss_less_is_better_and_the_sentence_has_per_cent() -> None:
    metric = only(compare(runs([1.8, 1.81, 1.79], metric="loss"), runs([2.0, 2.01, 1.99], metric="loss")))
    assert (metric.judgement, metric.sentence) == (Judgement.BETTER, "−0.20 (−10 %), better, real (3 v 3 runs)")
    assert metric.relative == pytest.approx(-0.1)


def test_a_metric_whose_direction_nobody_knows_is_no_verdict() -> None:
    compared = compare(runs([5, 5.1, 4.9], metric="spread"), runs([1, 1.1, 0.9], metric="spread"), rank_by="spread")
    assert only(compared).judgement is Judgement.UNKNOWN
    assert "is higher or lower better?" in only(compared).sentence
    with_direction = compare(
        runs([5, 5.1, 4.9], metric="spread"),
        runs([1, 1.1, 0.9], metric="spread"),
        rank_by="spread",
        better=Better.LOWER,
    )
    assert only(with_direction).judgement is Judgement.WORSE
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
    assert only(compared).judgement is Judgement.SAME
    assert compare(runs([0.9], state=state), runs([0.5])).best is None


def test_metrics_that_appear_and_vanish_are_new_and_gone() -> None:
    one, other = (
        Run(1, "a", RunState.SUCCEEDED, {}, {"acc": 0.9, "f1": 0.8}),
        Run(2, "b", RunState.SUCCEEDED, {}, {"acc": 0.9, "auc": 0.7}),
    )
    judged = {metric.name: metric.judgement for metric in compare([one], [other]).metrics}
    assert judged == {"acc": Judgement.SAME, "f1": Judgement.NEW, "auc": Judgement.GONE}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.7976931348623157e308])
def test_what_is_no_number_is_as_good_as_gone(value: float) -> None:
    broken = [Run(1, "a", RunState.SUCCEEDED, {}, {"val_acc": value, "val_loss": 0.1})]
    fine = [Run(2, "b", RunState.SUCCEEDED, {}, {"val_acc": 0.9, "val_loss": 0.1})]
    judged = {metric.name: metric.judgement for metric in compare(broken, fine).metrics}
    assert judged == {"val_acc": Judgement.GONE, "val_loss": Judgement.SAME}


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
    assert [metric.name for metric in compare(now, before).metrics] == ["val_accuracy", "z_loss", "b_loss", "a_loss"]


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
        assert conclusion.of_model(compare(runs(now), runs(before))).level is level

    def test_a_metric_that_vanished_is_bad_where_nothing_else_changed(self) -> None:
        now = [Run(1, "a", RunState.SUCCEEDED, {}, {"acc": 0.9})]
        before = [Run(2, "b", RunState.SUCCEEDED, {}, {"acc": 0.9, "auc": 0.7})]
        found = conclusion.of_model(compare(now, before))
        assert (found.level, found.sentence) == (Level.BAD, "unchanged; 1 other metric is gone")

    def test_the_worst_model_decides(self) -> None:
        good = conclusion.of_model(compare(runs([0.9, 0.91]), runs([0.1, 0.11])))
        bad = conclusion.of_model(compare(runs([0.1, 0.11]), runs([0.9, 0.91])))
        found = conclusion.overall([good, bad])
        assert (found.level, found.sentence) == (Level.BAD, "2 models: 1 worse, 1 better")
        assert conclusion.overall([good]) is good
        assert conclusion.overall([]).level is Level.UNKNOWN

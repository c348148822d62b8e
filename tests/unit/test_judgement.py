# ruff: noqa: RUF001 - the true minus sign is what people read
"""A merge request is judged as a whole: one false alarm in twenty, tolerances as they are meant, nothing by luck."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from mltrail_contract import HigherOrLower, Model, Outcome, Rule, Then, Tolerance
from mltrail_server.domain import conclusion, judgement
from mltrail_server.domain.comparison import MetricChange, compare
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import JudgedModel, ModelInput
from mltrail_server.domain.verdict import Verdict

HIGHER = HigherOrLower.HIGHER


def runs(metrics: Mapping[str, Sequence[float]], first: int = 1) -> list[Run]:
    """Make as many runs as the metrics have values, each with a seed of its own."""
    count = len(next(iter(metrics.values())))
    return [
        Run(
            first + place,
            "run",
            RunState.SUCCEEDED,
            {"seed": str(place)},
            {name: values[place] for name, values in metrics.items()},
        )
        for place in range(count)
    ]


def judged(
    now: list[Run],
    before: list[Run],
    *rules: Rule,
    red: Iterable[str] = (),
    history: Sequence[list[Run]] = (),
    rank_by: str | None = None,
) -> JudgedModel:
    model = Model("churn", rules=rules, rank_by=rank_by)
    compared = compare(now, before, history=history, model=model)
    return judgement.judge_models([ModelInput("churn", compared, model, "main", frozenset(red))])["churn"]


def metrics_of(found: JudgedModel) -> dict[str, MetricChange]:
    return {one.name: one for one in found.comparison.metrics}


def noise(rng: random.Random, level: float, count: int = 5) -> list[float]:
    return [rng.gauss(level, 1) for _ in range(count)]


class TestOneFalseAlarmInTwenty:
    def test_however_many_metrics_and_models(self) -> None:
        rng = random.Random(1)
        alarms = 0
        for _ in range(300):
            inputs = []
            for name in ("a", "b"):
                names = [f"auc_{number}" for number in range(5)]
                now = runs({metric: noise(rng, 0) for metric in names})
                before = runs({metric: noise(rng, 0) for metric in names})
                inputs.append(ModelInput(name, compare(now, before)))
            found = judgement.judge_models(inputs)
            alarms += any(one.verdict is Verdict.WORSE for model in found.values() for one in model.comparison.metrics)
        assert alarms <= 0.05 * 300 + 11  # three standard errors

    def test_models_that_the_merge_request_leaves_alone_cost_the_others_nothing(self) -> None:
        def inputs(*, counts: bool) -> list[ModelInput]:
            worse = compare(runs({"auc": [0.790, 0.800, 0.795]}), runs({"auc": [0.810, 0.815, 0.805]}))
            others = [
                ModelInput(f"other-{n}", compare(runs({"auc": [1, 2, 3]}), runs({"auc": [1, 2, 3]})), counts=counts)
                for n in range(20)
            ]
            return [ModelInput("churn", worse), *others]

        def of_churn(*, counts: bool) -> Verdict:
            return judgement.judge_models(inputs(counts=counts))["churn"].comparison.metrics[0].verdict

        assert (of_churn(counts=False), of_churn(counts=True)) == (Verdict.WORSE, Verdict.NO_CLEAR_CHANGE)


class TestTolerance:
    RULE = Rule("auc", better=HIGHER, worse_by=Tolerance(1.0))

    def test_a_true_loss_as_large_as_the_tolerance_hardly_ever_fails(self) -> None:
        rng = random.Random(2)
        failed = 0
        for _ in range(400):
            found = judged(runs({"auc": noise(rng, -1.0)}), runs({"auc": noise(rng, 0.0)}), self.RULE)
            failed += found.rulings[0].outcome is Outcome.FAIL
        assert failed <= 0.05 * 400 + 13  # three standard errors

    @pytest.mark.parametrize(
        ("now", "verdict", "outcome", "sentence"),
        [
            ((97.0, 97.1, 96.9), Verdict.WORSE, Outcome.FAIL, "−3.0, clearly more than allowed: −1"),
            ((99.5, 99.6, 99.4), Verdict.WITHIN_LIMIT, Outcome.PASS, "−0.50, could be as low as −0.68; allowed: −1"),
            (
                (99.0, 99.1, 98.9),
                Verdict.CANT_TELL,
                Outcome.WARN,
                "−1.0; a loss, but too few runs to tell if it is more than allowed: −1",
            ),
            ((103.0, 103.1, 102.9), Verdict.BETTER, Outcome.PASS, "+3.0, more than chance explains"),
        ],
    )
    def test_within_its_limit_is_said_only_if_even_the_bad_end_keeps_it(
        self, now: Sequence[float], verdict: Verdict, outcome: Outcome, sentence: str
    ) -> None:
        found = judged(runs({"auc": now}), runs({"auc": (100.0, 100.1, 99.9)}), self.RULE)
        (ruling,) = found.rulings
        assert (ruling.verdict, ruling.outcome, ruling.sentence) == (verdict, outcome, sentence)
        assert metrics_of(found)["auc"].verdict is verdict, "the metric's row says the same"

    def test_the_bad_end_is_corrected_for_all_rules(self) -> None:
        now, before = (99.5, 99.6, 99.4), (100.0, 100.1, 99.9)
        rule = Rule("auc_*", better=HIGHER, worse_by=Tolerance(0.8))
        for metrics, verdict in ((1, Verdict.WITHIN_LIMIT), (10, Verdict.CANT_TELL)):
            names = [f"auc_{number}" for number in range(metrics)]
            found = judged(runs(dict.fromkeys(names, now)), runs(dict.fromkeys(names, before)), rule)
            assert {one.verdict for one in found.rulings} == {verdict}
            for one in metrics_of(found).values():
                assert one.evidence is not None
                assert (one.evidence.low >= -0.8) is (verdict is Verdict.WITHIN_LIMIT), "the interval says the same"

    def test_what_would_be_seen_is_said(self) -> None:
        found = judged(runs({"auc": (99.8, 99.9, 99.0)}), runs({"auc": (100.0, 100.1, 99.2)}), self.RULE)
        assert found.rulings[0].verdict is Verdict.NO_CLEAR_CHANGE
        assert found.rulings[0].advice == "a drop of 2.4 would be seen in four of five cases"
        few = judged(runs({"auc": (99.0, 99.1)}), runs({"auc": (100.0, 100.1)}), self.RULE)
        assert few.rulings[0].verdict is Verdict.CANT_TELL
        assert (
            few.rulings[0].advice
            == "with 11 runs on each side, a drop of 1.1 would be seen in four of five cases; this one may need more"
        )

    def test_what_would_be_seen_grows_with_the_metrics_that_share_the_false_alarms(self) -> None:
        now, before = (99.8, 99.9, 99.0), (100.0, 100.1, 99.2)
        names = [f"auc_{number}" for number in range(10)]
        rule = Rule("auc_*", better=HIGHER, worse_by=Tolerance(1.0))
        found = judged(runs(dict.fromkeys(names, now)), runs(dict.fromkeys(names, before)), rule)
        assert {one.advice for one in found.rulings} == {"a drop of 3.7 would be seen in four of five cases"}

    def test_single_runs_and_few_pipelines_are_too_few(self) -> None:
        history = [runs({"auc": [value]}, first=10 * place) for place, value in enumerate((100, 99.9, 100.1), start=2)]
        found = judged(runs({"auc": [99.8]}), runs({"auc": [100.0]}), self.RULE, history=history)
        (ruling,) = found.rulings
        assert (ruling.verdict, ruling.outcome) == (Verdict.CANT_TELL, Outcome.WARN)
        assert ruling.sentence.endswith("; too few runs to tell")
        assert "runs on each side, a drop of" in ruling.advice


class TestSingleRuns:
    RULE = Rule("auc", better=HIGHER, worse_by=Tolerance(0.5))

    @staticmethod
    def lone(value: float, first: int = 1) -> list[Run]:
        return runs({"auc": [value], "f1": [value / 2]}, first=first)

    @pytest.mark.parametrize("pipelines", [19, 40])
    def test_with_enough_pipelines_they_can_tell(self, pipelines: int) -> None:
        rng = random.Random(pipelines)
        branch = [self.lone(rng.gauss(100, 1), 10 * place) for place in range(2, pipelines + 2)]
        found = judged(self.lone(99.5), branch[0], self.RULE, history=branch[1:])
        for one in metrics_of(found).values():
            assert one.verdict is Verdict.NO_CLEAR_CHANGE
            assert one.evidence is not None
            assert one.evidence.low < 0 < one.evidence.high
        assert "would be seen in four of five cases" in found.rulings[0].advice
        assert "runs" not in found.rulings[0].advice

    @pytest.mark.parametrize("pipelines", [4, 5, 12])
    def test_with_few_they_cant_tell_yet_unless_a_drop_is_plain(self, pipelines: int) -> None:
        rng = random.Random(pipelines)
        branch = [self.lone(rng.gauss(100, 1), 10 * place) for place in range(2, pipelines + 2)]
        found = judged(self.lone(99.5), branch[0], self.RULE, history=branch[1:])
        assert {one.verdict for one in metrics_of(found).values()} == {Verdict.CANT_TELL}
        plain = metrics_of(judged(self.lone(20), branch[0], self.RULE, history=branch[1:]))["auc"]
        assert plain.verdict is (Verdict.CANT_TELL if pipelines < 5 else Verdict.WORSE)
        assert plain.evidence is not None
        assert (plain.evidence.high < -0.5) is (pipelines >= 5), "the interval says the same"
        assert plain.evidence.bounded is (pipelines >= 5)

    def test_how_the_best_of_fifty_did_in_a_metric_that_did_not_choose_it_can_be_told(self) -> None:
        rng = random.Random(14)

        def single(iid: int, **params: str) -> Run:
            drawn = {"auc": rng.gauss(0.9, 0.01), "ms": rng.gauss(12, 0.1), "f1": rng.gauss(0.7, 0.008)}
            return Run(iid, "run", RunState.SUCCEEDED, params, drawn)

        candidates = [single(place, lr=str(place)) for place in range(50)]
        rules = (
            Rule("auc", better=HIGHER, worse_by=Tolerance(0.002)),
            Rule("f1", better=HIGHER, worse_by=Tolerance(0.02), then=Then.WARN),
            Rule("ms", better=HigherOrLower.LOWER, worse_by=Tolerance(5, percent=True), then=Then.WARN),
        )
        model = Model("churn", rank_by="auc", rules=rules)
        compared = compare(candidates, [single(100)], history=[[single(101 + n)] for n in range(19)], model=model)
        given = ModelInput("churn", compared, model, "main", pipelines=range(900, 880, -1))
        *_, ruling = judgement.judge_models([given])["churn"].rulings
        assert ruling.decision is not None
        assert ruling.decision.evidence is not None
        assert -math.inf < ruling.decision.evidence.low < ruling.decision.evidence.high < math.inf
        assert (ruling.metric, ruling.verdict) == ("ms", Verdict.WITHIN_LIMIT)


class TestWhatFailedBefore:
    RULE = Rule("auc", better=HIGHER, worse_by=Tolerance(0))
    RED = ("churn: auc must not drop",)
    BEFORE = (0.80, 0.81, 0.82, 0.80, 0.81)

    @pytest.mark.parametrize(
        ("now", "outcome"),
        [
            ((0.79, 0.80, 0.81, 0.79, 0.805), Outcome.FAIL),  # p = 7 %: luck may have done it
            ((0.80, 0.81, 0.82, 0.80, 0.805), Outcome.PASS),
        ],
    )
    def test_it_is_cleared_by_evidence_and_not_by_luck(self, now: Sequence[float], outcome: Outcome) -> None:
        fresh = judged(runs({"auc": now}), runs({"auc": self.BEFORE}), self.RULE)
        assert fresh.rulings[0].outcome is Outcome.PASS
        again = judged(runs({"auc": now}), runs({"auc": self.BEFORE}), self.RULE, red=self.RED)
        assert again.rulings[0].outcome is outcome
        assert ("failed in this merge request before" in again.rulings[0].full_sentence) is (outcome is Outcome.FAIL)

    def test_two_pipelines_at_once_on_other_files_clear_it_no_sooner(self) -> None:
        def look(place: int) -> list[Run]:
            made = runs({"auc": (0.79, 0.80, 0.81, 0.79, 0.805)}, first=10 * place)
            return [replace(run, params={"seed": str(run.iid)}) for run in made]

        model = Model("churn", rules=(self.RULE,))
        compared = compare(look(2), runs({"auc": self.BEFORE}), earlier=[look(1)], model=model)
        given = ModelInput("churn", compared, model, "main", frozenset(self.RED))
        (ruling,) = judgement.judge_models([given])["churn"].rulings
        assert (compared.looks, ruling.outcome) == (2, Outcome.FAIL)

    def test_so_is_a_run_without_a_verdict(self) -> None:
        lone = judged(runs({"auc": [0.8]}), runs({"auc": [0.81]}), self.RULE, red=self.RED)
        assert lone.rulings[0].outcome is Outcome.FAIL


TRAINED = {"train_loss": (0.10, 0.11, 0.12), "val_loss": (0.50, 0.51, 0.52)}
TRAINED_BEFORE = {"train_loss": (0.30, 0.31, 0.32), "val_loss": (0.50, 0.51, 0.525)}


class TestTrainingMetrics:
    def test_a_better_fit_to_the_training_data_is_no_gain(self) -> None:
        found = judged(runs(TRAINED), runs(TRAINED_BEFORE))
        change = metrics_of(found)["train_loss"]
        assert change.verdict is Verdict.NO_CLEAR_CHANGE
        assert change.reason == "−0.20 (−65 %) on the training data, which alone is no gain"
        assert conclusion.of_model(found.comparison).best is None

    def test_a_worse_one_is_worse_and_time_is_no_fit(self) -> None:
        metrics = {**TRAINED_BEFORE, "training_time_seconds": (10.0, 10.1, 9.9)}
        other = {**TRAINED, "training_time_seconds": (30.0, 30.1, 29.9)}
        found = metrics_of(judged(runs(metrics), runs(other)))
        assert found["train_loss"].verdict is Verdict.WORSE
        assert (found["training_time_seconds"].verdict, found["training_time_seconds"].reason) == (
            Verdict.BETTER,
            "−20 s (−67 %), more than chance explains",
        )


class TestConclusion:
    def test_the_worst_is_named_first_and_then_the_best(self) -> None:
        now = {"accuracy": (0.90, 0.91, 0.92), "latency_ms": (20.0, 20.1, 19.9), "auc": (0.70, 0.71, 0.72)}
        before = {"accuracy": (0.80, 0.81, 0.82), "latency_ms": (10.0, 10.1, 9.9), "auc": (0.80, 0.81, 0.82)}
        rule = Rule("latency_ms", better=HigherOrLower.LOWER, worse_by=Tolerance(0), then=Then.WARN)
        found = judged(runs(now), runs(before), rule, rank_by="accuracy")
        said = conclusion.of_model(found.comparison, found.rulings)
        assert said.worst is not None
        assert said.best is not None
        assert (said.worst.metric, said.worst.outcome, said.best.metric) == ("latency_ms", Outcome.WARN, "accuracy")
        assert said.sentence == "2 metrics are worse, 1 metric is better"
        assert said.level is conclusion.Level.BAD


def test_the_digits_of_a_row_add_up() -> None:
    change = metrics_of(judged(runs({"rmse": (13.19, 13.21)}), runs({"rmse": (12.03, 12.05)})))["rmse"]
    assert change.reason.startswith("+1.2 (+9.6 %)")
    assert change.before == pytest.approx(12.04)


def test_one_lucky_pipeline_is_no_bar() -> None:
    rng = random.Random(3)
    history = [runs({"auc": noise(rng, 100)}, first=10 * place) for place in range(2, 14)]
    lucky, usual = runs({"auc": noise(rng, 101.2)}), runs({"auc": noise(rng, 100)})
    change = metrics_of(judged(usual, lucky, history=history))["auc"]
    assert change.before is not None
    assert change.before < 101
    assert change.verdict is not Verdict.WORSE


@pytest.mark.parametrize("theirs", [0.81, float("nan")])
def test_one_run_of_several_that_diverged_is_worse_unless_the_baseline_has_some_too(theirs: float) -> None:
    now = runs({"auc": (0.80, 0.81, 0.82, 0.81, float("nan"))})
    change = metrics_of(judged(now, runs({"auc": (0.80, 0.81, 0.82, 0.81, theirs)})))["auc"]
    if theirs > 0:
        assert (change.verdict, change.reason) == (Verdict.WORSE, "diverged: not a number in 1 of 5 runs")
    else:
        assert change.verdict is Verdict.NO_CLEAR_CHANGE

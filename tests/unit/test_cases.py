"""Two models, case by case: what is aligned, counted, claimed and left open."""

import math
import random
from collections.abc import Sequence

import pytest

from mltrail_contract import CaseTable, Measure
from mltrail_server.domain.cases import result
from mltrail_server.domain.cases.compare import compare, compare_runs
from mltrail_server.domain.cases.comparison import CaseMetric, Counts, Method
from mltrail_server.domain.cases.pairing import NotComparable, pair
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.cases.table import Answer, Case
from mltrail_server.domain.cases.wear import Wear, wear


def case(name: object, label: str | None, prediction: str | None = None, **more: object) -> Case:
    score, cluster = more.get("score"), more.get("cluster")
    assert score is None or isinstance(score, float)
    return Case(str(name), label, Answer(prediction, score), None if cluster is None else str(cluster))


def answers(broke: int, fixed: int, right: int, wrong: int = 0) -> tuple[list[Case], list[Case]]:
    """Two models' tables, by how many cases the second one broke and fixed."""
    kinds = [("1", "0")] * broke + [("0", "1")] * fixed + [("1", "1")] * right + [("0", "0")] * wrong
    return (
        [case(number, "1", before) for number, (before, _) in enumerate(kinds)],
        [case(number, "1", now) for number, (_, now) in enumerate(kinds)],
    )


def shuffled(rows: Sequence[Case], seed: int) -> list[Case]:
    mixed = list(rows)
    random.Random(seed).shuffle(mixed)
    return mixed


# Alignment


def test_cases_are_found_by_their_id_and_missing_ones_counted() -> None:
    found = pair([case("a", "1"), case("b", "1"), case("c", "1")], [case("c", "1"), case("a", "1"), case("d", "1")])
    assert [one.id for one in found.cases] == ["c", "a"]
    assert (found.missing_now, found.missing_before) == (1, 1)


def test_a_changed_label_makes_tables_incomparable() -> None:
    found = pair([case("a", "1"), case("b", "1")], [case("a", "1"), case("b", "0")])
    assert found.relabelled == 1
    assert found.not_comparable is NotComparable.LABELS_DIFFER
    assert compare(found, CaseMetric.ACCURACY) is None


def test_a_label_that_contradicts_itself_makes_tables_incomparable() -> None:
    found = pair([case("a", "1")], [case("a", "1"), case("a", "0")])
    assert found.not_comparable is NotComparable.LABELS_DIFFER


def test_tables_without_a_common_case_are_not_comparable() -> None:
    assert pair([case("a", "1")], [case("b", "1")]).not_comparable is NotComparable.NO_COMMON_CASES


@pytest.mark.parametrize(
    ("now", "changed"), [(["0", "1", "0", "1"], 0), (["1", "0"], 0), (["0", "1", "1"], 1), (["0"], 1), (["1", "1"], 1)]
)
def test_answering_alike_more_often_is_no_change(now: list[str], changed: int) -> None:
    before = [case("a", "1", "0"), case("a", "1", "1")]
    found = compare(pair(before, [case("a", "1", one) for one in now]), CaseMetric.ACCURACY)
    assert found is not None
    assert found.changed == changed


def of_a_table(measure: Measure, now: Sequence[Case], before: Sequence[Case]) -> CaseResult:
    scored = measure in {Measure.AUC, Measure.LOG_LOSS}
    said = {"score": "s"} if scored else {"prediction": "p"}
    return result.found(CaseTable("t", "t.json", "id", label="y", given_measure=measure, **said), [before], [now])


@pytest.mark.parametrize(
    ("measure", "row", "says"),
    [
        (Measure.AUC, case("a", "1", score=0.5), "AUC needs cases with the positive label and cases with another one"),
        (Measure.LOG_LOSS, case("a", "1", score=1.5), "log loss needs a score from 0 to 1 for each case"),
        (Measure.F1, case("a", "spam", "ham"), "F1 needs a positive label; the contract's key `positive` says which"),
        (Measure.MEAN_ABSOLUTE_ERROR, case("a", "x", "y"), "mean absolute error needs labels and predictions that are"),
    ],
)
def test_what_a_measure_needs_is_said(measure: Measure, row: Case, says: str) -> None:
    assert of_a_table(measure, [row], [row]).problem.startswith(says)


def test_too_many_classes_are_the_merge_request_s_doing_only_if_the_baseline_has_fewer() -> None:
    many = [case(number, str(number), str(number)) for number in range(101)]
    few = [case(number, str(number), "0") for number in range(90)]
    more = [case(number, str(number), f"class {number}") for number in range(90)]
    assert (of_a_table(Measure.MACRO_F1, many, many).ours, of_a_table(Measure.MACRO_F1, more, few).ours) == (
        False,
        True,
    )


def test_a_case_that_is_answered_three_times_counts_once() -> None:
    before = [case("a", "1", "1")] * 3 + [case("b", "1", "0")] * 3
    now = [case("a", "1", "1"), case("a", "1", "0"), case("a", "1", "1"), case("b", "1", "0")]
    pairs = pair(before, now)
    found = compare(pairs, CaseMetric.ACCURACY)
    assert pairs.repeated == 2
    assert found is not None
    assert found.cases == 2
    assert found.counts == Counts(broke=1, fixed=0, both_right=0, both_wrong=1)
    assert (found.before, found.now) == (0.5, pytest.approx(1 / 3))


def test_clusters_and_cases_may_have_the_same_names() -> None:
    table = [case("a", "1", "1", cluster="b"), case("b", "1", "1")]
    assert not pair(table, table).clustered


# Right or wrong


def test_broken_and_fixed_cases_are_counted() -> None:
    found = compare(pair(*answers(broke=3, fixed=12, right=80, wrong=5)), CaseMetric.ACCURACY)
    assert found is not None
    assert found.counts == Counts(3, 12, 80, 5)
    assert found.changed == 15
    assert found.evidence.difference == pytest.approx(0.09)
    assert found.evidence.above(0) == pytest.approx(0.017578, abs=1e-6)  # at most 3 of 15 heads
    assert found.about_the_change is None  # one run a side shows nothing about the chance of training


def test_a_case_without_an_answer_is_wrong() -> None:
    found = compare(pair([case("a", "1", "1")], [case("a", "1")]), CaseMetric.ACCURACY)
    assert found is not None
    assert found.counts == Counts(1, 0, 0, 0)


def test_two_models_that_answer_alike_are_no_proof_that_the_next_case_would_be_answered_alike() -> None:
    found = compare(pair(*answers(broke=0, fixed=0, right=100)), CaseMetric.ACCURACY)
    assert found is not None
    assert found.changed == 0
    assert found.evidence.low < -0.02
    assert found.evidence.below(-0.01) > 0.05


@pytest.mark.parametrize(("broke", "fixed"), [(9, 3), (8, 2), (3, 12), (0, 0), (1, 0), (40, 20), (8, 1)])
def test_a_larger_tolerance_never_makes_a_drop_more_certain(broke: int, fixed: int) -> None:
    found = compare(pair(*answers(broke, fixed, right=100)), CaseMetric.ACCURACY)
    assert found is not None
    limits = [step / 500 for step in range(-60, 61)]
    chances = [found.evidence.below(limit) for limit in limits]
    assert chances == sorted(chances, reverse=True)
    assert [found.evidence.above(limit) for limit in limits] == sorted(map(found.evidence.above, limits))


@pytest.mark.parametrize(("broke", "fixed"), [(9, 3), (8, 2), (3, 12), (0, 0), (1, 0), (40, 20), (8, 1), (10, 3)])
def test_the_interval_leaves_out_what_the_test_rejects(broke: int, fixed: int) -> None:
    found = compare(pair(*answers(broke, fixed, right=100)), CaseMetric.ACCURACY)
    assert found is not None
    assert (found.evidence.below(0) <= 0.05) == (found.evidence.high < 0)
    assert found.evidence.below(found.evidence.high + 1e-6) <= 0.05 < found.evidence.below(found.evidence.high - 1e-6)
    assert found.evidence.above(found.evidence.low - 1e-6) <= 0.05 < found.evidence.above(found.evidence.low + 1e-6)


def test_cases_of_one_cluster_are_not_taken_for_independent_ones() -> None:
    """Thirty broken cases are little evidence if they all belong to three documents."""
    before = [case(number, "1", "1", cluster=number // 10) for number in range(200)]
    now = [case(number, "1", "0" if number < 30 else "1", cluster=number // 10) for number in range(200)]
    found = compare(pair(before, now), CaseMetric.ACCURACY)
    assert found is not None
    assert found.method is Method.SIGN_FLIPS
    assert found.clusters == 20
    assert 0.05 < found.evidence.below(0) < 0.2  # three clusters of three: one in eight


def test_three_clusters_bound_nothing() -> None:
    before = [case(number, "1", "1", cluster=number // 10) for number in range(30)]
    now = [case(number, "1", "0", cluster=number // 10) for number in range(30)]
    found = compare(pair(before, now), CaseMetric.ACCURACY)
    assert found is not None
    assert found.evidence.below(0) == pytest.approx(1 / 8)
    assert found.evidence.high == math.inf


# Other metrics


def scored(seed: int, count: int = 60) -> tuple[list[Case], list[Case]]:
    source = random.Random(seed)
    before, now = [], []
    for number in range(count):
        label = source.choice("01")
        for table, skill in ((before, 0.2), (now, 0.1)):
            score = min(max(0.5 + (skill if label == "1" else -skill) + source.gauss(0, 0.2), 0.01), 0.99)
            table.append(case(number, label, "1" if score > 0.5 else "0", score=round(score, 2), cluster=number // 3))
    return before, now


@pytest.mark.parametrize("metric", list(CaseMetric))
def test_every_metric_is_computed_and_does_not_depend_on_the_order_of_the_cases(metric: CaseMetric) -> None:
    before, now = scored(7)
    found = compare(pair(before, now), metric)
    again = compare(pair(shuffled(before, 1), shuffled(now, 2)), metric)
    assert found is not None
    assert again is not None
    assert found.evidence.low < found.evidence.difference < found.evidence.high
    for limit in (-0.05, 0.0, 0.1):
        assert again.evidence.below(limit) == pytest.approx(found.evidence.below(limit))
    assert again.evidence.low == pytest.approx(found.evidence.low)


@pytest.mark.parametrize("metric", list(CaseMetric))
def test_turning_the_sides_round_turns_the_difference_round(metric: CaseMetric) -> None:
    before, now = scored(8)
    found, turned = compare(pair(before, now), metric), compare(pair(now, before), metric)
    assert found is not None
    assert turned is not None
    assert turned.evidence.difference == pytest.approx(-found.evidence.difference)
    assert turned.evidence.below(0.02) == pytest.approx(found.evidence.above(-0.02), abs=0.01)


def test_a_metric_is_none_where_the_cases_lack_what_it_needs() -> None:
    predictions = pair(
        [case("a", "cat", "cat"), case("b", "dog", "cat")], [case("a", "cat", "cat"), case("b", "dog", "dog")]
    )
    assert compare(predictions, CaseMetric.AUC) is None
    assert compare(predictions, CaseMetric.F1) is None  # which class is the positive one?
    assert compare(predictions, CaseMetric.F1, positive="dog") is not None
    assert compare(predictions, CaseMetric.MEAN_ABSOLUTE_ERROR) is None
    marks = pair([case("a", None, score=0.5)], [case("a", None, score=0.75)])
    assert compare(marks, CaseMetric.ACCURACY) is None
    found = compare(marks, CaseMetric.MEAN_SCORE)
    assert found is not None
    assert (found.before, found.now, found.counts) == (0.5, 0.75, None)


def test_scores_that_are_no_probabilities_have_no_log_loss() -> None:
    before = [case("a", "1", score=2.5), case("b", "0", score=-1.0)]
    assert compare(pair(before, before), CaseMetric.LOG_LOSS) is None
    assert compare(pair(before, before), CaseMetric.AUC) is not None


def test_log_loss_of_a_certainty_that_was_wrong_is_finite() -> None:
    before = [case(number, "1", score=0.5) for number in range(20)]
    now = [case(number, "1", score=float(number != 3)) for number in range(20)]
    found = compare(pair(before, now), CaseMetric.LOG_LOSS)
    assert found is not None
    assert 1 < found.now < 2


def test_an_average_over_many_classes_and_cases_is_compared_in_groups() -> None:
    source = random.Random(5)
    before, now = [], []
    for number in range(3000):
        label = source.randrange(40)
        before.append(case(number, str(label), str(label if source.random() < 0.9 else source.randrange(40))))
        now.append(case(number, str(label), str(label if source.random() < 0.8 else source.randrange(40))))
    found = compare(pair(before, now), CaseMetric.MACRO_F1)
    assert found is not None
    assert found.evidence.high < -0.05
    assert found.evidence.below(0) < 0.01


# Two models, or a change


def recipe(seed: int, *, skill: float, cases: int = 200) -> list[Case]:
    """A run of a recipe: the seed moves its answers to all cases."""
    hard, source = random.Random(1), random.Random(seed)
    luck = source.gauss(0, 0.03)
    return [
        case(number, "1", "1" if 0.9 * hard.random() + 0.1 * source.random() < skill + luck else "0")
        for number in range(cases)
    ]


def test_several_runs_a_side_say_something_about_the_change() -> None:
    before, now = [recipe(seed, skill=0.8) for seed in range(5)], [recipe(seed, skill=0.6) for seed in range(5, 10)]
    found = compare_runs(before, now, CaseMetric.ACCURACY)
    assert found is not None
    assert found.evidence.difference == pytest.approx(found.now - found.before)  # of the first runs
    assert found.about_the_change is not None
    assert found.about_the_change.difference < -0.1
    assert found.about_the_change.below(0) < 0.01
    assert found.about_the_change.low < found.about_the_change.difference < found.about_the_change.high


@pytest.mark.parametrize("metric", [CaseMetric.AUC, CaseMetric.LOG_LOSS, CaseMetric.F1, CaseMetric.MEAN_SCORE])
def test_other_metrics_of_several_runs_say_something_about_the_change(metric: CaseMetric) -> None:
    source = random.Random(3)
    labels = [source.choice("01") for _ in range(150)]

    def run(skill: float) -> list[Case]:
        luck = source.gauss(0, 0.02)
        rows = []
        for number, label in enumerate(labels):
            score = 0.5 + (skill + luck) * (1 if label == "1" else -1) + source.gauss(0, 0.15)
            rows.append(case(number, label, "1" if score > 0.5 else "0", score=min(max(score, 0.01), 0.99)))
        return rows

    found = compare_runs([run(0.2) for _ in range(4)], [run(0.05) for _ in range(3)], metric)
    assert found is not None
    assert found.about_the_change is not None
    worse = found.about_the_change.above(0) if metric is CaseMetric.LOG_LOSS else found.about_the_change.below(0)
    if metric is not CaseMetric.MEAN_SCORE:  # the mean of all scores stays where it is
        assert worse < 0.01


def test_one_run_a_side_or_the_same_run_twice_says_nothing_about_the_change() -> None:
    before, now = recipe(1, skill=0.8), recipe(2, skill=0.6)
    for runs in ([before], [now]), ([before, before], [now, now]):
        found = compare_runs(*runs, CaseMetric.ACCURACY)
        assert found is not None
        assert found.evidence.below(0) < 0.05
        assert found.about_the_change is None


def test_the_chance_of_training_makes_a_change_less_certain_than_two_models_are() -> None:
    """The first runs differ clearly; but the other ones show that runs of either side differ as much."""
    before = [recipe(seed, skill=skill) for seed, skill in ((1, 0.8), (2, 0.6))]
    now = [recipe(seed, skill=skill) for seed, skill in ((3, 0.6), (4, 0.8))]
    found = compare_runs(before, now, CaseMetric.ACCURACY)
    assert found is not None
    assert found.evidence.below(0) < 0.01
    assert found.about_the_change is not None
    assert found.about_the_change.below(0) > 0.2


# Wear


def judging(judged: int, count: int, *, changing: float = 0.05) -> Wear:
    """Return the wear of a test set of which so many cases change, half of them for the better."""
    changed = round(count * changing / 2)
    before, now = answers(changed, changed, count - 2 * changed)
    found = compare(pair(before, now), CaseMetric.ACCURACY)
    assert found is not None
    return wear(judged, found)


def test_a_test_set_is_worn_out_once_luck_adds_as_much_as_it_can_show() -> None:
    assert not judging(80, 1000).worn_out
    found = judging(120, 1000)
    assert found.worn_out
    assert found.luck > found.shows > 0.017
    assert found.sentence == (
        "These 1,000 cases have judged 120 merge requests: by now luck can add 1.9 pp, as much as they can show. "
        "Draw new cases."
    )


@pytest.mark.parametrize("count", [2, 40, 1000])
@pytest.mark.parametrize("changing", [0.0, 0.3])
def test_a_test_set_that_has_judged_few_merge_requests_is_not_worn_out(count: int, changing: float) -> None:
    assert not any(judging(judged, count, changing=changing).worn_out for judged in range(1, 10))


def test_a_merge_request_that_changes_nothing_does_not_make_a_test_set_look_new() -> None:
    assert judging(120, 1000, changing=0.0).worn_out

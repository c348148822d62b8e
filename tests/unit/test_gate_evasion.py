"""A candidate that has got worse by 1.5 spreads is found worse, whatever its author logs beside it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

import pytest

from mltrail_contract import HigherOrLower, Model, Outcome, Rule, Tolerance
from mltrail_server.domain import judgement
from mltrail_server.domain.comparison import Comparison, compare
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import ModelInput
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.statistics import summarise
from mltrail_server.domain.verdict import Verdict

MODEL = Model("churn", rules=(Rule("acc", better=HigherOrLower.HIGHER, worse_by=Tolerance(0.0)),))
BEFORE = [0.78, 0.79, 0.80, 0.81, 0.82]
WORSE = [one - 0.024 for one in BEFORE]
_numbers = itertools.count(1)


def runs(values: Sequence[float], first: int = 0, job_id: int = 1, **beside: float) -> list[Run]:
    return [
        Run(
            next(_numbers),
            "run",
            RunState.SUCCEEDED,
            {"seed": str(first + place)},
            {"acc": value, **beside},
            job_id=job_id,
        )
        for place, value in enumerate(values)
    ]


def comparison(now: Sequence[Run], *earlier: Sequence[Run], distinct: bool = False) -> Comparison:
    history = [runs([one + (place + 1) * 1e-4 * distinct for one in BEFORE]) for place in range(19)]
    return compare(now, runs(BEFORE), history=history, earlier=earlier, model=MODEL)


def ruling(now: Sequence[Run], *earlier: Sequence[Run]) -> Ruling:
    compared = comparison(now, *earlier)
    pipelines = range(100, 80, -1)
    (found,) = judgement.judge_models([ModelInput("churn", compared, MODEL, "main", pipelines=pipelines)])[
        "churn"
    ].rulings
    return found


def tagged(run: Run) -> Run:
    return replace(run, tags={"mltrail.confirm": "true"})


def untouched(given: list[Run]) -> list[Run]:
    return given


def with_copies_of_the_best(given: list[Run]) -> list[Run]:
    return [*given, *(replace(given[-1], iid=next(_numbers)) for _ in range(30))]


def with_the_best_tagged(given: list[Run]) -> list[Run]:
    return [*given[:3], *map(tagged, given[3:])]


def with_the_best_tagged_and_others_deleted(given: list[Run]) -> list[Run]:
    deleted = [replace(run, state=RunState.DELETED) for run in given[:2]]
    return [*deleted, given[2], *map(tagged, given[3:])]


@pytest.mark.parametrize("changed", [untouched, with_copies_of_the_best, with_the_best_tagged])
def test_lucky_runs_do_not_outweigh_the_others(changed: Callable[[list[Run]], list[Run]]) -> None:
    assert ruling(changed(runs(WORSE))).outcome is Outcome.FAIL


def of_one_seed(value: float, **params: str) -> list[Run]:
    """Train five times with one seed, on a processor that rounds differently each time."""
    copies = runs([value + place * 1e-8 for place in range(5)])
    return [replace(run, params={**run.params, **params}) for run in copies]


def test_copies_of_a_lucky_run_are_no_pass() -> None:
    copies = of_one_seed(WORSE[-1])
    found = ruling(copies)
    assert (found.outcome, found.verdict) == (Outcome.WARN, Verdict.CANT_TELL)
    assert found.sentence.endswith("; the 5 runs here count as one, 5 in the baseline")
    assert found.advice == "train with as many, each with a seed of its own"
    (remark,) = comparison(copies).remarks
    assert remark == (
        "The 5 runs here differ 1,000,000 times less than runs on the target branch do, as if they shared one seed: "
        "they count as one run"
    )


def test_nor_is_a_single_run() -> None:
    found = ruling(runs(WORSE[-1:]))
    assert (found.outcome, found.verdict) == (Outcome.WARN, Verdict.CANT_TELL)
    assert found.sentence.endswith("; 1 run here, 5 in the baseline")
    assert found.advice == "train with as many"


def test_nor_are_many_candidates_of_one_seed_each() -> None:
    """The best of them is as lucky as the best of single runs, which luck may have put there from far below."""
    lucky = [NormalDist(0.776, 0.016).inv_cdf((place + 0.5) / 40) for place in range(40)]
    dummies = [run for place, value in enumerate(lucky) for run in of_one_seed(value, dummy=str(place))]
    found = ruling([*runs(WORSE), *dummies])
    assert (found.outcome, found.verdict) == (Outcome.WARN, Verdict.CANT_TELL)
    assert found.sentence.endswith("; the 5 runs here count as one, 5 in the baseline")


def test_runs_that_are_made_to_spread_are_no_pass_even_if_their_mean_is_lucky() -> None:
    wide = [0.8 + 5 * (one - 0.8) for one in BEFORE]
    found = ruling(runs(wide))
    assert (found.outcome, found.verdict) == (Outcome.WARN, Verdict.CANT_TELL)
    assert found.sentence == "±0.0 pp; these runs spread 5.0 times as much as the branch's, which may hide a drop"


@pytest.mark.parametrize("times", [1, 2])
def test_runs_that_spread_a_little_more_still_pass(times: int) -> None:
    assert ruling(runs([0.8 + times * (one - 0.8) for one in BEFORE])).outcome is Outcome.PASS


UNLUCKY = [RunState.FAILED, RunState.CANCELED, RunState.DELETED, RunState.SUPERSEDED]


@pytest.mark.parametrize("state", UNLUCKY)
def test_letting_the_unlucky_runs_fail_is_no_pass(state: RunState) -> None:
    unlucky = [replace(run, state=state) for run in runs([one - 0.024 for one in BEFORE] * 2, first=50)]
    found = ruling([*runs(BEFORE), *unlucky])
    assert (found.outcome, found.verdict) == (Outcome.WARN, Verdict.CANT_TELL)
    assert found.sentence.endswith(", but clearly worse with 10 runs that failed or got deleted")
    assert found.advice == "let every run that has trained succeed, whatever its results are"


@pytest.mark.parametrize("state", UNLUCKY)
@pytest.mark.parametrize("value", [0.1, 0.79])
def test_a_run_that_failed_half_way_is_nobodys_fault(state: RunState, value: float) -> None:
    failed = [replace(run, state=state) for run in runs([value], first=50)]
    assert ruling([*runs(BEFORE), *failed]).outcome is Outcome.PASS


def test_nor_is_what_fails_on_the_target_branch_too() -> None:
    def side(lost: float) -> list[Run]:
        return [*runs(BEFORE), *(replace(run, state=RunState.FAILED) for run in runs([lost] * 9, first=50))]

    compared = compare(side(0.7), side(0.7), model=MODEL)
    (found,) = judgement.judge_models([ModelInput("churn", compared, MODEL, "main")])["churn"].rulings
    assert found.outcome is Outcome.PASS


def test_runs_that_have_become_five_times_steadier_count() -> None:
    steadier = [0.8 + (one - 0.8) / 5 for one in BEFORE]
    found = ruling(runs(steadier))
    assert (found.outcome, found.verdict) == (Outcome.PASS, Verdict.NO_CLEAR_CHANGE)
    assert not comparison(runs(steadier)).remarks


def test_equal_numbers_are_no_copies_where_the_baseline_has_such_too() -> None:
    """The share of few cases, for instance."""
    now, before = runs([0.9] * 5), runs([0.9, 0.9, 0.9, 0.88, 0.9])
    compared = compare(now, before, model=MODEL)
    (found,) = judgement.judge_models([ModelInput("churn", compared, MODEL, "main")])["churn"].rulings
    assert "count as one" not in found.sentence
    assert not compared.remarks


def test_runs_that_a_job_has_tagged_among_others_do_not_stand_alone() -> None:
    now = compare(with_the_best_tagged_and_others_deleted(runs(WORSE)), runs(BEFORE), model=MODEL)
    assert not now.confirmed
    assert now.best is not None
    assert len(now.best.runs) == 3


def test_a_job_of_its_own_confirms() -> None:
    fresh = [tagged(run) for run in runs(BEFORE, first=50, job_id=2)]
    assert compare([*runs(WORSE), *fresh], runs(BEFORE), model=MODEL).confirmed


def test_a_metric_that_nobody_asked_for_does_not_keep_looks_apart() -> None:
    first = runs(WORSE, attempt=1.0)
    found = ruling(runs([0.80, 0.77], first=50, attempt=2.0), first)
    assert found.outcome is Outcome.FAIL


@pytest.mark.parametrize("beside", [{"other": 1.0}, {}], ids=["something else", "nothing"])
def test_logging_it_in_the_good_runs_only_is_no_pass(beside: Mapping[str, float]) -> None:
    now = [*runs(BEFORE[1:]), *(replace(run, metrics=beside) for run in runs(BEFORE[:2], first=50))]
    found = ruling(now)
    assert (found.outcome, found.sentence) == (Outcome.WARN, "logged in only 4 of 6 runs")


def test_a_run_that_has_neither_a_seed_nor_metrics_has_trained_nothing() -> None:
    """The parent of the others, for example."""
    parent = replace(runs([0.0])[0], params={}, metrics={})
    assert ruling([*runs(BEFORE), parent]).outcome is Outcome.PASS


@pytest.mark.parametrize("apart", [1e-8, 0.0])
@pytest.mark.parametrize("honest", [1, 2])
def test_copies_of_a_lucky_run_do_not_outweigh_the_others(apart: float, honest: int) -> None:
    """Whatever seeds they say they have."""
    copies = [WORSE[-1] + apart * place for place in range(10)]
    now = runs([*WORSE[:honest], *copies])
    compared = comparison(now, distinct=True)
    assert compared.metrics[0].current == summarise([*WORSE[:honest], WORSE[-1] + apart * 4.5])
    remark = f"Of the {10 + honest} runs here, some hardly differ, as if they shared a seed: they count as {1 + honest}"
    assert compared.remarks == (remark,)


def test_where_the_baseline_does_the_same_nothing_is_new() -> None:
    def side() -> list[Run]:
        return [*runs(BEFORE), *(replace(run, metrics={"latency_ms": 5.0}) for run in runs([0.0], first=50))]

    compared = compare(side(), side(), model=MODEL)
    (found,) = judgement.judge_models([ModelInput("churn", compared, MODEL, "main")])["churn"].rulings
    assert found.outcome is Outcome.PASS

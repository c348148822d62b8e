"""Training the same files again is another look at the same candidate: its runs count, whatever the newest say."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from mltrail_server.domain import looks
from mltrail_server.domain.comparison import compare
from mltrail_server.domain.grouping import Group, Run, RunState, group

_numbers = itertools.count(1)
NAN = float("nan")


def runs(values: Iterable[float], *, seeds: Iterable[object] = range(100), **params: str) -> list[Run]:
    return [
        Run(next(_numbers), "run", RunState.SUCCEEDED, {**params, "seed": str(seed)}, {"acc": value})
        for seed, value in zip(seeds, values, strict=False)
    ]


def without_seed(*values: float) -> list[Run]:
    return [Run(next(_numbers), "run", RunState.SUCCEEDED, {}, {"acc": value}) for value in values]


def pool(newest: list[Run], *earlier: list[Run], planned: int | None = None) -> looks.Pool:
    (alone,) = group(newest)
    return looks.pool(alone, [group(one) for one in earlier], planned=planned)


def values(found: Group) -> list[float]:
    return [run.metrics["acc"] for run in found.runs]


def test_other_seeds_are_more_runs() -> None:
    found = pool(runs([0.8, 0.81], seeds=(1, 2)), runs([0.7, 0.9], seeds=(3, 4)), runs([0.75], seeds=(5,)))
    assert sorted(values(found.group)) == [0.7, 0.75, 0.8, 0.81, 0.9]
    assert (found.looks, found.earlier) == (3, 3)
    assert found.sentence == "5 runs here: 2 of this pipeline and 3 of 2 earlier ones on the same files"


def test_the_same_seed_counts_once_with_its_mean() -> None:
    found = pool(runs([0.8, 0.9], seeds=(1, 2)), runs([0.6, 0.7], seeds=(1, 2)))
    assert values(found.group) == [pytest.approx(0.7), pytest.approx(0.8)]
    assert (found.looks, found.earlier, found.group.metrics["acc"].n) == (2, 0, 2)
    assert found.sentence == (
        "2 runs here, trained once more with the same seeds on the same files: each counts as its mean"
    )


def test_what_repeats_itself_to_the_last_digit_is_no_look() -> None:
    found = pool(runs([0.8, 0.9]), runs([0.8, 0.9]))
    assert (found.looks, found.group, found.sentence) == (1, found.newest, "")
    # A seed that is fixed in the code is logged nowhere.
    assert pool(without_seed(0.8, 0.9), without_seed(0.8, 0.9)).looks == 1
    assert pool(without_seed(0.8, 0.9), without_seed(0.8, 0.7)).group.metrics["acc"].n == 3
    # Within one pipeline, two equal runs are two.
    assert pool(without_seed(0.8, 0.8), without_seed(0.8, 0.8, 0.7)).group.metrics["acc"].n == 3


def test_each_look_is_kept_as_it_was() -> None:
    first, second, third = (
        runs([0.8, 0.9], seeds=(1, 2)),
        runs([0.6, 0.7], seeds=(1, 3)),
        runs([0.5, 0.4], seeds=(1, 4)),
    )
    found = pool(third, second, first, planned=2)
    assert [sorted(values(one.group)) for one in found.stages] == [
        [pytest.approx(0.7), 0.7, 0.9],
        [0.8, 0.9],
    ]
    assert [one.share for one in found.stages] == pytest.approx([0.1 / 3, 0.9])
    assert found.share == pytest.approx(0.1 / 6)


def test_pipelines_too_small_to_judge_are_one_look() -> None:
    found = pool(*(runs([value], seeds=(seed,)) for seed, value in enumerate((0.7, 0.8, 0.9))), planned=5)
    assert (found.looks, found.stages, found.share) == (3, (), pytest.approx(0.9))


@pytest.mark.parametrize("other", [{"lr": "0.2"}, {}])
def test_other_parameters_are_another_candidate(other: dict[str, str]) -> None:
    assert pool(runs([0.8], lr="0.1"), runs([0.9], seeds=(9,), **other)).looks == 1


def test_other_data_are_another_look_at_nothing() -> None:
    def on(digest: str, value: float, seed: int) -> list[Run]:
        params = {"seed": str(seed)}
        return [Run(next(_numbers), "r", RunState.SUCCEEDED, params, {"acc": value}, datasets={"test": digest})]

    assert pool(on("a", 0.8, 1), on("b", 0.7, 2)).looks == 1
    assert pool(on("a", 0.8, 1), on("a", 0.7, 2)).looks == 2


def test_a_run_that_diverged_once_stays_so() -> None:
    found = pool(runs([0.8, 0.9], seeds=(1, 2)), runs([NAN, 0.9], seeds=(1, 2)))
    assert str(values(found.group)[0]) == "nan"
    compared = compare(runs([0.8, 0.9]), runs([0.8, 0.9]), earlier=[runs([NAN, 0.9])])
    assert compared.odd("acc") == 1


@pytest.mark.parametrize(
    ("before", "now", "apart"),
    [
        ([0.50, 0.51, 0.52], [0.80, 0.81, 0.82], True),
        ([0.79, 0.81, 0.83], [0.80, 0.81, 0.82], False),
        ([0.50], [0.80, 0.81, 0.82], False),
        ([0.50, 0.50], [0.80, 0.80], True),
    ],
)
def test_looks_that_chance_does_not_explain_are_not_pooled(before: list[float], now: list[float], apart: bool) -> None:
    found = pool(runs(now), runs(before, seeds=itertools.count(100)))
    assert found.apart is apart
    assert found.looks == (1 if apart else 2)
    assert ("clearly different" in found.sentence) is apart


def test_retried_jobs_that_had_succeeded_are_looks_and_the_newest_comes_first() -> None:
    def attempt(job_id: int, value: float, *, had_succeeded: bool = True, name: str = "train") -> Run:
        return Run(
            next(_numbers),
            "r",
            RunState.SUPERSEDED,
            {},
            {"acc": value},
            job_id,
            name,
            had_succeeded=had_succeeded,
        )

    found = looks.attempts(
        [
            attempt(1, 0.1),
            attempt(2, 0.2),
            attempt(3, 0.3, had_succeeded=False),
            attempt(4, 0.4, name="train 2"),
            *runs([0.9]),
        ]
    )
    assert [[run.metrics["acc"] for run in look] for look in found] == [[0.2, 0.4], [0.1]]
    assert {run.state for look in found for run in look} == {RunState.SUCCEEDED}


class TestComparison:
    BEFORE = (0.80, 0.81, 0.82, 0.80, 0.81)

    def compared(self, now: list[Run], *earlier: list[Run], **how: Any) -> Any:
        return compare(now, runs(self.BEFORE, lr="1"), earlier=earlier, **how)

    def test_bad_seeds_stay_after_a_lucky_retry(self) -> None:
        lucky = runs([0.80, 0.82], seeds=(7, 8), lr="1")
        found = self.compared(lucky, runs([0.70, 0.78, 0.74], seeds=(4, 5, 6), lr="1"))
        assert found.headline.current.n == 5
        assert found.headline.current.mean == pytest.approx(0.768)
        assert (found.looks, found.pooled) == (2, 3)
        assert found.remarks == ("5 runs here: 2 of this pipeline and 3 of an earlier one on the same files",)

    def test_the_run_that_is_shown_is_of_the_newest_pipeline(self) -> None:
        newest = runs([0.80, 0.82], seeds=(7, 8), lr="1")
        assert self.compared(newest, runs([0.85], seeds=(4,), lr="1")).best_run == newest[1]

    def test_the_best_candidate_is_chosen_by_all_its_looks(self) -> None:
        now = runs([0.90], seeds=(1,), lr="1") + runs([0.85], seeds=(1,), lr="2")
        before = runs([0.60], seeds=(2,), lr="1") + runs([0.86], seeds=(2,), lr="2")
        found = self.compared(now, before)
        assert (found.best.params, found.groups) == ({"lr": "2"}, 2)

    def test_fresh_runs_are_pooled_with_fresh_runs_only(self) -> None:
        def fresh(values: list[float], seeds: Iterable[object]) -> list[Run]:
            made = runs(values, seeds=seeds, lr="1")
            return [Run(*(r.iid, r.name, r.state, r.params, r.metrics), tags={"mltrail.confirm": "true"}) for r in made]

        chosen = runs([0.95], seeds=(1,), lr="1")
        found = self.compared(chosen + fresh([0.80, 0.81], (11, 12)), chosen + fresh([0.79], (13,)))
        assert found.confirmed
        assert found.headline.current.n == 3

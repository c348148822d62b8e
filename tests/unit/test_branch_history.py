"""Which of the target branch's pipelines count: for the baseline's level, for the spread of runs, or not at all."""

import itertools
from collections.abc import Sequence

import pytest

from mltrail_contract import Model
from mltrail_server.domain.comparison import Comparison, compare
from mltrail_server.domain.grouping import Run, RunState

_numbers = itertools.count(1)
NOW = (0.80, 0.81, 0.84)
CHURN = Model("churn")


def runs(values: Sequence[float], *, lr: str = "1", test: str = "a", train: str = "t") -> list[Run]:
    return [
        Run(
            next(_numbers),
            "run",
            RunState.SUCCEEDED,
            {"lr": lr, "seed": str(seed)},
            {"acc": value},
            datasets={"test": test, "train": train},
        )
        for seed, value in enumerate(values)
    ]


def compared(*history: list[Run], model: Model = CHURN) -> Comparison:
    return compare(runs(NOW), runs([0.80, 0.82]), history=history, model=model)


def test_the_same_parameters_and_data_show_level_and_spread() -> None:
    found = compared(*(runs([0.80, 0.82]) for _ in range(4)))
    assert (found.counted.level, found.counted.spread) == ((0, 1, 2, 3), ())
    assert found.headline is not None
    assert found.headline.level is not None
    assert found.headline.level.pipelines == 5


def test_other_parameters_show_the_spread_only() -> None:
    found = compared(*(runs([0.50, 0.52, 0.54], lr="2") for _ in range(4)))
    assert (found.counted.level, found.counted.spread) == ((), (0, 1, 2, 3))
    assert found.headline is not None
    level = found.headline.level
    assert level is not None
    assert (level.pipelines, level.mean) == (1, pytest.approx(0.81))
    assert level.freedom == 1 + 4 * 2
    # A single run of other parameters shows neither.
    alone = compared(*(runs([0.50], lr="2") for _ in range(4))).headline
    assert alone is not None
    assert alone.level is not None
    assert alone.level.freedom == 1


def test_which_pipelines_count_is_said() -> None:
    same, other = runs([0.80, 0.82]), runs([0.50, 0.52], lr="2")
    found = compared(same, other, runs([0.80], test="b"))
    assert found.counted.sentence(3) == (
        "Of 3 earlier pipelines, 1 has the baseline's parameters and data; 1 has other parameters, so only the spread "
        "of runs counts; 1 does not count: other data, or nothing that can be ranked"
    )
    assert compared(same).counted.sentence(1) == compared().counted.sentence(0) == ""


def test_another_test_set_shows_nothing() -> None:
    found = compared(runs([0.80, 0.82], test="b"), runs([0.80, 0.82]), runs([0.80, 0.82], lr="2", test="b"))
    assert (found.counted.level, found.counted.spread) == ((1,), ())


def test_new_training_data_are_still_the_same_test() -> None:
    assert compared(runs([0.80, 0.82], train="last week's")).counted.level == (0,)
    with_same_data = Model("churn", same_dataset="train")
    assert compared(runs([0.80, 0.82], train="last week's"), model=with_same_data).counted.level == ()


def test_where_no_data_were_logged_they_are_taken_for_the_same() -> None:
    bare = [Run(run.iid, run.name, run.state, run.params, run.metrics) for run in runs([0.80, 0.82])]
    assert compared(bare).counted.level == (0,)

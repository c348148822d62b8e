"""Training and validation drift apart: a remark, and never a verdict."""

import itertools
from collections.abc import Sequence

import pytest

from mltrail_server.domain.comparison import Comparison, compare
from mltrail_server.domain.direction import splits
from mltrail_server.domain.grouping import Run, RunState

_numbers = itertools.count(1)


def runs(pairs: Sequence[tuple[float, float]], names: tuple[str, str] = ("train_acc", "val_acc")) -> list[Run]:
    return [
        Run(
            next(_numbers),
            "run",
            RunState.SUCCEEDED,
            {"seed": str(seed)},
            dict(zip(names, pair, strict=True)),
        )
        for seed, pair in enumerate(pairs)
    ]


BEFORE = [(0.83, 0.80), (0.84, 0.82), (0.84, 0.81)]
APART = [(0.92, 0.80), (0.93, 0.81), (0.92, 0.81)]


def remarks(compared: Comparison) -> list[str]:
    return [one for one in compared.remarks if "drift apart" in one]


def test_a_gap_that_has_grown_is_said() -> None:
    compared = compare(runs(APART), runs(BEFORE))
    assert remarks(compared) == [
        "Train and validation drift apart: the gap has grown by 9.0 pp, and validation is no better"
    ]


@pytest.mark.parametrize(
    "now",
    [
        [(0.84, 0.81), (0.83, 0.80), (0.85, 0.81)],  # as chance makes it
        [(0.97, 0.88), (0.96, 0.87), (0.97, 0.88)],  # validation is better, too
        [(0.70, 0.81), (0.71, 0.80), (0.70, 0.82)],  # training is worse
        [(0.92, 0.80)],  # one run is not enough where nothing else shows chance
    ],
)
def test_what_is_no_overfitting(now: list[tuple[float, float]]) -> None:
    before = BEFORE if len(now) > 1 else BEFORE[:1]
    assert remarks(compare(runs(now), runs(before))) == []


def test_single_runs_are_held_against_the_history() -> None:
    history = [runs([(0.83 + spread, 0.81)]) for spread in (0.004, -0.004, 0.0, 0.004, -0.002, 0.001)]
    assert remarks(compare(runs([(0.92, 0.80)]), runs([(0.83, 0.81)]), history=history))


def test_a_loss_is_apart_when_validation_is_higher() -> None:
    names = ("train/loss", "val/loss")
    before = runs([(0.30, 0.33), (0.31, 0.33), (0.29, 0.32)], names)
    assert remarks(compare(runs([(0.10, 0.33), (0.11, 0.34), (0.10, 0.33)], names), before))
    assert not remarks(compare(runs([(0.40, 0.33), (0.41, 0.34), (0.40, 0.33)], names), before))


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["train_acc", "val_acc", "test_acc", "acc"], [("train_acc", "val_acc")]),
        (["training/f1-score", "test/f1-score"], [("training/f1-score", "test/f1-score")]),
        (["trainLoss", "valLoss", "val_auc"], [("trainLoss", "valLoss")]),
        (["val_acc", "test_acc"], []),
        (["train_validation_acc"], []),
    ],
)
def test_which_metrics_belong_together(names: list[str], pairs: list[tuple[str, str]]) -> None:
    assert splits(names) == pairs

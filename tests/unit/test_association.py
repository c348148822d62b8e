"""Normalized pointwise mutual information, by its definition and at its ends."""

import math

import pytest

from mltrail_server.domain.association import SMOOTHING, npmi


@pytest.mark.parametrize(
    ("joint", "first", "second", "total", "expected"),
    [
        (25, 50, 50, 100, 0.0),  # as often together as chance has it
        (50, 50, 50, 100, 1.0),  # never one without the other
        (100, 100, 100, 100, 1.0),
        (0, 50, 50, 100, -1.0),
        (10, 20, 15, 100, math.log(10 * 100 / (20 * 15)) / math.log(10)),
    ],
)
def test_two_properties(joint: int, first: int, second: int, total: int, expected: float) -> None:
    assert npmi(joint=joint, first=first, second=second, total=total) == pytest.approx(expected)


@pytest.mark.parametrize("counts", [(0, 0, 5, 10), (0, 5, 0, 10), (0, 0, 0, 0), (5, 4, 5, 10), (1, 6, 6, 10)])
def test_nothing_can_be_said(counts: tuple[int, int, int, int]) -> None:
    joint, first, second, total = counts
    for smoothing in (0.0, SMOOTHING):
        assert math.isnan(npmi(joint=joint, first=first, second=second, total=total, smoothing=smoothing))


def test_smoothing_keeps_few_from_saying_much() -> None:
    few, many = (
        npmi(joint=number, first=number, second=number, total=2 * number, smoothing=SMOOTHING) for number in (1, 1000)
    )
    assert few < 0.8 < many < 1

"""The t distribution against tables and closed forms, Welch's test against what SciPy 1.17 answers.

https://www.itl.nist.gov/div898/handbook/eda/section3/eda3672.htm
"""

import math

import pytest

from mltrail_server.domain.statistics import (
    MeanError,
    Summary,
    incomplete_beta,
    summarise,
    t_quantile,
    t_two_sided,
    welch,
)
from tests.welch import welch_interval, welch_p

QUANTILES = [
    *((0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 5, 2.571), (0.975, 10, 2.228), (0.975, 30, 2.042)),
    *((0.975, 100, 1.984), (0.95, 5, 2.015), (0.95, 20, 1.725), (0.995, 10, 3.169), (0.999, 3, 10.215)),
    *((0.975, 1e6, 1.960), (0.5, 7, 0.0)),
]


@pytest.mark.parametrize(("probability", "freedom", "expected"), QUANTILES)
def test_quantiles_are_those_of_the_tables(probability: float, freedom: float, expected: float) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("t", [0.0, 1e-9, 0.3, 1.0, 2.5, 40.0, 1e6])
def test_one_and_two_degrees_of_freedom_have_closed_forms(t: float) -> None:
    assert t_two_sided(t, 1) == pytest.approx(2 / math.pi * math.atan2(1, t), rel=1e-9)
    assert t_two_sided(t, 2) == pytest.approx(1 - t / math.sqrt(t * t + 2), rel=1e-6, abs=1e-12)
    assert t_two_sided(-t, 2) == t_two_sided(t, 2)


@pytest.mark.parametrize("x", [0.0, 0.01, 0.3, 0.5, 0.9, 1.0])
def test_the_incomplete_beta_function_is_a_polynomial_for_whole_numbers(x: float) -> None:
    assert incomplete_beta(1, 1, x) == pytest.approx(x)
    assert incomplete_beta(2, 3, x) == pytest.approx(6 * x**2 - 8 * x**3 + 3 * x**4)
    assert incomplete_beta(40, 7, x) == pytest.approx(1 - incomplete_beta(7, 40, 1 - x))


def test_mean_and_sample_spread() -> None:
    assert summarise([2, 4, 4, 4, 5, 5, 7, 9]) == Summary(5, pytest.approx(2.13809), 8)
    assert summarise([0.5]) == Summary(0.5, None, 1)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (
            [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4],
            [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 30.0, 23.9],
            0.008452732437443423,
        ),
        (
            [17.2, 20.9, 22.6, 18.1, 21.7, 21.4, 23.5, 24.2, 14.7, 21.8],
            [21.5, 22.8, 21.0, 23.0, 21.6, 23.6, 22.5, 20.7, 23.4, 21.8],
            0.143512808136361,
        ),
        (
            [19.8, 20.4, 19.6, 17.8, 18.5, 18.9, 18.3, 18.9, 19.5, 22.0],
            [28.2, 26.6, 20.1, 23.3, 25.2],
            0.01691219581921932,
        ),
        ([30.02, 29.99, 30.11, 29.97, 30.01, 29.99], [29.89, 29.93, 29.72, 29.98, 30.02, 29.98], 0.090773324285671),
        ([3.0, 4.0, 1.0, 2.1], [490.2, 340.0, 433.9], 0.010751561149785),
    ],
)
def test_welch(first: list[float], second: list[float], p: float) -> None:
    before, now = summarise(first), summarise(second)
    found = welch_p(before, now)
    low, high = welch_interval(before, now)
    delta = sum(second) / len(second) - sum(first) / len(first)
    assert low < delta < high
    # The interval leaves out 0 exactly when the test says so.
    assert (found < 0.05) == (not low <= 0 <= high)
    assert found == pytest.approx(p, rel=1e-9)


def test_without_any_spread_there_is_no_error() -> None:
    assert welch(MeanError(0.0, 1), MeanError(0.0, 1)).error == 0


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1.0, 1e140])
def test_welch_does_not_depend_on_the_unit(scale: float) -> None:
    found = welch_p(summarise([1 * scale, 2 * scale, 3 * scale]), summarise([4 * scale, 5 * scale, 7 * scale]))
    assert found == pytest.approx(0.041914517471454, rel=1e-9)


def test_equal_values_have_no_spread_whatever_rounding_makes_of_their_mean() -> None:
    assert summarise([0.9088] * 3) == Summary(0.9088, 0.0, 3)
    assert summarise([0.1]) == Summary(0.1, None, 1)

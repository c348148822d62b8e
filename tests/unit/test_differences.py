# ruff: noqa: RUF001 - the true minus sign is what people read
"""Two values and their difference, as people read them: the digits add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrail_server.domain.differences import Difference
from mltrail_server.domain.direction import Basis, Better, MetricDirection

LOWER = MetricDirection(Better.LOWER, Basis.STATED)
HIGHER = MetricDirection(Better.HIGHER, Basis.STATED)


@pytest.mark.parametrize(
    ("name", "direction", "before", "now", "values", "text"),
    [
        ("rmse", LOWER, 12.04, 13.2, ("12.0", "13.2"), "+1.2 (+9.6 %)"),
        ("rmse", LOWER, 12.04, 13.26, ("12.04", "13.26"), "+1.22 (+10 %)"),
        ("val_accuracy", HIGHER, 0.8081, 0.7102, ("0.808", "0.710"), "−9.8 pp"),
        ("val_accuracy", HIGHER, 0.81, 0.91, ("0.81", "0.91"), "+10 pp"),
        ("accuracy", HIGHER, 81.0, 91.0, ("81", "91"), "+10"),  # not a share between 0 and 1
        ("accuracy_pct", HIGHER, 81.0, 82.4, ("81.0", "82.4"), "+1.4 pp"),
        ("latency_ms", LOWER, 100.0, 120.0, ("100", "120"), "+20 ms (+20 %)"),
        ("learning_rate", HIGHER, 0.1, 0.2, ("0.10", "0.20"), "+0.10"),
        ("win_ratio_gap", HIGHER, 0.1, 0.2, ("0.10", "0.20"), "+0.10"),
        ("mse", LOWER, 3e-6, 4e-6, ("3e−6", "4e−6"), "+1e−6 (+33 %)"),
        ("auc", HIGHER, 0.8, 0.8, ("0.8000", "0.8000"), "0 pp"),
    ],
)
def test_values_and_difference(
    name: str, direction: MetricDirection, before: float, now: float, values: tuple[str, str], text: str
) -> None:
    found = Difference(name, direction, before, now)
    assert (found.values, str(found)) == (values, text)


@pytest.mark.parametrize(
    ("before", "now", "spread", "values", "text"),
    [
        (12.05, 11.198, 0.067, ("12.05", "11.20"), "−0.85"),
        (12.0560, 11.2016, 0.067, ("12.056", "11.202"), "−0.854"),  # two decimals would make it 0.86
        (0.7391522, 0.7427062, 0.0045, ("0.7392", "0.7427"), "+0.0035"),  # nor would a fifth decimal show 0.0036
        (12.0215801, 13.2562440, 0.067, ("12.02", "13.26"), "+1.24"),  # no decimals that are tried show 1.2346…
    ],
)
def test_the_written_difference_is_the_true_one_if_one_more_decimal_shows_it(
    before: float, now: float, spread: float, values: tuple[str, str], text: str
) -> None:
    found = Difference("score", HIGHER, before, now, spread)
    assert (found.values, str(found)) == (values, text)


def test_values_whose_difference_is_not_written_have_no_more_decimals_for_it() -> None:
    assert Difference("score", HIGHER, 12.0560, 11.2016, 0.067, apart=True).values == ("12.06", "11.20")


def test_bounds_and_amounts_have_the_same_unit() -> None:
    of_share = Difference("auc", HIGHER, 0.80, 0.79)
    assert (of_share.bound(-0.0123), of_share.amount(-0.0123)) == ("−1.2 pp", "1.2 pp")
    assert Difference("size_mb", LOWER, 80, 79).amount(1234.5) == "1234 MB"


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6))
def test_the_written_values_differ_by_the_written_difference(before: float, now: float) -> None:
    found = Difference("score", HIGHER, before, now)
    first, second = map(float, found.values)
    if first != second:
        decimals = len(found.values[0].partition(".")[2])
        assert float(str(found).replace("−", "-")) == pytest.approx(second - first, abs=0.51 * 10**-decimals)

# ruff: noqa: RUF001 - the true minus sign is what people read
"""Numbers as people read them."""

import sys

import pytest

from mltrail_server.domain.numbers import at_a_glance, change, decimals_for, number, signed, with_spread


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.91284, "0.9128"),
        (12.5, "12.50"),
        (1234.5678, "1235"),
        (0, "0"),
        (-3.25, "−3.250"),
        (1.5e-5, "1.5e−5"),
        (2.5e12, "2.5e12"),
        (float("nan"), "NaN"),
        (float("-inf"), "−inf"),
        (1e300, "1e300"),
    ],
)
def test_four_digits_and_a_true_minus(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42.0, "42"),
        (0.9, "0.9"),
        (0.91234567, "0.91235"),
        (12345.0, "12,345"),
        (1234.5678, "1,234.6"),
        (99999.96, "100\N{NO-BREAK SPACE}k"),
        (1234567.0, "1.2346\N{NO-BREAK SPACE}M"),
        (1.5e16, "1.5e16"),
        (-0.00001234, "−1.234e−5"),
        (0.0, "0"),
        (sys.float_info.max, "∞"),
        (-sys.float_info.max, "−∞"),
        (float("inf"), "∞"),
        (float("nan"), "NaN"),
    ],
)
def test_at_a_glance_a_number_has_five_digits_and_no_idle_zeros(value: float, text: str) -> None:
    assert at_a_glance(value) == text


@pytest.mark.parametrize(
    ("mean", "sd", "texts"),
    [
        (0.905358, 0.0074427, ("0.9054", "0.0074")),
        (14.5, 1.5811, ("14.5", "1.6")),
        (12345.6, 120.0, ("12346", "120")),
        (0.15879, 0.0, ("0.15879", "0")),
        (0.9, None, ("0.9", "")),
        (2.5e9, 1e6, ("2.5\N{NO-BREAK SPACE}G", "1\N{NO-BREAK SPACE}M")),
    ],
)
def test_a_mean_has_as_many_decimals_as_its_spread(mean: float, sd: float | None, texts: tuple[str, str]) -> None:
    assert with_spread(mean, sd) == texts


def test_as_many_decimals_as_the_spread_deserves() -> None:
    assert [decimals_for(spread) for spread in (0.0123, 0.5, 3.0, 9.99, 40, 0, float("inf"))] == [3, 2, 1, 0, 0, 0, 0]
    assert number(0.912345, decimals=decimals_for(0.0123)) == "0.912"


def test_a_difference_has_its_sign() -> None:
    assert (signed(0.5, decimals=1), signed(-0.5, decimals=1), signed(0, decimals=1)) == ("+0.5", "−0.5", "0.0")


@pytest.mark.parametrize(
    ("delta", "relative", "rate", "shows", "text"),
    [
        (0.0085, 0.0093, True, False, "+0.85 pp"),
        (-0.0005, None, True, False, "−0.050 pp"),
        (1.3, 0.107, False, True, "+1.3 (+11 %)"),
        (1.3, None, False, True, "+1.3"),
        (-12, -0.5, False, False, "−12"),
    ],
)
def test_a_change(delta: float, relative: float | None, *, rate: bool, shows: bool, text: str) -> None:
    assert change(delta, relative=relative, rate=rate, show_relative=shows) == text

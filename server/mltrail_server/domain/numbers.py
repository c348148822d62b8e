"""Write numbers for people: with as many digits as are meaningful, and a true minus sign."""

import math
import sys

_MINUS = "\N{MINUS SIGN}"
_DIGITS = 4
_PLAIN = (1e-4, 1e7)  # outside this range, powers of ten

_GLANCE_DIGITS = 5
_SMALLEST_PREFIXED, _LARGEST_PREFIXED = 1e5, 1e15
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

LEAST_CHANCE = 0.001
"""A smaller chance is only said to be smaller."""
NO_SIGN = 0.5
"""A p from here on is no sign of what it names, nor of the opposite, so its digits would mislead."""


def decimals_for(spread: float, *, digits: int = 2) -> int:
    """Return how many decimals show `digits` significant digits of a spread or a difference (0 for none)."""
    if spread == 0 or not math.isfinite(spread):
        return 0
    # Rounded first: 9.99 with two digits is 10, which needs no decimals.
    exponent = int(f"{spread:.{digits - 1}e}".partition("e")[2])
    return max(0, digits - 1 - exponent)


def number(value: float, *, decimals: int | None = None) -> str:
    """Write a number with this many decimals, or with four significant digits."""
    if math.isnan(value):
        return "NaN"
    if value == 0 and decimals is None:
        return "0"
    if not is_plain(value):
        text = f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    else:
        if decimals is None:
            decimals = min(decimals_for(value, digits=_DIGITS), 6)
        text = f"{value:.{min(decimals, 8)}f}"
    return text.replace("-", _MINUS)


def at_a_glance(value: float) -> str:
    """Write a number as tables have it: 42, 0.9, 12,345, 1.2346 M, 1.2e-5, ∞.

    It has at most five significant digits and no zeros that say nothing: a count is a count, and how exactly a metric
    was measured is not known. MLflow writes infinity as the largest double.
    """
    if math.isnan(value):
        return "NaN"
    if abs(value) >= sys.float_info.max:
        return f"{_MINUS if value < 0 else ''}∞"
    size = abs(float(f"{value:.{_GLANCE_DIGITS}g}"))
    if size and not _PLAIN[0] <= size < _LARGEST_PREFIXED:
        text = f"{value:.{_GLANCE_DIGITS}g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    elif size >= _SMALLEST_PREFIXED:
        unit, prefix = next((unit, prefix) for unit, prefix in _PREFIXES if size >= unit)
        text = f"{value / unit:.{_GLANCE_DIGITS}g}\N{NO-BREAK SPACE}{prefix}"
    elif value == int(value):
        text = f"{value:,.0f}"
    else:
        text = f"{float(f'{value:.{_GLANCE_DIGITS}g}'):,}".removesuffix(".0")
    return text.replace("-", _MINUS)


def with_spread(mean: float, sd: float | None) -> tuple[str, str]:
    """Write a mean and its standard deviation to the same decimals, as many as show two digits of the latter:
    `0.9054`, `0.0074`. Without a spread, the second is empty.
    """
    if sd is None:
        return at_a_glance(mean), ""
    if sd == 0 or not (is_plain(mean) and is_plain(sd) and abs(mean) < _SMALLEST_PREFIXED):
        return at_a_glance(mean), at_a_glance(sd)
    decimals = decimals_for(sd)
    return number(mean, decimals=decimals), number(sd, decimals=decimals)


def count(number_of: int, noun: str, plural: str = "") -> str:
    """Write a number and its noun: `1 run`, `2,000 runs`."""
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of:,} {plural or noun + 's'}"


def is_plain(value: float) -> bool:
    """Whether a value is written without a power of ten."""
    return value == 0 or _PLAIN[0] <= abs(value) < _PLAIN[1]


def signed(value: float, *, decimals: int | None = None) -> str:
    text = number(value, decimals=decimals)
    return text if text.startswith(_MINUS) or value == 0 else f"+{text}"


def change(delta: float, *, relative: float | None, rate: bool, show_relative: bool) -> str:
    """Write a difference: in percentage points for a rate, or else as it is, on request with the change in per cent."""
    if rate:
        return f"{signed(delta * 100, decimals=decimals_for(delta * 100))} pp"
    text = signed(delta, decimals=decimals_for(delta))
    if show_relative and relative is not None:
        text += f" ({signed(relative * 100, decimals=decimals_for(relative * 100))} %)"
    return text

"""Kinds of values that options take."""

import math
from argparse import ArgumentTypeError


def seconds(told: str) -> float:
    """A time. Raises what argparse reports in its own words."""
    try:
        value = float(told)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"{told!r} is not a number of seconds")
    return value

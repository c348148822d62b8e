"""Types of values for options."""

import math
from argparse import ArgumentTypeError


def seconds(text: str) -> float:
    """A time in seconds. Raises ArgumentTypeError, which argparse reports."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value

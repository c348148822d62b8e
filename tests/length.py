"""How long tests that have a long form run: those marked `long`.

`make test` runs their short form with all other tests, `make test-long` runs them alone, at full length.
"""

import os
from typing import TypeVar

_T = TypeVar("_T")

LONG = os.environ.get("LONG") == "1"


def length(*, short: _T, long: _T) -> _T:
    """Return how often, or for how long, something is done in this run."""
    return long if LONG else short

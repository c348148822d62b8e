"""What scorers say, in the form in which it is compared: passed or failed, or a number.

A judge's answer is a model's text, so whatever fits neither is taken as it is for showing, and never as a pass.
"""

import json
import math
from collections.abc import Collection

from mltrail_contract import HigherOrLower

from .evaluation import Kind, Mark
from .metrics import LARGEST

_VERDICTS = {
    **dict.fromkeys(("yes", "pass", "passed", "true"), True),
    **dict.fromkeys(("no", "fail", "failed", "false"), False),
}
"""MLflow's judges answer yes or no."""

NO_ANSWER = "no answer"  # the application failed, so that there was nothing to judge
UNFIT = "unfit value"  # a value of another kind than the scorer's others
_ERROR = "error"
_LONGEST_CODE = 100


def mark_of(value: str, error: str | None, *, cut: bool = False) -> Mark:
    """Read a stored assessment. `value` and `error` are JSON. With `cut` the value goes on, and is shown as text."""
    if error is not None:
        return Mark(None, error=_code(error))
    if cut:
        return Mark(value)
    try:
        return Mark(json.loads(value))
    except (ValueError, RecursionError):
        return Mark(value)


def _code(error: str) -> str:
    try:
        found = json.loads(error)
    except (ValueError, RecursionError):
        return _ERROR
    code = found.get("error_code") if isinstance(found, dict) else None
    return code[:_LONGEST_CODE] if isinstance(code, str) and code else _ERROR


def verdict_of(value: object) -> bool | None:
    """Return whether a value passes or fails; None if it does neither."""
    if isinstance(value, bool):
        return value
    return _VERDICTS.get(value.strip().casefold()) if isinstance(value, str) else None


def number_of(value: object) -> float | None:
    """Return a value as a number that can be compared; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) and abs(found) <= LARGEST else None


def kind_of(marks: Collection[Mark]) -> Kind | None:
    """Return what most of a scorer's marks are; None if all of them are errors."""
    values = [mark.value for mark in marks if mark.value is not None]
    if not values:
        return None
    if 2 * sum(verdict_of(value) is not None for value in values) >= len(values):
        return Kind.PASS_FAIL
    numbers = sum(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return Kind.SCORE if 2 * numbers >= len(values) else Kind.OTHER


def judged(mark: Mark, kind: Kind, *, bar: float | None, better: HigherOrLower) -> Mark:
    """Say whether a mark passes. An error fails wherever passing is possible, and so does a value of another kind."""
    if kind is Kind.OTHER:
        return mark
    value = verdict_of(mark.value) if kind is Kind.PASS_FAIL else number_of(mark.value)
    passing = kind is Kind.PASS_FAIL or bar is not None
    if value is None or mark.error:
        return mark._replace(passed=False if passing else None, error=mark.error or UNFIT)
    lower = better is HigherOrLower.LOWER
    if kind is Kind.PASS_FAIL:
        return mark._replace(passed=bool(value) is not lower)
    return mark if bar is None else mark._replace(passed=value <= bar if lower else value >= bar)

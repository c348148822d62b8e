"""Places that clients name for an experiment's files, and which of them an operator allows.

https://mlflow.org/docs/latest/ml/tracking/artifact-stores/
"""

from collections.abc import Iterable

from . import limits
from .errors import MltrailError
from .source import checked_place

UNUSED_TAG = "mltrail.artifact_location_not_used"
"""Tells what a client has asked for, on an experiment whose files lie here all the same."""


def allowed(location: str, prefixes: Iterable[str]) -> str | None:
    """Answer the place, without a slash at its end, if it is one of the prefixes or lies below one; else None."""
    place = location.rstrip("/")
    if not any(place == prefix or place.startswith(f"{prefix}/") for prefix in prefixes):
        return None
    try:
        checked_place(f"{place}/run")
    except MltrailError:
        return None
    return place


def told_in_a_tag(location: str) -> str:
    """Shorten a place for a tag; one with a password is not shown."""
    try:
        checked_place(location)
    except MltrailError:
        if "@" in location:
            return "(holds a password, or is no place)"
    return location[: limits.MAX_EXPERIMENT_TAG_VALUE]

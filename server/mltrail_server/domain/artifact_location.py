"""The locations that clients choose for an experiment's files, and which of them the operator allows.

https://mlflow.org/docs/latest/ml/tracking/artifact-stores/
"""

from collections.abc import Iterable

from . import limits
from .errors import MltrailError
from .source import checked_place

UNUSED_TAG = "mltrail.artifact_location_not_used"
"""Records the location that a client asked for, on an experiment whose files are kept here nevertheless."""


def allowed(location: str, prefixes: Iterable[str]) -> str | None:
    """Return the location without a trailing slash if it is one of the prefixes or below one, or else None."""
    place = location.rstrip("/")
    if not any(place == prefix or place.startswith(f"{prefix}/") for prefix in prefixes):
        return None
    try:
        checked_place(f"{place}/run")
    except MltrailError:
        return None
    return place


def shortened_for_tag(location: str) -> str:
    """Shorten a location for a tag; one with a password is not shown."""
    try:
        checked_place(location)
    except MltrailError:
        if "@" in location:
            return "(contains a password, or is not a location)"
    return location[: limits.MAX_EXPERIMENT_TAG_VALUE]

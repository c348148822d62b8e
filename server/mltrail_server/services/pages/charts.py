"""The curve of one metric for one or several candidates, thinned out so that a chart stays fast and honest.

Up to `MOST_POINTS` a candidate are given as they are. Of more, the axis is cut into parts, and the lowest and the
highest value of each are given: a spike never disappears.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.errors import invalid
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.tracking import histories as store
from mltrail_server.store.tracking import metric_keys
from mltrail_server.store.tracking.histories import CurveAxis, Extent

MOST_CURVES = 20
MOST_POINTS = 1000


@dataclass(frozen=True, slots=True)
class Curve:
    """Places are steps or milliseconds. `logged` counts all numbers, `nans` what is no number and is not shown."""

    candidate_iid: int
    places: list[int]
    values: list[float]
    logged: int
    nans: int
    sampled: bool


def curves(scope: Scope, candidate_iids: Sequence[int], key: str, axis: CurveAxis = CurveAxis.STEP) -> list[Curve]:
    """Fetch the curves of up to 20 candidates, in three statements; those that have not logged the metric have none."""
    if not key or not candidate_iids:
        raise invalid("Name a metric with `key` and at least one run with `run`.")
    if len(candidate_iids) > MOST_CURVES:
        raise invalid(f"At most {MOST_CURVES} runs can be shown in one chart, not {len(candidate_iids)}.")
    with scope.project.slow_read() as tx:
        number = metric_keys.find(tx, [key]).get(key)
        if number is None:
            return []
        extents = store.extents(tx, candidate_iids, number, axis)
        shown = {one.candidate_iid: Curve(one.candidate_iid, [], [], one.count, one.nans, False) for one in extents}
        sampled = any(one.count > MOST_POINTS for one in extents)
        if not sampled:
            for iid, place, value in store.points(tx, candidate_iids, number, axis):
                shown[iid].places.append(place)
                shown[iid].values.append(value)
            return list(shown.values())
        low, width = _parts(extents)
        for bucket in store.buckets(tx, candidate_iids, number, axis, low=low, width=width):
            curve = shown[bucket.candidate_iid]
            curve.places.append(bucket.first)
            curve.values.append(bucket.lowest)
            if bucket.last != bucket.first or bucket.highest != bucket.lowest:
                curve.places.append(bucket.last)
                curve.values.append(bucket.highest)
    return [
        Curve(one.candidate_iid, one.places, one.values, one.logged, one.nans, sampled=one.logged > len(one.places))
        for one in shown.values()
    ]


def _parts(extents: Sequence[Extent]) -> tuple[int, float]:
    low = min(one.low for one in extents if one.count)
    high = max(one.high for one in extents if one.count)
    return low, max(1.0, (high - low) / (MOST_POINTS // 2))

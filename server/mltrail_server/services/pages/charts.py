"""The curves of one metric for one or several candidates, thinned out so that a chart is fast and still true.

Up to `MOST_POINTS` of a candidate are returned as they are. If there are more, the axis is cut into buckets, and the
lowest and the highest value of each bucket are returned: a spike never disappears.
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
    """Places are steps or milliseconds. `logged` counts all numbers; `nans` counts the NaNs, which are not shown."""

    candidate_iid: int
    places: list[int]
    values: list[float]
    logged: int
    nans: int
    sampled: bool


def curves(scope: Scope, candidate_iids: Sequence[int], key: str, axis: CurveAxis = CurveAxis.STEP) -> list[Curve]:
    """Return the curves of up to 20 candidates, in three statements; candidates without the metric have none."""
    if not key or not candidate_iids:
        raise invalid("Name a metric with `key` and at least one run with `run`.")
    if len(candidate_iids) > MOST_CURVES:
        raise invalid(f"At most {MOST_CURVES} runs can be shown in one chart, not {len(candidate_iids)}.")
    with scope.project.slow_read() as tx:
        number = metric_keys.find(tx, [key]).get(key)
        if number is None:
            return []
        extents = store.extents(tx, candidate_iids, number, axis)
        shown = {
            extent.candidate_iid: Curve(extent.candidate_iid, [], [], extent.count, extent.nans, sampled=False)
            for extent in extents
        }
        sampled = any(extent.count > MOST_POINTS for extent in extents)
        if not sampled:
            for iid, place, value in store.points(tx, candidate_iids, number, axis):
                shown[iid].places.append(place)
                shown[iid].values.append(value)
            return list(shown.values())
        low, width = _buckets(extents)
        for bucket in store.buckets(tx, candidate_iids, number, axis, low=low, width=width):
            curve = shown[bucket.candidate_iid]
            curve.places.append(bucket.first)
            curve.values.append(bucket.lowest)
            if bucket.last != bucket.first or bucket.highest != bucket.lowest:
                curve.places.append(bucket.last)
                curve.values.append(bucket.highest)
    return [
        Curve(
            curve.candidate_iid,
            curve.places,
            curve.values,
            curve.logged,
            curve.nans,
            sampled=curve.logged > len(curve.places),
        )
        for curve in shown.values()
    ]


def _buckets(extents: Sequence[Extent]) -> tuple[int, float]:
    low = min(extent.low for extent in extents if extent.count)
    high = max(extent.high for extent in extents if extent.count)
    return low, max(1.0, (high - low) / (MOST_POINTS // 2))
